// SCTP through the whole node: states and time-outs of an association as nf_conntrack has them, verification tags,
// and the CRC after every kind of translation. What leaves is summed again by frame-checker.ts, bit by bit.
import t from "tap";
import { viewOf } from "../../testing/frames/bytes.ts";
import { fragmentsOf } from "../../testing/frames/fragment-frames.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { checkFrame } from "../../testing/frames/frame-checker.ts";
import type { SctpChunk } from "../../testing/frames/frame-options.ts";
import * as chunk from "../../testing/frames/sctp-chunks.ts";
import { CLIENT6, makeDualStack, pathTo6, pod6 } from "../../testing/world/dual-stack.ts";
import { CLIENT, CLIENT_MAC, pathTo, TestFabric } from "../../testing/world/test-fabric.ts";
import { type Received, TestNode } from "../../testing/world/test-node.ts";
import * as vnet from "../../wire/link/virtio-net.ts";
import * as sctp from "../../wire/transport/sctp.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const VIP = "10.96.0.10";
const MINE = 0x11111111; //   tag that the client wants to be addressed with
const THEIRS = 0x7a7a7a7a; // and the server
const PORT = 9999;
const SERVICE = { name: "default/m3ua", clusterIp: VIP, nodePort: 30132, port: PORT, protocol: 132 };
const L4 = 34;

type Step = readonly [
  who: "c" | "s",
  vtag: number,
  chunks: readonly SctpChunk[],
  state: string,
  left: number,
];

/** A client in pod 2 and its service's endpoint in pod 3. */
class Conversation {
  readonly node = new TestNode();

  constructor() {
    this.node.setService({ ...SERVICE, endpoints: [`${POD3}:${PORT}`] });
  }

  frame(who: "c" | "s", vtag: number, chunks: readonly SctpChunk[]): Uint8Array {
    const ends =
      who === "c"
        ? { ...pathTo(this.node, POD2, VIP), srcPort: 41000, dstPort: PORT }
        : { ...pathTo(this.node, POD3, POD2), srcPort: PORT, dstPort: 41000 };
    return build.sctpFrame({ ...ends, vtag, chunks });
  }

  say(who: "c" | "s", vtag: number, ...chunks: SctpChunk[]): Received & { port: string } {
    return this.node.through(who === "c" ? "pod2" : "pod3", this.frame(who, vtag, chunks));
  }

  /** INVALID: it is not translated and does not arrive. The sender is told nothing. */
  refused(who: "c" | "s", vtag: number, ...chunks: SctpChunk[]): boolean {
    this.node.takeDrops();
    this.node.send(who === "c" ? "pod2" : "pod3", this.frame(who, vtag, chunks));
    this.node.run();
    const dropped = Object.keys(this.node.takeDrops()).join();
    return this.node.everything().length === 0 && dropped === "CT_INVALID";
  }

  open(): void {
    this.say("c", 0, chunk.init(MINE));
    this.say("s", MINE, chunk.initAck(THEIRS));
    this.say("c", THEIRS, chunk.cookieEcho, chunk.data("first"));
    this.say("s", MINE, chunk.cookieAck);
  }

  get state(): string {
    return this.node.connections()[0]?.split(" ")[1] ?? "none";
  }

  get left(): number {
    return this.node.tables.conntrack.expiresAtSec[0] - this.node.engine.nowSec;
  }
}

const SHUTDOWN: readonly Step[] = [
  ["c", 0, [chunk.init(MINE)], "CLOSED", 10],
  ["s", MINE, [chunk.initAck(THEIRS)], "COOKIE_WAIT", 3],
  ["c", THEIRS, [chunk.cookieEcho, chunk.data("hello")], "COOKIE_ECHOED", 3],
  ["s", MINE, [chunk.cookieAck, chunk.sack], "ESTABLISHED", 210],
  ["c", THEIRS, [chunk.data("more", 2)], "ESTABLISHED", 210],
  ["s", MINE, [chunk.sack], "ESTABLISHED", 210],
  ["c", THEIRS, [chunk.heartbeat], "ESTABLISHED", 210],
  ["s", MINE, [chunk.heartbeatAck], "ESTABLISHED", 210],
  ["c", THEIRS, [chunk.shutdown], "SHUTDOWN_SENT", 3],
  ["s", MINE, [chunk.shutdownAck], "SHUTDOWN_ACK_SENT", 3],
  ["c", THEIRS, [chunk.shutdownComplete()], "CLOSED", 10],
];

t.test("an association goes from CLOSED to CLOSED, each state with its time-out", async (t) => {
  const it = new Conversation();
  for (const [who, vtag, chunks, state, left] of SHUTDOWN) {
    it.say(who, vtag, ...chunks);
    t.same([it.state, it.left], [state, left], `${who}: ${chunks.map((c) => c.type)}`);
  }
  t.match(it.node.connections()[0], /\[ASSURED\]$/);
  t.same(it.node.drops(), {});
  it.node.clock.advanceSec(10);
  it.node.advanceMs(5000, 500);
  t.same(it.node.connections(), []);
});

t.test("the server may end it too", async (t) => {
  const it = new Conversation();
  it.open();
  it.say("s", MINE, chunk.shutdown);
  t.equal(it.state, "SHUTDOWN_RECD");
  it.say("c", THEIRS, chunk.shutdownAck);
  t.equal(it.state, "SHUTDOWN_ACK_SENT");
  it.say("s", MINE, chunk.shutdownComplete());
  t.equal(it.state, "CLOSED");
});

t.test("ABORT ends it at once, with the receiver's tag or, with the T bit, with the sender's", async (t) => {
  for (const [who, vtag, reflected] of [
    ["c", THEIRS, false],
    ["s", MINE, false],
    ["s", THEIRS, true],
  ] as const) {
    const it = new Conversation();
    it.open();
    it.say(who, vtag, chunk.abort(reflected));
    t.equal(it.state, "CLOSED");
  }
  const it = new Conversation();
  it.open();
  t.ok(it.refused("s", 5, chunk.abort()), "a guessed tag");
  t.ok(it.refused("s", MINE, chunk.abort(true)), "the wrong of the two");
  t.equal(it.state, "ESTABLISHED");
});

t.test("a packet with a foreign verification tag is INVALID", async (t) => {
  const it = new Conversation();
  it.say("c", 0, chunk.init(MINE));
  t.ok(it.refused("s", MINE + 1, chunk.initAck(THEIRS)));
  t.equal(it.state, "CLOSED");
  it.say("s", MINE, chunk.initAck(THEIRS));
  t.ok(it.refused("c", 1, chunk.cookieEcho));
  it.say("c", THEIRS, chunk.cookieEcho);
  it.say("s", MINE, chunk.cookieAck);
  t.ok(it.refused("c", MINE, chunk.data("x")));
  t.ok(it.refused("s", 0, chunk.sack));
  t.ok(it.refused("c", 7, chunk.shutdown));
  t.equal(it.state, "ESTABLISHED");
});

t.test("only INIT, HEARTBEAT and SHUTDOWN ACK begin anything", async (t) => {
  const cases: [string, number, SctpChunk[], string][] = [
    ["INIT", 0, [chunk.init(1)], "CLOSED"],
    ["INIT with a tag", 1, [chunk.init(1)], "none"],
    ["INIT beside another chunk", 0, [chunk.init(1), chunk.sack], "none"],
    ["INIT cut short", 0, [{ type: 1, value: 8 }], "none"],
    ["HEARTBEAT", 5, [chunk.heartbeat], "HEARTBEAT_SENT"],
    ["SHUTDOWN ACK", 5, [chunk.shutdownAck], "SHUTDOWN_ACK_SENT"],
    ["DATA", 5, [chunk.data("x")], "none"],
    ["COOKIE ECHO", 5, [chunk.cookieEcho], "none"],
    ["COOKIE ACK", 5, [chunk.cookieAck], "none"],
    ["ABORT", 5, [chunk.abort()], "none"],
    ["SHUTDOWN COMPLETE", 5, [chunk.shutdownComplete()], "none"],
    ["a chunk nobody knows", 5, [{ type: 200 }], "none"],
    ["no chunk", 0, [], "none"],
  ];
  for (const [name, vtag, chunks, state] of cases) {
    const it = new Conversation();
    if (state === "none") t.ok(it.refused("c", vtag, ...chunks), name);
    else t.equal(it.say("c", vtag, ...chunks).port, "pod3", name);
    t.equal(it.state, state, name);
  }
});

t.test("a path that is added later is learned from HEARTBEAT and its answer", async (t) => {
  const it = new Conversation();
  it.say("c", THEIRS, chunk.heartbeat);
  t.same([it.state, it.left], ["HEARTBEAT_SENT", 30]);
  it.say("s", MINE, chunk.heartbeatAck);
  t.same([it.state, it.left], ["ESTABLISHED", 210]);
  it.say("c", THEIRS, chunk.data("x"));
  t.ok(it.refused("c", THEIRS + 1, chunk.data("x")));
});

t.test("INIT again and again renews nothing", async (t) => {
  const it = new Conversation();
  it.say("c", 0, chunk.init(MINE));
  it.node.clock.advanceSec(4);
  it.say("c", 0, chunk.init(MINE));
  t.equal(it.left, 6);
});

t.test("a damaged packet is INVALID and moves no state", async (t) => {
  const it = new Conversation();
  it.open();
  const frame = it.frame("s", MINE, [chunk.shutdown]);
  frame[frame.length - 1] ^= 1;
  it.node.send("pod3", frame);
  it.node.run();
  t.same(it.node.drops(), { BAD_SCTP_CHECKSUM: 1 });
  t.equal(it.state, "ESTABLISHED");
});

t.test("NodePort and masquerade change ports of both ends; the CRC stays right, both ways", async (t) => {
  const node = new TestNode();
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  node.setService({ ...SERVICE, endpoints: [`${POD3}:${PORT}`] });
  const ends = { ...pathTo(node, CLIENT, node.address), srcPort: 41000, dstPort: 30132 };
  const inward = node.through("uplink", build.sctpFrame({ ...ends, vtag: 0, chunks: [chunk.init(MINE)] }));
  t.equal(inward.port, "pod3");
  const at = viewOf(inward.frame);
  const port = sctp.srcPort(at, L4);
  t.not(port, 41000, "masqueraded with a port of its own");
  t.equal(sctp.dstPort(at, L4), PORT);
  const answer = { ...pathTo(node, POD3, node.gateway), srcPort: PORT, dstPort: port };
  const outward = node.through(
    "pod3",
    build.sctpFrame({ ...answer, vtag: MINE, chunks: [chunk.initAck(THEIRS)] }),
  );
  t.equal(sctp.srcPort(viewOf(outward.frame), L4), 30132);
  t.equal(sctp.dstPort(viewOf(outward.frame), L4), 41000);
  t.match(node.connections()[0], /^sctp COOKIE_WAIT /);
});

t.test("fragments of a DATA chunk are translated as one, and the CRC of the whole is right", async (t) => {
  const it = new Conversation();
  it.open();
  const whole = build.sctpFrame({
    ...pathTo(it.node, POD2, VIP),
    srcPort: 41000,
    dstPort: PORT,
    vtag: THEIRS,
    dontFragment: false,
    chunks: [chunk.data("a".repeat(3000))],
  });
  for (const piece of fragmentsOf(whole, 1400)) it.node.send("pod2", piece);
  it.node.run();
  const got = it.node.everything();
  t.equal(got.length, 3);
  t.same(it.node.drops(), {});
});

t.test("an ICMP error quotes the association as its receiver knows it, CRC included", async (t) => {
  const node = new TestNode();
  node.setService({ ...SERVICE, port: 77, endpoints: [`${POD3}:${PORT}`] });
  const ends = { ...pathTo(node, POD2, VIP), srcPort: 41000, dstPort: 77 };
  const sent = build.sctpFrame({ ...ends, vtag: 0, chunks: [chunk.init(MINE)] });
  const inside = node.through("pod2", sent);
  for (const quote of [28, 32, 200]) {
    const error = build.icmpErrorFrame({
      ...pathTo(node, POD3, POD2),
      type: 3,
      code: 2,
      about: inside.frame,
      quote,
    });
    const back = node.through("pod3", error);
    const quoted = back.frame.subarray(L4 + 8);
    const l4 = 20;
    t.same(quoted.subarray(12, 20), sent.subarray(26, 34), "addresses");
    const length = Math.min(quoted.length, sent.length - 14) - l4;
    t.ok(length >= 8);
    // The whole header was quoted: the CRC is that of the packet as it was sent.
    t.same(quoted.subarray(l4, l4 + Math.min(length, 8)), sent.subarray(L4, L4 + Math.min(length, 8)));
    if (length >= 12) t.same(quoted.subarray(l4, l4 + length), sent.subarray(L4, L4 + length), `${quote}`);
  }
});

t.test("a CRC that a neighbour left to its card is made before anybody else sees the packet", async (t) => {
  const it = new Conversation();
  const frame = it.frame("c", 0, [chunk.init(MINE)]);
  const virtio = new Uint8Array(vnet.HEADER_LEN);
  vnet.emit(viewOf(virtio), 0, vnet.NEEDS_CSUM, vnet.GSO_NONE, 0, 0, L4, sctp.CSUM_OFFSET);
  viewOf(frame).setInt32(L4 + sctp.CSUM_OFFSET, 0x12345678);
  const out = it.node.through("pod2", frame, virtio);
  t.equal(out.virtio[0], 0, "and no longer left to anybody");
  t.same(checkFrame(out.frame), []);
});

t.test("over IPv6 and through the tunnel", async (t) => {
  const fabric = new TestFabric();
  for (const each of fabric.nodes) makeDualStack(each);
  const node = fabric.nodes[0];
  const [here, there] = [pod6(1, 2), pod6(2, 2)];
  node.send("pod2", build.sctpFrame({ ...pathTo6(node, here, there), vtag: 0, chunks: [chunk.init(MINE)] }));
  fabric.run();
  t.same(
    node.connections().map((c) => c.split(" ").slice(0, 2)),
    [["sctp", "CLOSED"]],
  );
  const out = build.sctpFrame({ ...pathTo6(node, here, CLIENT6), vtag: 0, chunks: [chunk.init(MINE)] });
  node.send("pod2", out);
  fabric.run();
  t.equal(node.connections().length, 2);
});
