// The parts of the conntrack judge that need no kernel: conversations, podwire's side, the comparison.
import t from "tap";
import { type Conversation, conversation, stepText } from "./conversations.ts";
import { differences, type Told, tell } from "./talk.ts";
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

t.test("what is left of a time-out names it", async (t) => {
  t.equal(timeoutClass(2190), "tcp_timeout_close");
  t.equal(timeoutClass(110), "syn_sent2");
  t.equal(timeoutClass(700), "700 s");
  const seconds = Object.values(JUDGED_SYSCTLS);
  t.equal(new Set(seconds).size, seconds.length);
});

t.test("a difference is a line; a documented choice is none", async (t) => {
  const told = (steps: string[], entries: string[], chosen: number[] = []): Told => ({
    steps,
    entries,
    chosen: new Set(chosen),
  });
  const kernel = told([`host: 10.244.1.3:8080 > ${V4.nodeIp}:*`], ["a"]);
  t.strictSame(differences(kernel, told(["nothing"], ["a"], [0]), V4), []);
  t.strictSame(differences(kernel, told(["nothing"], ["a"]), V4).length, 1);
  t.strictSame(differences(kernel, told(kernel.steps, ["b"]), V4), ["connections: kernel a, podwire b"]);
});
