// Hot subject of the plane, IPv6: what hot-pipeline.ts does for IPv4, and what only IPv6 has: solicitations, fragment
// headers.

import * as build from "../frames/frame-builder.ts";
import {
  CLIENT6,
  fragmentsOf6,
  gateway6,
  makeDualStack,
  node6,
  pathTo6,
  pod6,
  podMac6,
} from "../world/dual-stack.ts";
import { VIP6 } from "../world/dual-stack-samples.ts";
import { nodeAddress, uplinkMacOf, vtepMacOf } from "../world/test-cluster.ts";
import { CLIENT_MAC } from "../world/test-fabric.ts";
import { TestNode } from "../world/test-node.ts";
import { addNeighbor, plain, subjectOf, superframe, type Traffic } from "./hot-pipeline.ts";
import type { HotSubject } from "./hot-subject.ts";

const [POD2, POD3, REMOTE] = [pod6(1, 2), pod6(1, 3), pod6(2, 2)];

export function createDualStackSubject(): HotSubject {
  const node = makeDualStack(new TestNode({ unchecked: true }));
  node.setService({ name: "web", clusterIp: VIP6, port: 80, endpoints: [`[${POD3}]:8080`] });
  addNeighbor(node, nodeAddress(2), uplinkMacOf(2));
  addNeighbor(node, CLIENT6, CLIENT_MAC);
  const ends = pathTo6(node, POD2, VIP6);
  node.through("pod2", build.tcpFrame({ ...ends, seq: 99, flags: "S", mss: 1390 }));
  const back = { ...pathTo6(node, POD3, POD2), srcPort: 8080, dstPort: 41000 };
  node.through("pod3", build.tcpFrame({ ...back, seq: 499, ack: 100, flags: "S.", mss: 1390 }));
  node.through("pod2", build.tcpFrame({ ...ends, seq: 100, ack: 500 }));
  return subjectOf(node, createTraffic(node));
}

function createTraffic(node: TestNode): Traffic {
  const at = (src: string, dst: string) => pathTo6(node, src, dst);
  const data = { seq: 100, ack: 500, flags: "P." };
  const inner = { src: REMOTE, dst: POD2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1) };
  const outer = { src: nodeAddress(2), dst: nodeAddress(1), srcMac: uplinkMacOf(2), dstMac: node.uplinkMac };
  const question = { ...at(POD2, gateway6(1)), dst: "ff02::1:ff00:1", dstMac: "33:33:ff:00:00:01" };
  return {
    pod2: [
      plain(build.tcpFrame({ ...at(POD2, VIP6), ...data, payload: 512 })),
      superframe(build.tcpFrame({ ...at(POD2, VIP6), ...data, payload: 14_000 }), 1380),
      plain(build.udpFrame({ ...at(POD2, POD3), payload: 64 })),
      superframe(build.tcpFrame({ ...at(POD2, REMOTE), flags: ".", payload: 14_000 }), 1378),
      plain(build.echoFrame(at(POD2, CLIENT6))),
      plain(build.neighborSolicitationFrame({ ...question, target: gateway6(1), mac: podMac6(1, 2) })),
      ...fragmentsOf6(build.udpFrame({ ...at(POD2, CLIENT6), srcPort: 9, payload: 3000 }), 1200, 7).map(
        plain,
      ),
    ],
    pod3: [plain(build.tcpFrame({ ...at(POD3, POD2), srcPort: 8080, dstPort: 41000, seq: 500, ack: 100 }))],
    host: [plain(build.udpFrame({ ...at(node6(1), POD2), srcPort: 700, dstPort: 701, payload: 10 }))],
    uplink: [plain(build.vxlanFrame({ ...outer, inner: build.echoFrame(inner) }))],
  };
}
