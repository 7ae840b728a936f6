// Where conversations take place, and their packets as frames: a Service's cluster address (DNAT), the outside (source
// NAT), a node port (both), another pod (neither). What comes out is told in words that are the same for two sides that
// translate to different ports.
import { icmpFrame, tcpFrame, udpFrame } from "../frames/frame-builder.ts";
import { node, service, slice } from "../world/proxy-objects.ts";
import type { Conversation, Protocol } from "./conversations.ts";
import { ipAt, type Packet } from "./outcome.ts";
import type { JudgedMode, Scenario } from "./scenario.ts";
import type { Step } from "./tcp-talk.ts";
import type { World } from "./world.ts";

const ETHERNET = 14;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
/** Offset of the checksum from the transport header. */
const SUM_AT = { TCP: 16, UDP: 6, ICMP: 2 } as const;
const NODE_PORT = 30_000;
const FIRST_CLIENT_PORT = 20_000; // below the node ports, above what anybody serves
const STRAY = 1000;
const NUMBER = { TCP: 6, UDP: 17 } as const;
const TIMESTAMP_OPTIONS = 12;

export interface End {
  readonly address: string;
  readonly port: number;
}

export interface Place {
  /** Where it sends and receives, as a station of the judge's world. */
  readonly clientAt: string;
  readonly serverAt: string;
  readonly client: End;
  /** Whom the client speaks to, and who answers. */
  readonly target: End;
  readonly server: End;
}

/** A cluster with one Service, both protocols, one endpoint: nothing is left to chance. */
export function talkScenario(world: World, mode: JudgedMode = "iptables"): Scenario {
  const made = service({
    name: "talk",
    spec: {
      type: "NodePort",
      clusterIP: world.clusterIp(0),
      clusterIPs: [world.clusterIp(0)],
      ports: (["TCP", "UDP"] as const).map((protocol) => ({
        name: protocol.toLowerCase(),
        protocol,
        port: 80,
        nodePort: NODE_PORT,
      })),
    },
  });
  const endpoints = slice({
    name: "talk",
    slice: "talk-1",
    family: world.family,
    endpoints: [{ address: world.pods[1], node: "node1" }],
  });
  endpoints.ports = (["TCP", "UDP"] as const).map((protocol) => ({
    name: protocol.toLowerCase(),
    protocol,
    port: 8080,
  }));
  const pods = world.pods.map((address, i) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: `pod${i}`, namespace: "ns" },
    spec: { nodeName: "node1", containers: [] },
    status: { podIP: address, podIPs: [{ ip: address }], phase: "Running" },
  }));
  return {
    seed: 1,
    mode,
    world,
    objects: [
      node("node1", [world.nodeIp, world.secondIp], { podCidrs: [world.podCidr] }),
      node("node2", [world.remoteNodeIp], { podCidrs: [world.remotePodCidr] }),
      ...pods,
      made,
      endpoints,
    ],
    proxy: { mode, clusterCIDR: world.clusterCidr },
    attach: "veth",
    dual: false,
    services: [made],
    affinity: false,
  };
}

/** Where the `index`-th conversation of a batch takes place. */
export function placeOf({ route }: Conversation, index: number, world: World): Place {
  const { pods } = world;
  const port = FIRST_CLIENT_PORT + index;
  const pod = { clientAt: `pod ${pods[0]}`, client: { address: pods[0], port } };
  const endpoint = { serverAt: `pod ${pods[1]}`, server: { address: pods[1], port: 8080 } };
  const outside = { address: world.outside(2), port: 80 };
  const neighbor = { address: pods[2], port: 9000 };
  switch (route) {
    case "service":
      return { ...pod, target: { address: world.clusterIp(0), port: 80 }, ...endpoint };
    case "egress":
      return { ...pod, target: outside, serverAt: "uplink", server: outside };
    case "plain":
      return { ...pod, target: neighbor, serverAt: `pod ${pods[2]}`, server: neighbor };
    case "node-port": {
      const client = { address: world.outside(1), port };
      return { clientAt: "uplink", client, target: { address: world.nodeIp, port: NODE_PORT }, ...endpoint };
    }
  }
}

/** One step as a frame from `from` to `to`; for ICMP the id is the client's port. */
export function talkFrame(protocol: Protocol, step: Step, from: End, to: End, id: number): Uint8Array {
  const frame = soundFrame(protocol, step, from, to, id);
  const l4 = ETHERNET + (frame[ETHERNET] >> 4 === 4 ? IPV4_HEADER : IPV6_HEADER);
  const at = l4 + SUM_AT[protocol];
  if (step.sum === "none") frame.fill(0, at, at + 2);
  if (step.sum !== "wrong") return frame;
  frame[at] ^= 0x40;
  if (frame[at] === 0 && frame[at + 1] === 0) frame[at + 1] = 1; // of UDP, 0 would be none
  return frame;
}

function soundFrame(protocol: Protocol, step: Step, from: End, to: End, id: number): Uint8Array {
  const base = {
    src: from.address,
    dst: to.address,
    srcPort: from.port,
    dstPort: to.port,
    id: id & 0xffff,
    flowLabel: id,
  };
  if (protocol === "UDP") return udpFrame({ ...base, payload: step.payload ?? 0 });
  if (protocol === "ICMP") {
    const client = step.from === "client" ? from.port : to.port;
    const echoId = step.strayPort === undefined ? client : client - FIRST_CLIENT_PORT + STRAY;
    return icmpFrame(base, step.type ?? 0, 0, (echoId << 16) | 1, step.payload ?? 24);
  }
  const { from: _from, note: _note, sum: _sum, payload = 0, ...tcp } = step;
  const frame = tcpFrame({ ...base, ...tcp, payload });
  if (step.timestamps !== undefined && step.sack === undefined) alignTimestamps(frame, payload);
  return frame;
}

/** As Linux writes them, behind two NOPs: 16-bit words change places, which no checksum notices. */
function alignTimestamps(frame: Uint8Array, payload: number): void {
  const at = frame.length - payload - TIMESTAMP_OPTIONS;
  const options = frame.slice(at, at + TIMESTAMP_OPTIONS);
  frame.set(options.subarray(TIMESTAMP_OPTIONS - 2), at);
  frame.set(options.subarray(0, TIMESTAMP_OPTIONS - 2), at + 2);
}

/** Both ends of a frame that came out; for ICMP the id stands for both ports. */
export function endsOfFrame(frame: Uint8Array): { from: End; to: End } | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const packet = ipAt(view, ETHERNET);
  if (packet === undefined) return undefined;
  const [from, to] = portsOf(view, packet);
  return { from: { address: packet.src, port: from }, to: { address: packet.dst, port: to } };
}

function portsOf(view: DataView, { protocol, l4 }: Packet): [number, number] {
  if (protocol === NUMBER.TCP || protocol === NUMBER.UDP) return [view.getUint16(l4), view.getUint16(l4 + 2)];
  const id = view.getUint16(l4 + 4);
  return [id, id];
}

export function isOwn(address: string, world: World): boolean {
  return address === world.nodeIp || address === world.secondIp || address === world.gateway;
}

/**
 * "192.168.50.11:* > 198.51.100.3:80". What is chosen by chance is left out: ports (or ids) of the node's own addresses,
 * but for its node ports, and the ports of hosts that could not keep their own ("~").
 */
export function wayText(ways: { from: End; to: End }, place: Place, protocol: string, world: World): string {
  const ends = [ways.from, ways.to];
  const isIcmp = protocol.toUpperCase().startsWith("ICMP");
  const byChance = isIcmp && ends.some(({ address }) => isOwn(address, world));
  const hosts = [place.client, place.server];
  const hasMoved = (end: End): boolean =>
    hosts.some((host) => host.address === end.address && host.port !== end.port);
  const idMoved = isIcmp && ends.some(hasMoved);
  const texts = ends.map(({ address, port }) => {
    const isTarget = address === place.target.address && port === place.target.port;
    if (byChance || (isOwn(address, world) && !isTarget)) return `${address}:*`;
    return idMoved || hasMoved({ address, port }) ? `${address}:~` : `${address}:${port}`;
  });
  return texts.join(" > ");
}
