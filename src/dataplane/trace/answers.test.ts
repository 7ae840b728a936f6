// What a record says of answers and ends is so: who is promised an ICMP error or a reset gets it, and what was lost at the
// last step was not sent.
import t from "tap";
import { formatTrace } from "../../kubeproxy/words/trace-format.ts";
import type { TraceRecord } from "../../observe/trace-record.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { superframe } from "../../testing/frames/virtio-frames.ts";
import { makeDualStack, pathTo6, pod6 } from "../../testing/world/dual-stack.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { traceNode } from "../../testing/world/trace-node.ts";

const POD2 = "10.244.1.2";
const NOBODY = "8.8.8.8"; // no route

/** What is told of one frame: the records, and their lines. */
function trace(
  node: TestNode,
  port: string,
  frame: Uint8Array,
  virtio?: Uint8Array,
): { steps: TraceRecord[]; text: string } {
  node.everything();
  const take = traceNode(node);
  node.send(port, frame, virtio);
  node.run();
  const steps = take();
  return { steps, text: formatTrace(steps).join("\n") };
}

t.test("a sender who is told is promised it, and one who is owed nothing is not", async (t) => {
  const node = new TestNode();
  const dropped = build.udpFrame(pathTo(node, POD2, NOBODY));
  const { text } = trace(node, "pod2", dropped);
  t.match(text, /FIB lookup failed, the sender gets ICMP net unreachable\n.*send-icmp-error/);
  const link = { srcMac: CLIENT_MAC, dstMac: node.uplinkMac };
  const silent = trace(node, "uplink", build.udpFrame({ ...link, src: "8.8.4.4", dst: NOBODY })); // no way back
  t.match(silent.text, /FIB lookup failed$/);
  t.same(
    silent.steps.filter(({ icmpError, stage }) => icmpError !== undefined || stage === "send-icmp-error"),
    [],
  );
});

t.test("an error that the rate limit keeps back is not promised", async (t) => {
  const node = new TestNode();
  const frame = build.udpFrame(pathTo(node, POD2, NOBODY));
  const texts = Array.from({ length: 40 }, () => trace(node, "pod2", frame).text);
  t.match(texts[0], /the sender gets ICMP net unreachable/);
  t.match(texts.at(-1), /FIB lookup failed, no ICMP net unreachable is sent: rate limit$/);
  t.equal(texts.filter((text) => /the sender gets/.test(text)).length, 40 - node.events().ICMP_RATE_LIMITED);
});

t.test("IPv6 has words of its own", async (t) => {
  const node = makeDualStack(new TestNode());
  const path = pathTo6(node, pod6(1, 2), "2001:db9::9");
  t.match(trace(node, "pod2", build.udpFrame(path)).text, /the sender gets ICMP no route to destination/);
  t.match(
    trace(node, "pod2", build.udpFrame({ ...pathTo6(node, pod6(1, 2), pod6(2, 2)), ttl: 1 })).text,
    /the sender gets ICMP hop limit exceeded/,
  );
});

t.test("of an error that finds no way itself nobody is told", async (t) => {
  const node = new TestNode();
  node.tables.config.guard.antiSpoofing = 0;
  const frame = build.udpFrame({ ...pathTo(node, POD2, NOBODY), src: "10.244.1.77" }); // a pod that is not there
  const { steps, text } = trace(node, "pod2", frame);
  t.match(
    text,
    /lookup failed, the sender gets ICMP net unreachable\n.*icmp_send .*: DROP Neighbor unreachable$/,
  );
  t.match(steps.at(-1), { stage: "send-icmp-error", verdict: "drop", icmpError: undefined });
});

t.test("an ARP answer for which no slot is free is a drop, from the fabric, too", async (t) => {
  const node = new TestNode({ poolSlots: 2 });
  const { pool } = node.tables;
  const { count } = pool;
  pool.count = 0;
  const question = build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address });
  const take = traceNode(node);
  node.send("uplink", question);
  t.throws(() => node.run(), /slots are lost/, "the test took them");
  pool.count = count;
  t.same(
    take().map(({ stage, verdict, dropReason }) => [stage, verdict, dropReason]),
    [
      ["parse", "next", undefined],
      ["answer-arp", "drop", "NO_SLOT"],
    ],
  );
});

t.test("a superframe of which no piece leaves has not left", async (t) => {
  const node = new TestNode();
  node.tables.ports.active[node.portId("uplink")] = 0;
  const path = pathTo(node, POD2, "10.244.2.2");
  const { frame, virtio } = superframe(build.tcpFrame({ ...path, flags: "P.", payload: 60_000 }), 500);
  const { steps } = trace(node, "pod2", frame, virtio);
  const ends = steps.filter(({ verdict }) => verdict !== "next");
  const all = ends.map(({ stage, verdict, dropReason }) => `${stage} ${verdict} ${dropReason}`);
  t.same(new Set(all), new Set(["output drop TX_PORT_GONE"]));
  t.ok(all.length > 1, "several pieces");
  t.same(node.drops(), { TX_PORT_GONE: all.length });
});

t.test("a question for a neighbour that cannot leave is no end of who waits for him", async (t) => {
  const node = new TestNode();
  node.tables.ports.devices[node.portId("uplink")] = null; // nothing can be sent
  const { steps } = trace(node, "pod2", build.udpFrame(pathTo(node, POD2, CLIENT)));
  t.same(node.drops(), { TX_ERROR: 1 });
  t.match(steps.at(-1), { stage: "output", verdict: "forward", waits: true });
});
