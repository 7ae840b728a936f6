/**
 * Packets that ask, sent from where the node's own programs and its pods send theirs: do the other nodes answer through
 * the tunnel, and does all of what pods may send fit into it; does this pod reach that address?
 */
import { ApiError } from "../../api/api.ts";
import {
  cidr,
  contains,
  familyOf,
  formatIp,
  type Ip,
  type IpFamily,
  nthIp,
  parseIp,
  sameIp,
} from "../../base/ip.ts";
import { type Mac, parseMac } from "../../base/mac.ts";
import { PROBE_PROTOCOLS, type ProbeProtocol } from "../../base/probe-protocols.ts";
import { type NodeTopology, podMtu } from "../../compile/node.ts";
import { nodeAddresses, primaryOf } from "../../compile/proxy-settings.ts";
import type { AgentConfig } from "../../config/agent.ts";
import { type ProbeResult, Prober } from "../../device/probe/prober.ts";
import type { Native } from "../../native/binding.ts";
import type { DesiredState, Node } from "../../watch/desired-state.ts";
import type { Attachments } from "../attachments.ts";

export interface PeersAnswer {
  /** UDP port of the tunnel; left out: there is none. */
  readonly vxlanPort?: number;
  readonly items: readonly PeerReport[];
}

/** What one node's end of the way to another is like. */
export interface PeerReport {
  readonly node: string;
  readonly family: IpFamily;
  /** Where it is on the fabric. */
  readonly address: string;
  /** What was asked for: its end of the tunnel, or without one itself. */
  readonly target: string;
  readonly answers: boolean;
  /** Of the quickest answer. */
  readonly ms: number;
  /** The largest packet that pods may send there, bytes. */
  readonly mtu: number;
  /** Whether one of that size was answered. */
  readonly fits: boolean;
  /** Why not, where somebody told. */
  readonly text?: string;
}

export interface ProbeWish {
  /** "node" or a pod's namespace/name. */
  readonly from: string;
  readonly to: string;
  readonly protocol: ProbeProtocol;
  readonly port?: number;
  /** Of the whole IP packet of a ping; left out: the least. */
  readonly bytes?: number;
  /** Of a datagram, in base64. */
  readonly payload?: string;
  readonly timeoutMs?: number;
  /** Of TCP and UDP, or the identifier of a ping; left out: any that no kernel gives out by itself. */
  readonly sourcePort?: number;
  /** How often it is asked at most. */
  readonly tries?: number;
}

export interface ProbeReport extends Omit<ProbeResult, "payload"> {
  /** What the sender's address was. */
  readonly source?: string;
  readonly payload?: string;
}

/** What it needs of the agent. */
export interface ProbeParts {
  readonly state: DesiredState;
  topology(): NodeTopology | undefined;
  /** MTU of the uplink. */
  mtu(): number;
  readonly ports: Pick<Attachments, "list" | "pods">;
}

/** Where a packet starts. */
interface Origin {
  readonly netns: string;
  readonly interface: string;
  readonly mac: Mac;
  /** The address that it has towards another. */
  sourceFor(to: Ip): Ip | undefined;
  /** Who gets it first. */
  nextFor(to: Ip): Mac;
}

const TRIES = 3;
const PEER_MS = 300;
const DEFAULT_MS = 1000;
const MOST_MS = 10_000;
const MOST_PROBES = 256;
const HEADERS = { 4: 28, 6: 48 } as const; // IP and ICMP

export class Probes {
  readonly #native: Native;
  readonly #config: AgentConfig;
  readonly #parts: ProbeParts;

  constructor(native: Native, config: AgentConfig, parts: ProbeParts) {
    this.#native = native;
    this.#config = config;
    this.#parts = parts;
  }

  /** All other nodes, in each family that both have. */
  async peers(): Promise<PeersAnswer> {
    const topology = this.#parts.topology();
    const { overlay } = this.#config;
    const tunnel = overlay.type === "vxlan" ? { vxlanPort: overlay.port } : {};
    return { ...tunnel, items: topology === undefined ? [] : await this.#askPeers(topology) };
  }

  async #askPeers(topology: NodeTopology): Promise<PeerReport[]> {
    const origin = this.#nodeOrigin(topology);
    const prober = new Prober(this.#native, origin);
    try {
      const others = [...this.#parts.state.nodes.values()].filter(
        ({ metadata }) => metadata.name !== this.#config.nodeName,
      );
      const asked = others.flatMap((node) => this.#waysTo(node, topology));
      return await Promise.all(asked.slice(0, MOST_PROBES).map((way) => this.#peer(prober, origin, way)));
    } finally {
      prober.close();
    }
  }

  /** Throws an ApiError where there is nobody to send from, or the wish is none. */
  async ask(wish: ProbeWish): Promise<ProbeReport> {
    const topology = this.#parts.topology();
    if (topology === undefined)
      throw new ApiError(400, `${this.#config.nodeName}: its Node is not known yet`);
    const origin = wish.from === "node" ? this.#nodeOrigin(topology) : this.#podOrigin(wish.from, topology);
    const to = parseIp(String(wish.to));
    if (to === null) throw new ApiError(400, `to: ${JSON.stringify(wish.to)}: is no IP address`);
    const src = origin.sourceFor(to);
    if (src === undefined) return { kind: "unsent", ms: 0, text: `no address of IPv${to.family}` };
    const prober = new Prober(this.#native, origin, wish.sourcePort);
    try {
      const { tries = 1, timeoutMs = DEFAULT_MS } = wish;
      const probe = {
        ...this.#frameOf(wish, to),
        src,
        srcMac: origin.mac,
        dst: to,
        dstMac: origin.nextFor(to),
      };
      let result: ProbeResult = { kind: "lost", ms: 0 };
      for (let i = 0; i < Math.min(tries, TRIES) && result.kind === "lost"; i++)
        result = await prober.ask(probe, Math.min(timeoutMs, MOST_MS));
      const { payload, ...rest } = result;
      const text = payload === undefined ? {} : { payload: Buffer.from(payload).toString("base64") };
      return { ...rest, source: formatIp(src), ...text };
    } finally {
      prober.close();
    }
  }

  #frameOf({ protocol, port = 0, bytes = 0, payload = "" }: ProbeWish, to: Ip) {
    if (!PROBE_PROTOCOLS.includes(protocol))
      throw new ApiError(400, `protocol: ${JSON.stringify(protocol)}: is none`);
    const data = protocol === "ICMP" ? echoData(bytes, to.family) : Buffer.from(payload, "base64");
    return { protocol, dstPort: port, ...(protocol === "TCP" ? {} : { payload: data }) };
  }

  async #peer(prober: Prober, origin: Origin, way: Way): Promise<PeerReport> {
    const { src, target, mtu } = way;
    const ask = async (bytes: number): Promise<ProbeResult> => {
      const frame = { protocol: "ICMP" as const, dstPort: 0, payload: echoData(bytes, target.family) };
      const probe = { ...frame, src, srcMac: origin.mac, dst: target, dstMac: origin.nextFor(target) };
      let result = await prober.ask(probe, PEER_MS);
      for (let i = 1; i < TRIES && result.kind === "lost"; i++) result = await prober.ask(probe, PEER_MS);
      return result;
    };
    const small = await ask(0);
    const answers = small.kind === "answer";
    const large = answers ? await ask(mtu) : small;
    const told = large.mtu === undefined ? large.text : `${large.text} (mtu = ${large.mtu})`;
    return {
      ...{ node: way.node, family: target.family, address: formatIp(way.address), target: formatIp(target) },
      ...{
        answers,
        ms: Math.min(small.ms, answers ? large.ms : small.ms),
        mtu,
        fits: large.kind === "answer",
      },
      ...(told !== undefined && { text: told }),
    };
  }

  #waysTo(node: Node, { own, routes }: NodeTopology): Way[] {
    const { overlay } = this.#config;
    const addresses = primaryOf(nodeAddresses(node));
    const ranges = (node.spec.podCIDRs ?? []).map(cidr);
    const of = <T extends { family: IpFamily }>(list: readonly T[], family: IpFamily): T | undefined =>
      list.find((each) => each.family === family);
    return ([4, 6] as const).flatMap((family): Way[] => {
      const range = of(ranges, family);
      const isTunnel = overlay.type === "vxlan";
      const target = isTunnel ? range && nthIp(range, 0) : of(addresses, family);
      const src = of(isTunnel ? own.vtepAddresses : own.gateways, family);
      const address = of(addresses, family) ?? addresses[0];
      if (target === undefined || src === undefined || address === undefined) return [];
      const mtu = longestRoute(routes, target)?.mtu ?? podMtu(this.#config, own.addresses, this.#parts.mtu());
      return [{ node: node.metadata.name, address, target, src, mtu }];
    });
  }

  #nodeOrigin(topology: NodeTopology): Origin {
    const { netns, host } = this.#config;
    const { own, routes } = topology;
    return {
      ...{ netns, interface: host.interface, mac: this.#hostMac() },
      nextFor: () => own.gatewayMac,
      sourceFor: (to) => {
        const best = longestRoute(routes, to);
        const { src0: w0 = 0, src1: w1 = 0, src2: w2 = 0, src3: w3 = 0 } = best ?? {};
        const source = { w0, w1, w2, w3, family: to.family };
        const isOwn = own.local.some((address) => sameIp(address, source));
        return isOwn ? source : own.addresses.find(({ family }) => family === to.family);
      },
    };
  }

  #hostMac(): Mac {
    const host = this.#parts.ports.list().find(({ kind }) => kind === "host");
    return parseMac(host?.mac ?? "") ?? { hi: 0, lo: 0 };
  }

  #podOrigin(key: string, { own }: NodeTopology): Origin {
    const pods = this.#parts.ports.pods();
    const pod = pods.find((each) => each.key === key);
    if (pod === undefined) throw new ApiError(400, `pod ${key}: has no port on ${this.#config.nodeName}`);
    return {
      ...{ netns: pod.netns, interface: pod.interface, mac: pod.mac },
      sourceFor: ({ family }) => {
        const words = pod.ips.find((each) => familyOf(each) === family);
        return words === undefined ? undefined : { ...words, family };
      },
      nextFor: (to) => pods.find(({ ips }) => ips.some((each) => sameIp(each, to)))?.mac ?? own.gatewayMac,
    };
  }
}

function longestRoute(routes: NodeTopology["routes"], to: Ip): NodeTopology["routes"][number] | undefined {
  const all = routes.filter((route) => route.family === to.family && contains(route, to));
  return all.sort((a, b) => b.prefixLen - a.prefixLen)[0];
}

interface Way {
  readonly node: string;
  readonly address: Ip;
  readonly target: Ip;
  readonly src: Ip;
  readonly mtu: number;
}

/** So that the whole packet has this many bytes. */
function echoData(bytes: number, family: IpFamily): Uint8Array {
  return Uint8Array.from({ length: Math.max(0, bytes - HEADERS[family]) }, (_, i) => i);
}
