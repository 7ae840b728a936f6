// The parts of the conntrack judge that need no kernel: conversations, podwire's side, the comparison.
import t from "tap";
import { tcpFrame } from "../frames/frame-builder.ts";
import { type Conversation, conversation, stepText } from "./conversations.ts";
import { Seen } from "./outcome.ts";
import { differences, type Entry, type TalkSide, type Told, tell } from "./talk.ts";
import { talkScenario } from "./talk-places.ts";
import { JUDGED_SYSCTLS, PlaneTalk, timeoutClass } from "./talk-plane.ts";
import type { Step } from "./tcp-talk.ts";
import { V4, V6 } from "./world.ts";

const client = (flags: string, seq: number, ack = 0): Step => ({ from: "client", flags, seq, ack, note: "" });
const server = (flags: string, seq: number, ack = 0): Step => ({
  ...client(flags, seq, ack),
  from: "server",
});
const HANDSHAKE = [client("S", 100), server("S.", 900, 101), client(".", 101, 901)];

function talk(route: Conversation["route"], early: readonly Step[]): Conversation {
  return { number: 0, protocol: "TCP", route, early, late: [] };
}

t.test("a seed makes the same conversation again, another number another one", async (t) => {
  t.strictSame(conversation(1, 5, 4), conversation(1, 5, 4));
  t.notSame(conversation(1, 5, 4), conversation(1, 6, 4));
  t.notSame(conversation(1, 5, 4), conversation(2, 5, 4));
});

t.test("conversations have all protocols, all routes, pauses, and say what they say", async (t) => {
  const all = Array.from({ length: 300 }, (_, i) => conversation(1, i, 4));
  for (const key of ["protocol", "route"] as const) {
    t.equal(new Set(all.map((each) => each[key])).size, key === "route" ? 4 : 3);
  }
  t.ok(all.some(({ late }) => late.length > 0));
  const said = new Set(all.flatMap(({ early }) => early.map(({ note }) => note)));
  for (const note of [
    "SYN",
    "crossing SYN",
    "SACK",
    "keep-alive",
    "far away",
    "challenge ACK",
    "reset",
    "FIN",
  ]) {
    t.ok(said.has(note), note);
  }
  t.equal(
    stepText({ ...client("S", 1), wscale: 7, note: "SYN" }),
    "> SYN [S] seq 1 ack 0 win undefined wscale 7",
  );
});

t.test("podwire's side tells where packets come out and which connections there are", async (t) => {
  for (const world of [V4, V6]) {
    const side = new PlaneTalk(talkScenario(world));
    const [service, egress] = await tell(
      side,
      [talk("service", HANDSHAKE), talk("egress", HANDSHAKE)],
      world,
    );
    const [pod, endpoint] = world.pods;
    t.strictSame(service.steps, [
      `pod ${endpoint}: ${pod}:20000 > ${endpoint}:8080`,
      `pod ${pod}: ${world.clusterIp(0)}:80 > ${pod}:20000`,
      `pod ${endpoint}: ${pod}:20000 > ${endpoint}:8080`,
    ]);
    t.equal(service.entries.length, 1);
    t.match(service.entries[0], /^tcp ESTABLISHED tcp_timeout_established .* \[ASSURED\] 2\/1$/);
    if (world.family === 4) t.equal(egress.steps[0], `uplink: ${world.nodeIp}:* > ${world.outside(2)}:80`);
  }
});

/** A side that knows nothing but where packets come out, as from which port, and what it lists in the end. */
class MovingSide implements TalkSide {
  readonly #ports: readonly number[];
  readonly #listed: readonly Entry[];

  constructor(ports: readonly number[], listed: readonly Entry[]) {
    this.#ports = ports;
    this.#listed = listed;
  }

  inject([{ where, frame }]: readonly { readonly where: string; readonly frame: Uint8Array }[]): Seen {
    const seen = new Seen();
    const id = new DataView(frame.buffer).getUint16(14 + 4);
    const port = this.#ports[id - 1];
    const [src, endpoint, neighbor] = V4.pods;
    if (where !== `pod ${src}`) return seen;
    const isService = frame[14 + 17] === 96; // 10.96.0.10
    const [dst, dstPort] = isService ? [endpoint, 8080] : [neighbor, 9000];
    seen.add(`pod ${dst}`, tcpFrame({ src, srcPort: port, dst, dstPort, id, flags: "S" }));
    return seen;
  }

  pause(): void {}
  forget(): void {}
  choices(): number {
    return 0;
  }

  entries(): readonly Entry[] {
    return this.#listed;
  }
}

function listed(state: string, from: Entry["orig"]["from"], to: Entry["orig"]["to"]): Entry {
  return {
    ...{ protocol: "tcp", state, timeout: "", flags: "", packets: "1/0" },
    ...{ orig: { from, to }, reply: { from: to, to: from } },
  };
}

t.test("an entry is that of who caused it, though a port chosen at random is another's", async (t) => {
  const [pod, endpoint] = V4.pods;
  const batch = [talk("plain", [client("S", 1)]), talk("service", [client("S", 1), server("S.", 1)])];
  // The second conversation's client is moved to the port of the first one's.
  const stray = listed("SYN_SENT", { address: endpoint, port: 8080 }, { address: pod, port: 20000 });
  const told = await tell(new MovingSide([20000, 20000], [stray]), batch, V4);
  t.strictSame(told[0].entries, []);
  t.match(told[1].entries, [/^tcp SYN_SENT /]);
  t.strictSame(
    told.map(({ hasMet }) => hasMet),
    [false, false],
  );
  const itself = listed("SYN_SENT", { address: endpoint, port: 8080 }, { address: V4.nodeIp, port: 7 });
  t.strictSame(
    (await tell(new MovingSide([20000, 20000], [itself]), batch, V4))[0].entries,
    [],
    "of the node itself",
  );
  const foreign = listed("SYN_SENT", { address: endpoint, port: 1 }, { address: pod, port: 2 });
  await t.rejects(tell(new MovingSide([20000, 20000], [foreign]), batch, V4), /nobody caused/);
});

t.test("conversations that meet by chance are not compared", async (t) => {
  const batch = [talk("service", [client("S", 1)]), talk("service", [client("S", 1)])];
  const apart = await tell(new MovingSide([20000, 20001], []), batch, V4);
  const met = await tell(new MovingSide([20001, 20001], []), batch, V4);
  t.ok(met.every(({ hasMet }) => hasMet));
  t.notOk(apart.some(({ hasMet }) => hasMet));
  const displaced = await tell(new MovingSide([20001, 30001], []), batch, V4);
  t.ok(displaced[1].hasMet, "where another has been moved to, it cannot stay");
  t.ok(differences(apart[0], { ...apart[0], entries: ["one too many"] }, V4, "iptables").length > 0);
  t.strictSame(differences(met[0], apart[0], V4, "iptables"), []);
});

t.test("what is left of a time-out names it", async (t) => {
  t.equal(timeoutClass(2190), "tcp_timeout_close");
  t.equal(timeoutClass(110), "syn_sent2");
  t.equal(timeoutClass(700), "700 s");
  const seconds = Object.values(JUDGED_SYSCTLS);
  t.equal(new Set(seconds).size, seconds.length);
});

t.test("a difference is a line; a documented choice is none", async (t) => {
  const told = (steps: string[], entries: string[], chosen: [number, string][] = []): Told => ({
    steps,
    entries,
    chosen: new Map(chosen),
    hasMet: false,
  });
  const way = `10.244.1.3:8080 > ${V4.nodeIp}:*`;
  const kernel = told([`host: ${way}`], ["a"]);
  t.strictSame(differences(kernel, told(["nothing"], ["a"], [[0, way]]), V4, "iptables"), []);
  t.equal(differences(kernel, told(["nothing"], ["a"], [[0, "another"]]), V4, "iptables").length, 1);
  t.equal(differences(kernel, told(["nothing"], ["a"]), V4, "iptables").length, 1);
  t.strictSame(differences(kernel, told(kernel.steps, ["b"]), V4, "iptables"), [
    "connections: kernel a, podwire b",
  ]);
  const onward = "10.244.1.2:20000 > 10.96.0.10:80";
  const forwarded = told([`uplink: ${onward}`], ["a"]);
  const dropped = told(["nothing"], ["a"], [[0, onward]]);
  t.strictSame(differences(forwarded, dropped, V4, "nftables"), [], "no rule drops it");
  t.equal(differences(forwarded, dropped, V4, "iptables").length, 1, "here one does");
});
