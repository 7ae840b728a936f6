// Protocols without states through the whole node: UDP-Lite, GRE, ESP, AH and unknown ones.

import t from "tap";
import { Protocol } from "../../base/protocols.ts";
import { concat } from "../../testing/frames/bytes.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";

const { UDPLITE } = Protocol;

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const PPTP = concat(
  Uint8Array.from([0x30, 0x01, 0x88, 0x0b, 0, 4, 0, 42, 0, 0, 0, 1]),
  Uint8Array.from([0xff, 3, 0, 0x21]),
);

function knowing(): TestNode {
  const node = new TestNode();
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  return node;
}

const left = (node: TestNode): number => node.tables.conntrack.expiresAtSec[0] - node.engine.nowSec;

/** There, back, there: time-outs after each, and the entry at the end. */
function talk(proto: number, payload: Uint8Array | number = 20): [number[], string] {
  const node = new TestNode();
  const frame = (from: string, to: string): Uint8Array =>
    proto === UDPLITE
      ? build.udpLiteFrame({ ...pathTo(node, from, to), srcPort: 5, dstPort: 5, payload: 3 })
      : build.rawFrame({ ...pathTo(node, from, to), proto, payload });
  const seconds: number[] = [];
  for (const [port, from, to] of [
    ["pod2", POD2, POD3],
    ["pod3", POD3, POD2],
    ["pod2", POD2, POD3],
  ]) {
    node.through(port, frame(from, to));
    seconds.push(left(node));
  }
  return [seconds, node.connections().join("; ")];
}

const ways = `${POD2}:0>${POD3}:0 ${POD3}:0>${POD2}:0`;
const lite = `${POD2}:5>${POD3}:5 ${POD3}:5>${POD2}:5`;
for (const [name, proto, seconds, entry] of [
  ["GRE", 47, [30, 30, 180], `gre ${ways} [ASSURED]`],
  ["ESP", 50, [600, 600, 600], `50 ${ways}`],
  ["AH", 51, [600, 600, 600], `51 ${ways}`],
  ["IP in IP", 4, [600, 600, 600], `4 ${ways}`],
  ["OSPF", 89, [600, 600, 600], `89 ${ways}`],
  ["DCCP", 33, [600, 600, 600], `33 ${ways}`],
  ["UDP-Lite", UDPLITE, [30, 30, 120], `udplite ${lite} [ASSURED]`],
] as const) {
  t.test(`${name} is followed as nf_conntrack does`, async (t) => {
    t.same(talk(proto), [seconds, entry]);
  });
}

t.test("calls of PPTP are told apart by the receiver's call, as without its helper", async (t) => {
  const [, entry] = talk(47, PPTP);
  const there = `gre ${POD2}:0>${POD3}:42 ${POD3}:42>${POD2}:0 [UNREPLIED]`;
  const back = `gre ${POD3}:0>${POD2}:42 ${POD2}:42>${POD3}:0 [UNREPLIED]`;
  t.equal(entry, `${there}; ${back}`);
});

for (const proto of [33, 47, 50, 51, 89, 253]) {
  t.test(
    `protocol ${proto} leaves the cluster by address alone; a second pod to the same place must wait`,
    async (t) => {
      const node = knowing();
      const from = (pod: string): Uint8Array =>
        build.rawFrame({ ...pathTo(node, pod, CLIENT), proto, payload: 24 });
      const sent = from(POD2);
      const out = node.through("pod2", sent);
      t.same(out.frame.subarray(34), sent.subarray(34), "not a byte behind the IP header changes");
      t.equal([...out.frame.subarray(26, 30)].join("."), node.address);
      node.send("pod3", from(POD3));
      node.run();
      t.same(node.everything(), []);
      t.same(node.drops(), { CT_TUPLE_TAKEN: 1 });
      const back = node.through(
        "uplink",
        build.rawFrame({ ...pathTo(node, CLIENT, node.address), proto, payload: 24 }),
      );
      t.equal(back.port, "pod2");
      node.clock.advanceSec(601);
      node.send("pod3", from(POD3));
      node.run();
      const words = `IP ${node.address} > ${CLIENT}: `;
      t.ok(
        node.texts("uplink").some((text) => text.startsWith(words)),
        "free again when the first has expired",
      );
    },
  );
}

for (const coverage of [0, 8, 12, 108]) {
  t.test(
    `UDP-Lite with ${coverage || "all"} bytes under its checksum is masqueraded with a port`,
    async (t) => {
      const node = knowing();
      const lite = (pod: string): Uint8Array =>
        build.udpLiteFrame({
          ...pathTo(node, pod, CLIENT),
          srcPort: 700,
          dstPort: 800,
          payload: 100,
          coverage,
        });
      const out = node.through("pod2", lite(POD2));
      t.equal(out.port, "uplink");
      t.equal(node.through("pod3", lite(POD3)).port, "uplink");
      const port = (out.frame[34] << 8) | out.frame[35];
      const answer = { ...pathTo(node, CLIENT, node.address), srcPort: 800, dstPort: port, payload: 9 };
      const back = node.through(
        "uplink",
        build.udpLiteFrame({ ...answer, coverage: Math.min(coverage, 17) }),
      );
      t.equal(back.port, "pod2");
      t.equal((back.frame[36] << 8) | back.frame[37], 700);
    },
  );
}

t.test("UDP-Lite without a checksum, or one that covers less than its header, goes nowhere", async (t) => {
  const node = new TestNode();
  const frame = build.udpLiteFrame({ ...pathTo(node, POD2, POD3), payload: 4 });
  for (const [at, bytes, reason] of [
    [40, [0, 0], "UDP_NO_CHECKSUM"],
    [38, [0, 7], "MALFORMED_UDP"],
    [38, [0, 13], "MALFORMED_UDP"],
  ] as const) {
    const bad = frame.slice();
    bad.set(bytes, at);
    node.send("pod2", bad);
    node.run();
    t.same(node.takeDrops(), { [reason]: 1 });
  }
});

t.test("ICMP of the other family is INVALID", async (t) => {
  const node = new TestNode();
  node.send(
    "pod2",
    build.rawFrame({ ...pathTo(node, POD2, POD3), proto: 58, payload: Uint8Array.from([128, 0, 0, 0]) }),
  );
  node.run();
  t.same(node.everything(), []);
  t.same(node.drops(), { CT_INVALID: 1 });
});
