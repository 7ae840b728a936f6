// What comes out of the tunnel for each pair of congestion marks: RFC 6040 §4.2, figure 4, every cell, for both inner
// families.
import t from "tap";
import * as build from "../testing/frames/frame-builder.ts";
import { makeDualStack, pod6 } from "../testing/world/dual-stack.ts";
import { nodeAddress, uplinkMacOf, vtepMacOf } from "../testing/world/test-cluster.ts";
import { TestNode } from "../testing/world/test-node.ts";

const L3 = 14;
const DSCP = 0xb8; // expedited forwarding, to be left alone
const NAMES = ["Not-ECT", "ECT(1)", "ECT(0)", "CE"];
const DROP = -1;
/** Row: the inner field; column: the outer one. Both in the order of the code points 0…3. */
const FIGURE_4 = [
  [0, 0, 0, DROP],
  [1, 1, 1, 3],
  [2, 1, 2, 3],
  [3, 3, 3, 3],
];

for (const family of [4, 6]) {
  for (const [inner, row] of FIGURE_4.entries()) {
    for (const [outer, want] of row.entries()) {
      const out = want === DROP ? "dropped" : NAMES[want];
      t.test(`IPv${family}, inner ${NAMES[inner]}, outer ${NAMES[outer]}: ${out}`, async (t) => {
        for (const summed of [false, true]) {
          const node = makeDualStack(new TestNode({ index: 2, summed }));
          t.same(arrivals(node, family, inner, outer), want === DROP ? [] : [DSCP | want]);
          t.same(node.drops(), want === DROP ? { VXLAN_CONGESTION: 1 } : {});
        }
      });
    }
  }
}

/** What the pod gets of a segment with the mark `inner` in a tunnel packet with the mark `outer`. */
function arrivals(node: TestNode, family: number, inner: number, outer: number): number[] {
  const macs = { srcMac: vtepMacOf(1), dstMac: vtepMacOf(2), tos: DSCP | inner };
  const path = family === 4 ? { src: "10.244.1.2", dst: "10.244.2.2" } : { src: pod6(1, 2), dst: pod6(2, 2) };
  const packet = build.tcpFrame({ ...macs, ...path, flags: "S" });
  const link = {
    ...{ srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), tos: outer },
    ...{ src: nodeAddress(1), dst: nodeAddress(2) },
  };
  node.send("uplink", build.vxlanFrame({ ...link, inner: packet }));
  node.run();
  return node.received("pod2").map(({ frame }) => tosOf(frame));
}

function tosOf(frame: Uint8Array): number {
  if (frame[L3] >> 4 === 4) return frame[L3 + 1];
  return ((frame[L3] & 15) << 4) | (frame[L3 + 1] >> 4);
}
