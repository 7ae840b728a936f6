// One packet for every stage that ends a packet's way otherwise than by a drop, and for every one that changes packets.

import * as conntrack from "../../dataplane/table/connection/conntrack.ts";
import { fragmentsOf } from "../frames/fragment-frames.ts";
import * as build from "../frames/frame-builder.ts";
import { makeDualStack, pathTo6, pod6 } from "./dual-stack.ts";
import { ofMesh } from "./meshed.ts";
import { macOf, nodeAddress, uplinkMacOf, vtepMacOf } from "./test-cluster.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "./test-fabric.ts";
import { TestNode } from "./test-node.ts";

export interface StageCase {
  /** The record that has to be there: "stage verdict". */
  readonly told: string;
  readonly index?: number;
  readonly prepare?: (node: TestNode) => void;
  readonly send: (node: TestNode) => void;
}

const [POD2, POD3, VIP] = ["10.244.1.2", "10.244.1.3", "10.96.0.10"];
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const WEB = { name: "default/web:http", clusterIp: VIP, endpoints: [`${POD3}:8080`] };

function from(port: string, frame: (node: TestNode) => Uint8Array): StageCase["send"] {
  return (node) => {
    node.send(port, frame(node));
    node.run();
  };
}

const syn = (node: TestNode, dst: string, o: object = {}): Uint8Array =>
  build.tcpFrame({ ...pathTo(node, POD2, dst), flags: "S", ...o });
const whoHas = (targetIp: string): Uint8Array =>
  build.arpFrame({ senderIp: POD2, senderMac: macOf(POD2), targetIp });

/** A service connection of pod 2, established. */
export function establish(node: TestNode): void {
  node.setService(WEB);
  node.through("pod2", syn(node, VIP));
  const back = { ...pathTo(node, POD3, POD2), srcPort: 8080, dstPort: 41000 };
  node.through("pod3", build.tcpFrame({ ...back, flags: "S.", ack: 1 }));
  node.through("pod2", syn(node, VIP, { flags: ".", seq: 1, ack: 1 }));
}

/** Userspace mode, with these endpoints. */
function userspace(...endpoints: string[]): (node: TestNode) => void {
  return (node) => {
    Object.assign(node.tables.config.proxy, { userspace: 1, retry: 1 });
    node.setService({ ...WEB, endpoints });
  };
}

const USER = "USER anonymous\r\n";

/** FTP's control connection to the service, with a first line spoken. */
export function speakFtp(node: TestNode): void {
  node.tables.config.extra.ftpHelper = 1;
  node.setService({ ...WEB, port: 21, endpoints: [`${POD3}:21`] });
  node.through("pod2", syn(node, VIP, { dstPort: 21 }));
  const back = { ...pathTo(node, POD3, POD2), srcPort: 21, dstPort: 41000 };
  node.through("pod3", build.tcpFrame({ ...back, flags: "S.", ack: 1 }));
  node.through("pod2", syn(node, VIP, { dstPort: 21, flags: ".", seq: 1, ack: 1 }));
  node.through("pod2", ftpLine(node, USER, 1));
}

/** What the client says then. */
export function ftpLine(node: TestNode, line: string, seq = 1 + USER.length): Uint8Array {
  return syn(node, VIP, { dstPort: 21, flags: "P.", seq, ack: 1, payload: Buffer.from(line, "latin1") });
}

export const STAGES: readonly StageCase[] = [
  { told: "answer-arp consumed", send: from("pod2", (n) => whoHas(n.gateway)) },
  { told: "answer-arp next", send: from("pod2", () => whoHas(POD3)) },
  {
    told: "answer-arp forward",
    send: from("host", (n) =>
      build.arpFrame({ senderIp: n.address, senderMac: n.uplinkMac, targetIp: n.address }),
    ),
  },
  {
    told: "answer-nd consumed",
    send: from("pod2", (n) =>
      build.neighborSolicitationFrame({
        ...{ src: pod6(1, 2), srcMac: macOf(POD2), mac: macOf(POD2) },
        ...{ dst: "fe80::1", dstMac: n.gatewayMac, target: "fe80::1" },
      }),
    ),
  },
  {
    told: "answer-nd next",
    send: from("pod2", (n) =>
      build.neighborSolicitationFrame({
        ...pathTo6(n, pod6(1, 2), pod6(1, 3)),
        target: pod6(1, 3),
        mac: macOf(POD2),
      }),
    ),
  },
  { told: "learn-source drop", send: from("pod2", () => groupSource()) },
  {
    told: "classify flood",
    send: from("pod2", () =>
      build.linkFrame({ srcMac: macOf(POD2), dstMac: BROADCAST }, 0x88b5, 46, () => {}),
    ),
  },
  {
    told: "reassemble consumed",
    send: from("pod2", (n) => pieces(n)[0]),
  },
  {
    told: "reassemble next",
    send: (node) => {
      for (const piece of pieces(node)) node.send("pod2", piece);
      node.run();
    },
  },
  {
    told: "decapsulate consumed",
    index: 2,
    send: from("uplink", () => {
      const link = {
        srcMac: uplinkMacOf(1),
        dstMac: uplinkMacOf(2),
        src: nodeAddress(1),
        dst: nodeAddress(2),
      };
      const macs = { srcMac: vtepMacOf(1), dstMac: vtepMacOf(2) };
      return build.vxlanFrame({ ...link, inner: build.udpFrame({ src: POD2, dst: "10.244.2.2", ...macs }) });
    }),
  },
  {
    told: "choose-backend consumed",
    prepare: (node) => node.setService({ ...WEB, isBound: true }),
    send: from("pod2", (n) => build.echoFrame(pathTo(n, POD2, VIP))),
  },
  {
    told: "answer-echo forward",
    prepare: (node) => node.setService({ ...WEB, isBound: true }),
    send: from("pod2", (n) => build.echoFrame(pathTo(n, POD2, VIP))),
  },
  {
    told: "retry-connection consumed",
    prepare: (node) => {
      node.addPod(4);
      userspace(`${POD3}:8080`, "10.244.1.4:8080")(node);
    },
    send: (node) => {
      const out = node.through("pod2", syn(node, VIP, { seq: 9 }));
      const back = { ...pathTo(node, out.port === "pod3" ? POD3 : "10.244.1.4", POD2), srcPort: 8080 };
      node.send(out.port, build.tcpFrame({ ...back, dstPort: 41000, flags: "R.", ack: 10 }));
      node.run();
    },
  },
  {
    told: "retry-connection next",
    prepare: userspace(`${POD3}:8080`),
    send: (node) => {
      from("pod2", (n) => syn(n, VIP))(node);
      node.advanceMs(500, 50);
    },
  },
  {
    told: "hold-connection consumed",
    prepare: userspace("198.19.0.1:80"),
    send: from("pod2", (n) => syn(n, VIP)),
  },
  {
    told: "hold-connection next",
    prepare: userspace(`${POD3}:8080`),
    send: from("pod2", (n) => syn(n, VIP)),
  },
  {
    told: "send-tcp-reset forward",
    prepare: (node) => {
      node.tables.config.extra.resetRemoved = 1;
      establish(node);
      node.setService({ ...WEB, endpoints: [`${POD3}:9090`] });
    },
    send: from("pod2", (n) => syn(n, VIP, { flags: "P.", seq: 1, ack: 1, payload: 3 })),
  },
  { told: "send-icmp-error forward", send: from("pod2", (n) => build.udpFrame(pathTo(n, POD2, "8.8.8.8"))) },
  {
    told: "translate next",
    prepare: (node) => node.setService(WEB),
    send: from("pod2", (n) => syn(n, VIP)),
  },
  {
    told: "clamp-mss next",
    prepare: (node) => void (node.tables.config.extra.mssClamp = 1),
    send: from("pod2", (n) => syn(n, "10.244.2.2", { mss: 8960 })),
  },
  {
    told: "help-ftp next",
    prepare: speakFtp,
    send: from("pod2", (n) => ftpLine(n, "PORT 10,244,1,2,4,1\r\n")),
  },
  {
    told: "check-options drop",
    send: from("pod2", (n) =>
      build.udpFrame({
        ...pathTo(n, POD2, POD3),
        dstMac: n.gatewayMac,
        ipOptions: Uint8Array.from([7, 2, 4, 0]),
      }),
    ),
  },
  {
    told: "masquerade next",
    prepare: (node) => {
      const asks = { senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address };
      from("uplink", () => build.arpFrame(asks))(node);
    },
    send: from("pod2", (n) => build.udpFrame(pathTo(n, POD2, CLIENT))),
  },
  { told: "steer-to-mesh next", ...ofMesh(3) },
  { told: "enter-connection next", send: from("pod2", (n) => build.udpFrame(pathTo(n, POD2, POD3))) },
  { told: "output forward", send: from("pod2", (n) => build.udpFrame(pathTo(n, POD2, POD3))) },
];

/** A frame from a group's address: MAC 01:00:5e:00:00:01. */
function groupSource(): Uint8Array {
  return build.linkFrame({ srcMac: "01:00:5e:00:00:01", dstMac: macOf(POD3) }, 0x88b5, 46, () => {});
}

function pieces(node: TestNode): Uint8Array[] {
  const datagram = build.udpFrame({ ...pathTo(node, POD2, POD3), payload: 200, dontFragment: false });
  return fragmentsOf(datagram, 104);
}

export function createStageNode({ told, index = 1, prepare }: StageCase): TestNode {
  const node = makeDualStack(new TestNode({ unchecked: true, index }));
  if (told === "learn-source drop") node.tables.config.guard.antiSpoofing = 0;
  prepare?.(node);
  node.everything();
  node.takeDrops();
  return node;
}

/** What has been answered does not give way to others. */
export function assure(node: TestNode): void {
  const { capacity, status } = node.tables.conntrack;
  for (let slot = 0; slot < capacity; slot++) {
    if (status[slot << 4] !== 0) status[slot << 4] |= conntrack.Status.ASSURED;
  }
}
