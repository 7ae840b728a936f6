// IPv4 options on which a router acts, and those that it must leave alone. native-test/judge/options-judge.test.ts
// has a kernel
// do the same.
import t from "tap";
import { viewOf } from "../../../testing/frames/bytes.ts";
import { fragmentsOf } from "../../../testing/frames/fragment-frames.ts";
import * as build from "../../../testing/frames/frame-builder.ts";
import { checkFrame } from "../../../testing/frames/frame-checker.ts";
import { OPTION_CASES, optionBytes, optionsText } from "../../../testing/frames/option-cases.ts";
import { nodeAddress, uplinkMacOf, vtepMacOf } from "../../../testing/world/test-cluster.ts";
import { pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";
import { computeChecksum } from "../../../wire/ip/ipv4.ts";

const [POD2, POD3, REMOTE, PEER] = ["10.244.1.2", "10.244.1.3", "10.244.2.2", "192.168.50.12"];
const VIP = "10.96.0.10";
const L3 = 14;
const OPTIONS = L3 + 20;
const OWN = "c0a8320b"; // 192.168.50.11
const DAY_MS = 12 * 3_600_000;
const ROUTE = optionBytes("070b04 0000000000000000 00", OWN);

function fresh(): TestNode {
  const node = new TestNode({ vxlan: false });
  node.engine.epochMs = 20_000 * 86_400_000 + DAY_MS;
  node.send("uplink", build.arpFrame({ senderIp: PEER, senderMac: uplinkMacOf(2), targetIp: node.address }));
  node.run();
  node.everything();
  return node;
}

for (const { name, hex, want } of OPTION_CASES) {
  t.test(`to the next node: ${name}`, async (t) => {
    const node = fresh();
    const ipOptions = optionBytes(hex, OWN);
    const out = node.through(
      "pod2",
      build.udpFrame({ ...pathTo(node, POD2, REMOTE), ipOptions, payload: 9 }),
    );
    if (typeof want === "string") {
      const got = out.frame.subarray(OPTIONS, OPTIONS + ipOptions.length);
      t.equal(optionsText(got, want, { own: OWN, address: OWN, back: "0af40101", dayMs: DAY_MS }), want);
      t.same(checkFrame(out.frame), []);
      return;
    }
    t.equal(out.port, "pod2");
    t.same([...out.frame.subarray(OPTIONS, OPTIONS + 2)], [12, 0], "parameter problem");
    t.equal(out.frame[OPTIONS + 4], want, "pointer");
    t.same(node.drops(), { MALFORMED_IPV4: 1 });
  });
}

t.test(
  "towards a pod the gateway's address is recorded, into the tunnel the VTEP's, inside alone",
  async (t) => {
    const node = new TestNode({ index: 2 });
    const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
    const inner = build.udpFrame({
      ...{ srcMac: vtepMacOf(1), dstMac: vtepMacOf(2), src: POD2, dst: REMOTE },
      ipOptions: ROUTE,
    });
    const out = node.through("uplink", build.vxlanFrame({ ...link, inner }));
    t.same([...out.frame.subarray(OPTIONS, OPTIONS + 7)], [7, 11, 8, 10, 244, 2, 1]);
    const answer = build.udpFrame({ ...pathTo(node, REMOTE, POD2), ipOptions: ROUTE });
    node.send(
      "uplink",
      build.arpFrame({ ...{ senderIp: link.src, senderMac: link.srcMac, targetIp: link.dst } }),
    );
    node.run();
    node.everything();
    const back = node.through("pod2", answer).frame;
    t.equal(back[L3], 0x45, "the outer header has none");
    t.same([...back.subarray(50 + OPTIONS, 50 + OPTIONS + 7)], [7, 11, 8, 10, 244, 2, 0]);
  },
);

t.test("only the first fragment bears the route, whichever came last", async (t) => {
  const node = fresh();
  const path = { ...pathTo(node, POD2, REMOTE), ipOptions: ROUTE, payload: 1600, dontFragment: false };
  const pieces = fragmentsOf(build.udpFrame(path), 800);
  for (const piece of pieces.slice(1)) piece.fill(1, OPTIONS, OPTIONS + 12); // as their sender left them
  for (const piece of pieces.slice(1)) computeChecksum(viewOf(piece), L3);
  for (const piece of [...pieces.slice(1), pieces[0]]) node.send("pod2", piece);
  node.run();
  const got = node.received("uplink").map(({ frame }) => frame);
  t.same([...got[0].subarray(OPTIONS, OPTIONS + 7)], [7, 11, 8, 192, 168, 50, 11]);
  for (const frame of got.slice(1)) t.same(frame.subarray(OPTIONS, OPTIONS + 11), new Uint8Array(11).fill(1));
  t.equal(got.length, 3);
});

t.test(
  "nobody acts on options between pods, of the node's own packets, or of what is for the node",
  async (t) => {
    const node = fresh();
    const bad = optionBytes("070703 00000000 00", OWN);
    for (const [from, src, dst, to] of [
      ["pod2", POD2, POD3, "pod3"],
      ["host", node.address, POD3, "pod3"],
    ]) {
      for (const ipOptions of [ROUTE, bad]) {
        const frame = build.udpFrame({ ...pathTo(node, src, dst), ipOptions });
        const out = node.through(from, frame);
        t.equal(out.port, to);
        t.same(out.frame.subarray(L3), frame.subarray(L3));
      }
    }
    const frame = build.udpFrame({ ...pathTo(node, POD2, node.address), ipOptions: ROUTE });
    const out = node.through("pod2", frame);
    t.equal(out.port, "host");
    t.same(out.frame.subarray(L3), frame.subarray(L3), "its own stack does");
  },
);

t.test("source routes are refused, as by Linux' default", async (t) => {
  const node = fresh();
  for (const hex of ["83070400000000 00", "89070400000000 00"])
    node.send("pod2", build.udpFrame({ ...pathTo(node, POD2, REMOTE), ipOptions: optionBytes(hex, OWN) }));
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { SOURCE_ROUTED: 2 });
});

t.test("to a ClusterIP: translated with its options, recorded once, on the way back as well", async (t) => {
  const node = fresh();
  node.setService({ name: "dns", clusterIp: VIP, protocol: 17, port: 53, endpoints: [`${POD3}:5353`] });
  const there = node.through("pod2", build.udpFrame({ ...pathTo(node, POD2, VIP), ipOptions: ROUTE }));
  t.equal(there.port, "pod3");
  t.match(there.text, `> ${POD3}.5353`);
  const back = { ...pathTo(node, POD3, POD2), srcPort: 5353, dstPort: 41000, ipOptions: ROUTE };
  const answer = node.through("pod3", build.udpFrame({ ...back, dstMac: node.gatewayMac }));
  t.match(answer.text, `${VIP}.53 >`);
  for (const { frame } of [there, answer]) {
    t.equal(
      Buffer.from(frame.subarray(OPTIONS, OPTIONS + 7)).toString("hex"),
      "070b080af40101",
      "the gateway",
    );
    t.same(checkFrame(frame), []);
  }
});
