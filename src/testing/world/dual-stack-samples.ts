// IPv6 frames for fuzzing that get far into the pipeline of a dual-stack node: pods, services, the tunnel, fragments,
// neighbour discovery, errors; and the neighbours' answers.
import { formatIp } from "../../base/ip.ts";
import * as build from "../frames/frame-builder.ts";
import {
  CLIENT6,
  fragmentsOf6,
  gateway6,
  HOST_HOP6,
  makeDualStack,
  node6,
  pathTo6,
  pod6,
  ROUTER6,
} from "./dual-stack.ts";
import { uplinkMacOf, vtepMacOf } from "./test-cluster.ts";
import { CLIENT_MAC, ROUTER_MAC } from "./test-fabric.ts";
import { TestNode } from "./test-node.ts";

export const VIP6 = "fd00:10:96::a";
const STATIONS: Readonly<Record<string, string>> = {
  [node6(2)]: uplinkMacOf(2),
  [CLIENT6]: CLIENT_MAC,
  [ROUTER6]: ROUTER_MAC,
};
const SOLICITATION = 135;

export function dualStackSamples(): Uint8Array[] {
  const node = makeDualStack(new TestNode());
  const [pod2, pod3, remote] = [pod6(1, 2), pod6(1, 3), pod6(2, 2)];
  const at = (src: string, dst: string) => pathTo6(node, src, dst);
  const inner = { src: remote, dst: pod2, srcMac: vtepMacOf(2), dstMac: vtepMacOf(1) };
  const ask = { dst: "ff02::1:ff00:1", dstMac: "33:33:ff:00:00:01" };
  const toVip = build.tcpFrame({ ...at(pod2, VIP6), flags: "S", mss: 1390, wscale: 7 });
  return [
    toVip,
    build.tcpFrame({ ...at(pod3, pod2), srcPort: 8080, dstPort: 41000, flags: "S.", ack: 1 }),
    build.tcpFrame({ ...at(pod2, remote), flags: "P.", payload: 3000 }),
    build.udpFrame({ ...at(pod2, remote), payload: 1500 }),
    build.udpFrame({ ...at(pod2, "2001:db8::9"), payload: 100 }),
    build.udpFrame({ ...at(pod2, CLIENT6), ttl: 1 }),
    build.udpFrame({ ...at(pod2, CLIENT6), checksum: false }),
    build.echoFrame(at(pod2, gateway6(1))),
    build.echoFrame(at(pod2, CLIENT6)),
    build.tcpFrame({ ...at(CLIENT6, node6(1)), dstPort: 30080, flags: "S" }),
    build.icmpErrorFrame({ ...at(CLIENT6, node6(1)), type: 2, code: 0, rest: 1400, about: toVip }),
    build.vxlanFrame({ ...at(node6(2), node6(1)), inner: build.echoFrame(inner), checksum: true }),
    build.vxlanFrame({
      ...{ src: "192.168.50.12", dst: "192.168.50.11", srcMac: uplinkMacOf(2), dstMac: node.uplinkMac },
      inner: build.tcpFrame({ ...inner, flags: "S" }),
    }),
    build.neighborSolicitationFrame({
      ...at(pod2, pod3),
      ...ask,
      target: gateway6(1),
      mac: "02:00:00:00:00:77",
    }),
    build.neighborSolicitationFrame({ ...at(pod2, pod3), ...ask, src: "::", target: gateway6(1) }),
    build.neighborSolicitationFrame({ ...at(node6(1), CLIENT6), ...ask, target: HOST_HOP6 }),
    build.neighborSolicitationFrame({ ...at(CLIENT6, node6(1)), target: node6(1), mac: CLIENT_MAC }),
    build.neighborAdvertisementFrame({ ...at(CLIENT6, node6(1)), target: CLIENT6, mac: CLIENT_MAC }),
    ...fragmentsOf6(build.udpFrame({ ...at(pod2, CLIENT6), payload: 3000 }), 1200, 7),
  ];
}

/** The stations of the fabric answer a solicitation. */
export function answerSolicitation(node: TestNode, frame: Uint8Array): void {
  const isAsked = frame.length >= 78 && frame[12] === 0x86 && frame[20] === 58 && frame[54] === SOLICITATION;
  if (!isAsked) return;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const word = (i: number): number => view.getInt32(62 + 4 * i);
  const target = formatIp({ w0: word(0), w1: word(1), w2: word(2), w3: word(3) });
  const mac = STATIONS[target];
  if (mac === undefined) return;
  const ends = { src: target, srcMac: mac, dst: node6(node.index), dstMac: node.uplinkMac };
  node.send("uplink", build.neighborAdvertisementFrame({ ...ends, target, mac }));
}
