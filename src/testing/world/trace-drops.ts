// One packet for every drop reason, for the test that each leaves a record; those that nobody gives are named, too.
import { createPrefixSet } from "../../dataplane/change/prefix-set.ts";
import type { DropReason } from "../../dataplane/drop-reason.ts";
import * as engine from "../../dataplane/engine.ts";
import { type Port, PortRole } from "../../dataplane/port.ts";
import { Action } from "../../dataplane/spec/services.ts";
import { Conntrack } from "../../dataplane/table/connection/conntrack.ts";
import { QUEUE_MAX } from "../../dataplane/table/pending-queue.ts";
import * as offloadTwin from "../../wire/bytes/offload.ts";
import { fragmentOf } from "../frames/fragment-frames.ts";
import * as build from "../frames/frame-builder.ts";
import * as chunk from "../frames/sctp-chunks.ts";
import { superframe } from "../frames/virtio-frames.ts";
import { CLIENT6, makeDualStack, pathTo6, pod6 } from "./dual-stack.ts";
import { BROUGHT_BY_STRANGER } from "./kept-clients.ts";
import { FLOODED } from "./limited-pod.ts";
import { ofMesh } from "./meshed.ts";
import { macOf, nodeAddress, prefix, uplinkMacOf, vtepMacOf } from "./test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "./test-fabric.ts";
import { TestNode, type TestNodeOptions } from "./test-node.ts";
import { assure, establish, ftpLine, speakFtp } from "./trace-stages.ts";

export interface DropCase {
  readonly options?: TestNodeOptions;
  /** Before anybody traces. */
  readonly prepare?: (node: TestNode) => void;
  readonly send: (node: TestNode) => void;
}

export type ReasonName = keyof typeof DropReason;

/** Kept for what is to come, or for who reads old captures. */
export const UNUSED: readonly ReasonName[] = ["NONE", "FDB_FULL"];

const [POD2, POD3, VIP, OUTSIDE] = ["10.244.1.2", "10.244.1.3", "10.96.0.10", "203.0.113.9"];
const L3 = 14;
const WEB = { name: "default/web:http", clusterIp: VIP, endpoints: [`${POD3}:8080`] };
const STRANGER = "02:aa:00:00:00:01";

/** A frame of pod 2, by the gateway or not. */
function from(change: (node: TestNode) => Uint8Array, virtio?: Uint8Array): DropCase["send"] {
  return (node) => {
    node.send("pod2", change(node), virtio);
    node.run();
  };
}

const path = (node: TestNode, dst = POD3) => ({ ...pathTo(node, POD2, dst), dstMac: node.gatewayMac });
const udp = (node: TestNode, o: object = {}, dst = POD3): Uint8Array =>
  build.udpFrame({ ...path(node, dst), payload: 30, ...o });
const tcp = (node: TestNode, o: object = {}, dst = POD3): Uint8Array =>
  build.tcpFrame({ ...path(node, dst), flags: "S", ...o });

function poked(frame: Uint8Array, at: number, ...bytes: number[]): Uint8Array {
  frame.set(bytes, at);
  return frame;
}

function damaged(frame: Uint8Array): Uint8Array {
  return poked(frame, frame.length - 1, frame[frame.length - 1] ^ 0x41);
}

/** An unspecific frame of a protocol, too short for its header. */
const stub =
  (proto: number) =>
  (node: TestNode): Uint8Array =>
    build.rawFrame({ ...path(node), proto, payload: 3 });

function tunnel(o: object, change: (frame: Uint8Array) => Uint8Array = (frame) => frame): DropCase {
  return {
    options: { index: 2 },
    send: (node) => {
      const link = {
        srcMac: uplinkMacOf(1),
        dstMac: uplinkMacOf(2),
        src: nodeAddress(1),
        dst: nodeAddress(2),
      };
      const inner = build.udpFrame({
        ...{ src: POD2, dst: "10.244.2.2", srcMac: vtepMacOf(1), dstMac: vtepMacOf(2) },
      });
      node.send("uplink", change(build.vxlanFrame({ ...link, inner, ...o })));
      node.run();
    },
  };
}

function known(node: TestNode): void {
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
}

/** Without a free packet slot; afterwards the pool is as it was. */
function withoutSlots(node: TestNode, port: string): void {
  const { pool } = node.tables;
  const { count } = pool;
  pool.count = 0;
  engine.pollPort(node.engine, node.portId(port));
  pool.count = count;
}

const later = (node: TestNode, ms: number): void => node.advanceMs(ms, 250);

export const DROPS: Readonly<Partial<Record<ReasonName, DropCase>>> = {
  MALFORMED_ETHERNET: { send: from(() => new Uint8Array(9)) },
  MALFORMED_ARP: {
    send: from((n) =>
      build.arpFrame({ senderIp: POD2, senderMac: macOf(POD2), targetIp: n.gateway }).slice(0, 40),
    ),
  },
  MALFORMED_IPV4: { send: from((n) => poked(udp(n), L3, 0x42)) },
  MALFORMED_IPV6: {
    send: from((n) => build.udpFrame(pathTo6(n, pod6(1, 2), pod6(1, 3))).slice(0, L3 + 20)),
  },
  MALFORMED_TCP: { send: from((n) => poked(tcp(n), L3 + 32, 0x10)) },
  MALFORMED_UDP: { send: from((n) => poked(udp(n), L3 + 24, 0, 3)) },
  MALFORMED_ICMP: { send: from(stub(1)) },
  MALFORMED_SCTP: { send: from(stub(132)) },
  BAD_IP_CHECKSUM: { send: from((n) => poked(udp(n), L3 + 10, 0x12, 0x34)) },
  BAD_VNET_HEADER: { send: from((n) => udp(n), Uint8Array.from([1, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0])) },
  SOURCE_ROUTED: {
    send: from((n) => udp(n, { ipOptions: Uint8Array.from([131, 7, 4, 1, 2, 3, 4, 0]) })),
  },
  UNSUPPORTED_L3: {
    send: from((n) => build.linkFrame({ srcMac: macOf(POD2), dstMac: n.gatewayMac }, 0x88b5, 46, () => {})),
  },
  NOT_FOR_US: {
    send: (node) => {
      node.send("uplink", build.udpFrame({ ...pathTo(node, CLIENT, node.address), dstMac: STRANGER }));
      node.run();
    },
  },
  NO_OTHER_PORT: {
    prepare: (n) => void (n.tables.config.guard.antiSpoofing = 0),
    send: from(() => build.linkFrame({ srcMac: STRANGER, dstMac: macOf(POD2) }, 0x88b5, 46, () => {})),
  },
  MARTIAN_SOURCE: {
    prepare: (n) => void (n.tables.config.guard.antiSpoofing = 0),
    send: from((n) => udp(n, { src: "127.0.0.1" })),
  },
  NO_ROUTE: { send: from((n) => udp(n, {}, "8.8.8.8")) },
  ROUTE_UNREACHABLE: { send: from((n) => udp(n, {}, "198.18.0.1")) },
  ROUTE_BLACKHOLE: { send: from((n) => udp(n, {}, "198.19.0.1")) },
  TTL_EXCEEDED: { send: from((n) => udp(n, { ttl: 1 })) },
  FRAGMENTATION_NEEDED: {
    send: (node) => {
      node.send(
        "uplink",
        build.udpFrame({ ...pathTo(node, OUTSIDE, POD2), dontFragment: true, payload: 1472 }),
      );
      node.run();
    },
  },
  NEIGHBOR_QUEUE_FULL: {
    options: { poolSlots: 400 },
    send: (node) => {
      for (let i = 0; i <= QUEUE_MAX; i++) node.send("pod2", udp(node, { payload: i }, OUTSIDE));
      node.run();
    },
  },
  NEIGHBOR_FAILED: {
    send: (node) => {
      from((n) => udp(n, {}, OUTSIDE))(node);
      later(node, 5000);
    },
  },
  NEIGHBOR_TABLE_FULL: {
    options: { sizes: { neighborsLog2: 3 } },
    send: (node) => {
      for (let i = 200; i < 212; i++)
        node.send("host", build.udpFrame(pathTo(node, node.address, `192.168.50.${i}`)));
      node.run();
      later(node, 5000);
    },
  },
  CT_INVALID: { send: from((n) => tcp(n, { flags: "S." })) },
  CT_TABLE_FULL: {
    options: { tables: { conntrack: new Conntrack(4) } },
    prepare: (node) => {
      for (let i = 0; i < 16; i++) node.send("pod2", udp(node, { srcPort: 1000 + i }));
      node.run();
      assure(node);
    },
    send: from((n) => udp(n, { srcPort: 7 })),
  },
  CT_TUPLE_TAKEN: {
    prepare: (node) => {
      known(node);
      node.through("pod3", build.rawFrame({ ...pathTo(node, POD3, CLIENT), proto: 99, payload: 8 }));
    },
    send: from((n) => build.rawFrame({ ...path(n, CLIENT), proto: 99, payload: 8 })),
  },
  SNAT_PORTS_EXHAUSTED: {
    prepare: (node) => {
      known(node);
      Object.assign(node.tables.config.snat, { min: 29_999, max: 32_768 }); // two, without the node ports
      for (const srcPort of [1100, 1101]) node.through("pod2", udp(node, { srcPort }, CLIENT));
      assure(node);
    },
    send: from((n) => udp(n, { srcPort: 1102 }, CLIENT)),
  },
  SERVICE_NO_ENDPOINTS: {
    prepare: (node) => node.setService({ ...WEB, endpoints: [] }),
    send: from((n) => tcp(n, {}, VIP)),
  },
  SERVICE_NO_LOCAL_ENDPOINTS: {
    prepare: (node) => node.setService({ ...WEB, action: Action.DROP }),
    send: from((n) => tcp(n, {}, VIP)),
  },
  SERVICE_SOURCE_RANGE: {
    prepare: (node) =>
      node.setService({ ...WEB, externalIp: "192.0.2.1", sourceRanges: ["198.51.100.0/24"] }),
    send: from((n) => tcp(n, {}, "192.0.2.1")),
  },
  FRAGMENT_OVERLAP: {
    send: (node) => {
      const datagram = udp(node, { payload: 200, dontFragment: false });
      for (const [at, end] of [
        [0, 64],
        [56, 120],
      ])
        node.send("pod2", fragmentOf(datagram, at, end, true));
      node.run();
    },
  },
  FRAGMENT_TOO_BIG: {
    send: from((n) => {
      const far = fragmentOf(udp(n, { payload: 200, dontFragment: false }), 0, 104, false);
      const view = new DataView(far.buffer);
      view.setUint16(L3 + 10, view.getUint16(L3 + 10) - (0x1fff - view.getUint16(L3 + 6)));
      view.setUint16(L3 + 6, 0x1fff);
      return far;
    }),
  },
  FRAGMENT_BAD_LENGTH: {
    send: from((n) => fragmentOf(udp(n, { payload: 200, dontFragment: false }), 0, 61, true)),
  },
  FRAGMENT_QUEUE_FULL: {
    options: { poolSlots: 16 },
    send: (node) => {
      for (let id = 0; id < 40; id++)
        node.send("pod2", fragmentOf(udp(node, { payload: 200, id, dontFragment: false }), 0, 64, true));
      node.run();
    },
  },
  FRAGMENT_TIMEOUT: {
    send: (node) => {
      from((n) => fragmentOf(udp(n, { payload: 200, dontFragment: false }), 0, 64, true))(node);
      from((n) => fragmentOf(udp(n, { payload: 200, dontFragment: false, id: 9 }), 64, 128, true))(node);
      later(node, 40_000);
    },
  },
  VXLAN_MALFORMED: tunnel({}, (frame) => poked(frame, L3 + 28, 0)),
  VXLAN_UNKNOWN_VNI: tunnel({ vni: 2 }),
  VXLAN_UNKNOWN_VTEP: tunnel({ src: "192.168.50.77" }),
  VXLAN_BAD_CHECKSUM: tunnel({ checksum: true }, damaged),
  VXLAN_INNER: tunnel({ inner: new Uint8Array(13) }),
  VXLAN_CONGESTION: tunnel({ tos: 3 }),
  TUNNEL_OUTSIDE_SOURCE: BROUGHT_BY_STRANGER,
  MESH_PROXY_AWAY: ofMesh(),
  TX_QUEUE_FULL: {
    options: { queue: 4 },
    send: (node) => {
      for (let i = 0; i < 3; i++) node.send("pod2", udp(node));
      engine.pollPort(node.engine, node.portId("pod2"));
      for (let i = 0; i < 3; i++) node.send("pod2", udp(node));
      node.run();
    },
  },
  TX_ERROR: {
    prepare: (node) => {
      const sink: Port = { name: "sink", role: PortRole.POD, ioKind: 0, fd: -1 };
      engine.attach(node.engine, node.portId("pod3"), sink, build.mac(macOf(POD3)), 1450);
    },
    send: from((n) => udp(n)),
  },
  TX_PORT_GONE: {
    prepare: (node) => void (node.tables.ports.active[node.portId("pod3")] = 0),
    send: from((n) => udp(n)),
  },
  GSO_UNSUPPORTED: {
    options: { offload: { ...offloadTwin, segmentTcp: () => -1 } },
    prepare: (node) => {
      const peer = { senderIp: nodeAddress(2), senderMac: uplinkMacOf(2), targetIp: node.address };
      node.send("uplink", build.arpFrame(peer));
      node.run();
    },
    send: (node) => {
      const { frame, virtio } = superframe(tcp(node, { flags: ".", payload: 9000 }, "10.244.2.2"), 1398);
      node.send("pod2", frame, virtio);
      node.run();
    },
  },
  INTERNAL_ERROR: {
    send: (node) => {
      const t = node.tables;
      const { routes } = t;
      Object.assign(t, { routes: null });
      node.send("pod2", udp(node));
      engine.pollPort(node.engine, node.portId("pod2"));
      Object.assign(t, { routes });
    },
  },
  SPOOFED_SOURCE: { send: from((n) => udp(n, { src: "10.244.1.9" })) },
  SPOOFED_MAC: { send: from((n) => udp(n, { srcMac: "0a:58:0a:f4:01:09" })) },
  SPOOFED_NEIGHBOR: {
    send: from(() => build.arpFrame({ senderMac: macOf(POD2), senderIp: "10.244.1.9", targetIp: POD3 })),
  },
  MULTICAST_UNROUTED: { send: from((n) => udp(n, {}, "224.0.0.251")) },
  NO_SLOT: {
    send: (node) => {
      node.send("pod2", build.arpFrame({ senderIp: POD2, senderMac: macOf(POD2), targetIp: node.gateway }));
      withoutSlots(node, "pod2");
    },
  },
  SERVICE_PORT_UNKNOWN: {
    prepare: (node) => node.setService({ ...WEB, isBound: true }),
    send: from((n) => udp(n, { dstPort: 99 }, VIP)),
  },
  SERVICE_IP_UNUSED: {
    prepare: (node) => void (node.tables.addresses.serviceRanges = createPrefixSet([prefix("10.96.0.0/12")])),
    send: from((n) => udp(n, {}, "10.96.0.77")),
  },
  MALFORMED_ND: {
    send: from((n) =>
      build.icmpFrame({ ...pathTo6(n, pod6(1, 2), pod6(1, 3)), ttl: 255 }, 135, 0, 0, new Uint8Array(8)),
    ),
  },
  UDP_NO_CHECKSUM: {
    send: from((n) => build.udpFrame({ ...pathTo6(n, pod6(1, 2), CLIENT6), checksum: false })),
  },
  LINK_LOCAL_UNROUTED: { send: from((n) => build.udpFrame(pathTo6(n, pod6(1, 2), "fe80::5"))) },
  HELPER_INCOMPLETE: {
    prepare: speakFtp,
    send: from((n) => ftpLine(n, "PORT 10,244")),
  },
  CT_INVALID_NAT: {
    prepare: (node) => {
      node.tables.config.proxy.dropInvalid = 0;
      establish(node);
    },
    send: (node) => {
      const back = { ...pathTo(node, POD3, POD2), srcPort: 8080, dstPort: 41000 };
      node.send("pod3", build.tcpFrame({ ...back, flags: "P.", seq: 1_000_000, ack: 1, payload: 5 }));
      node.run();
    },
  },
  TAGGED_FRAME: { send: from((n) => udp(n, { vlans: [5] })) },
  TUNNEL_FROM_POD: { send: from((n) => udp(n, { dstPort: 8472 }, n.address)) },
  IPV6_OPTION: {
    send: from((n) => {
      const plain = build.udpFrame({ ...pathTo6(n, pod6(1, 2), CLIENT6), payload: 8 });
      const frame = new Uint8Array(plain.length + 8);
      frame.set(plain.subarray(0, L3 + 40));
      frame.set([frame[L3 + 6], 0, 0x7e, 4, 0, 0, 0, 0], L3 + 40);
      frame.set(plain.subarray(L3 + 40), L3 + 48);
      frame[L3 + 6] = 0;
      frame[L3 + 5] += 8;
      return frame;
    }),
  },
  SERVICE_BACKENDS_FAILED: {
    prepare: (node) => {
      Object.assign(node.tables.config.proxy, { userspace: 1, retry: 1 });
      node.setService({ ...WEB, endpoints: [3, 4, 5, 6].map((host) => `10.244.1.${host}:8080`) });
      for (const host of [4, 5, 6]) node.addPod(host);
    },
    send: (node) => {
      from((n) => tcp(n, {}, VIP))(node);
      later(node, 5000);
    },
  },
  SERVICE_ENDPOINT_REMOVED: {
    prepare: (node) => {
      node.tables.config.extra.resetRemoved = 1;
      establish(node);
      node.setService({ ...WEB, endpoints: [`${POD3}:9090`] });
    },
    send: from((n) => tcp(n, { flags: "P.", seq: 1, ack: 1, payload: 3 }, VIP)),
  },
  BAD_TCP_CHECKSUM: { send: from((n) => damaged(tcp(n, { payload: 9 }))) },
  BAD_UDP_CHECKSUM: { send: from((n) => damaged(udp(n))) },
  BAD_ICMP_CHECKSUM: { send: from((n) => damaged(build.echoFrame({ ...path(n), payload: 9 }))) },
  BAD_SCTP_CHECKSUM: {
    send: from((n) => damaged(build.sctpFrame({ ...path(n), vtag: 0, chunks: [chunk.init(7)] }))),
  },
  RATE_LIMITED: FLOODED,
};

export function createDropNode({ options, prepare }: DropCase): TestNode {
  const node = makeDualStack(new TestNode({ unchecked: true, ...options }));
  prepare?.(node);
  node.takeDrops();
  return node;
}
