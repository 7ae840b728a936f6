// Congestion marks through a kernel's vxlan device and through ours: every cell of RFC 6040's table on the way out of the
// tunnel, every code point on the way in, for both inner and both outer families.

import t from "tap";
import { Protocol } from "../../src/base/protocols.ts";
import * as neighbor from "../../src/dataplane/table/neighbor.ts";
import * as build from "../../src/testing/frames/frame-builder.ts";
import { makeDualStack, node6, pod6, podMac6, vtep6 } from "../../src/testing/world/dual-stack.ts";
import { macOf, nodeAddress, uplinkMacOf, vtepMacOf, words } from "../../src/testing/world/test-cluster.ts";
import { TestNode } from "../../src/testing/world/test-node.ts";
import { Namespaces } from "../support/namespaces.ts";
import { TapNamespace } from "../support/tap-namespace.ts";

const { UDP } = Protocol;

const skip = process.getuid?.() === 0 ? false : "needs root";
const L3 = 14;
const DSCP = 0xb8;
const MARKS = [0, 1, 2, 3];
const FAMILIES = [4, 6] as const;
type Family = (typeof FAMILIES)[number];

/** Node 2 and its pod; node 1 is at the other end of the tunnel. */
const POD = { 4: "10.244.2.2", 6: pod6(2, 2) } as const;
const FAR_POD = { 4: "10.244.1.2", 6: pod6(1, 2) } as const;
const FAR_VTEP = { 4: "10.244.1.0", 6: vtep6(1) } as const;
const nodeOf = (family: Family, index: number): string => (family === 4 ? nodeAddress(index) : node6(index));

function tosOf(frame: Uint8Array): number {
  if (frame[L3] >> 4 === 4) return frame[L3 + 1];
  return ((frame[L3] & 15) << 4) | (frame[L3 + 1] >> 4);
}

/** A kernel that is node 2: a vxlan device, a pod behind a TAP, the fabric behind another one. */
function kernelNode(namespaces: Namespaces, outer: Family): TapNamespace {
  const kernel = new TapNamespace(namespaces, `v${outer}`, {
    fabric: uplinkMacOf(2),
    pod: macOf("10.244.2.1"),
  });
  const host = outer === 4 ? 24 : 64;
  const nodad = outer === 4 ? "" : " nodad";
  const [near, far] = [vtepMacOf(2), vtepMacOf(1)];
  kernel.configure([
    `addr add ${nodeOf(outer, 2)}/${host} dev fabric${nodad}`,
    `neigh add ${nodeOf(outer, 1)} lladdr ${uplinkMacOf(1)} dev fabric nud permanent`,
    `link add tunnel type vxlan id 1 dstport 8472 local ${nodeOf(outer, 2)} dev fabric nolearning`,
    `link set tunnel address ${near} addrgenmode none up`,
    "addr add 10.244.2.0/32 dev tunnel",
    `addr add ${vtep6(2)}/128 dev tunnel nodad`,
    ...FAMILIES.flatMap((inner) => [
      `route add ${POD[inner]} dev pod`,
      `neigh add ${POD[inner]} lladdr ${podMac6(2, 2)} dev pod nud permanent`,
      `neigh add ${FAR_VTEP[inner]} lladdr ${far} dev tunnel nud permanent`,
      `route add ${FAR_POD[inner]} via ${FAR_VTEP[inner]} dev tunnel onlink`,
    ]),
  ]);
  kernel.run(`bridge fdb add ${far} dev tunnel dst ${nodeOf(outer, 1)}`);
  return kernel;
}

function ourNode(outer: Family): TestNode {
  const node = makeDualStack(new TestNode({ index: 2 }), outer);
  const { w0, w1, w2, w3 } = words(nodeOf(outer, 1));
  const mac = uplinkMacOf(1)
    .split(":")
    .map((byte) => Number.parseInt(byte, 16));
  const lo = (mac[2] << 24) | (mac[3] << 16) | (mac[4] << 8) | mac[5] | 0;
  neighbor.addPermanent(
    node.tables.fabric,
    w0,
    w1,
    w2,
    w3,
    (mac[0] << 8) | mac[1],
    lo,
    node.portId("uplink"),
  );
  return node;
}

/** What came out there, by its marks; nothing is "dropped". */
function marksOf(frames: readonly Uint8Array[]): string {
  return frames.map((frame) => tosOf(frame).toString(16)).join() || "dropped";
}

const isTunnel = (frame: Uint8Array): boolean => frame[L3 + (frame[L3] >> 4 === 4 ? 9 : 6)] === UDP;
const isTcp = (frame: Uint8Array): boolean => frame[L3 + (frame[L3] >> 4 === 4 ? 9 : 6)] === 6;

for (const outer of FAMILIES) {
  for (const inner of FAMILIES) {
    t.test(
      `IPv${inner} in IPv${outer}: marks are the same in a kernel's vxlan device`,
      { skip },
      async (t) => {
        const namespaces = new Namespaces("pwt-ecn");
        t.teardown(() => namespaces.remove());
        const kernel = kernelNode(namespaces, outer);
        t.teardown(() => kernel.close());
        let passed = 0;
        for (const mark of MARKS) {
          for (const outerMark of MARKS) {
            const packet = build.tcpFrame({
              ...{ srcMac: vtepMacOf(1), dstMac: vtepMacOf(2), src: FAR_POD[inner], dst: POD[inner] },
              ...{ tos: DSCP | mark, flags: "S" },
            });
            const frame = build.vxlanFrame({
              ...{
                srcMac: uplinkMacOf(1),
                dstMac: uplinkMacOf(2),
                src: nodeOf(outer, 1),
                dst: nodeOf(outer, 2),
              },
              ...{ tos: outerMark, inner: packet, checksum: outer === 6 },
            });
            const node = ourNode(outer);
            node.send("uplink", frame);
            node.run();
            const ours = marksOf(node.received("pod2").map((got) => got.frame));
            const out = kernel.exchange("fabric", frame).filter(({ device }) => device === "pod");
            const theirs = marksOf(out.map((got) => got.frame).filter(isTcp));
            t.equal(ours, theirs, `inner ${mark}, outer ${outerMark}: ${theirs}`);
            if (theirs !== "dropped") passed++;
          }
          const packet = build.tcpFrame({
            ...{ srcMac: podMac6(2, 2), dstMac: macOf("10.244.2.1"), src: POD[inner], dst: FAR_POD[inner] },
            ...{ tos: DSCP | mark, flags: "S", srcPort: 40_000 + mark },
          });
          const node = ourNode(outer);
          node.send("pod2", packet);
          node.run();
          const ours = marksOf(
            node
              .received("uplink")
              .map((got) => got.frame)
              .filter(isTunnel),
          );
          const out = kernel.exchange("pod", packet).filter(({ device }) => device === "fabric");
          const theirs = marksOf(out.map((got) => got.frame).filter(isTunnel));
          t.equal(ours, theirs, `inner ${mark} into the tunnel: outer ${theirs}`);
          t.not(theirs, "dropped");
        }
        t.equal(passed, 15, "only a mark that cannot be borne drops");
      },
    );
  }
}
