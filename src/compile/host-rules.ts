// What a node's own programs need to reach services at the node's own addresses. Linux would carry such packets over
// lo, past the agent; kube-proxy's rules in OUTPUT see them there. So policy routing sends them out of host0:
//
//   ip rule   from the node itself, to a port of the node-port range     ─▶ table 30000
//             from the node itself, to an external IP or VIP of its own  ─▶ table 30000
//             from the node itself, to a host port of its pods           ─▶ table 30000
//   table     each address that serves node ports or host ports         via host0
//
// What the table does not hold goes on to the local table, as before. A port of the range that is no service's comes
// back from the agent unchanged. IPv6's ::1 is never served, 127.0.0.0/8 by host ports, by node ports in iptables mode
// alone. Pure: text for ip(8), in the words in which ip(8) shows it, so that what is there can be compared.
import { type Cidr, contains, formatIp, type Ip, type IpFamily, isLoopback, sameIp } from "../base/ip.ts";
import type { PortRange } from "../config/agent.ts";
import { FrontendKind, type ServicePortSpec } from "../dataplane/spec/services.ts";
import type { NodeTopology } from "./node.ts";
import type { ProxySettings } from "./proxy-settings.ts";

export const HOST_TABLE = 30_000;
/** Behind the uplink's blackhole (10), before the local table (100). */
export const HOST_PRIORITY = 50;

/** The kernel goes through rules one by one: of more than these each port has one, and the table tells the addresses. */
const RULES_MAX = 64;

const PROTOCOLS: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp", 132: "sctp" };
const LOOPBACK = "127.0.0.0/8";
const LOOPBACK_NET = 127 << 24;
/** Next hop of host0, and the source of what the node sends to itself by way of a service. */
const LINK_GATEWAY = { 4: "169.254.1.1", 6: "fe80::1" } as const;

export interface FamilyRules {
  /** "192.168.50.11 via 169.254.1.1 dev host0 onlink …": of table 30000. */
  readonly routes: readonly string[];
  /** "from all iif lo ipproto tcp dport 30000-32767 lookup 30000" */
  readonly rules: readonly string[];
}

export interface HostRules {
  /** 127.0.0.1 goes out of host0 too: the kernel has to be told that this is no martian. */
  readonly loopback: boolean;
  readonly 4: FamilyRules;
  readonly 6: FamilyRules;
}

/** An external IP or VIP with its port; or a host port, then at 0.0.0.0 for all addresses, 127.0.0.0 for loopback. */
export interface ExternalPort {
  readonly address: Ip;
  readonly isHostPort?: boolean;
  readonly port: number;
  readonly protocol: number;
}

export interface HostRulesInput {
  readonly interface: string;
  readonly topology: NodeTopology;
  readonly settings: ProxySettings;
  /** Null: the node's own packets to node ports stay on lo. */
  readonly nodePorts: PortRange | null;
  readonly externals: Iterable<ExternalPort>;
  /** Addresses that the machine has and may use; undefined: all of the node's. No other can be a route's source. */
  readonly usable?: readonly Ip[] | undefined;
  /** Addresses of services that are not the node's own would go past the agent too, but for those of these ranges. */
  readonly ranges?: readonly Cidr[] | undefined;
}

const EXTERNAL: readonly number[] = [
  FrontendKind.EXTERNAL_IP,
  FrontendKind.LOAD_BALANCER,
  FrontendKind.HOST_PORT,
];

/** What a service port offers besides ClusterIP and node port. */
export function externalPorts(spec: ServicePortSpec): ExternalPort[] {
  return spec.frontends
    .filter(({ kind }) => EXTERNAL.includes(kind))
    .map(({ kind, port, w0, w1, w2, w3, family }) => ({
      address: { w0, w1, w2, w3, family },
      isHostPort: kind === FrontendKind.HOST_PORT,
      port,
      protocol: spec.protocol,
    }));
}

/** True when node ports are served at 127.0.0.0/8, or at an address of it. */
export function servesLoopback(settings: ProxySettings): boolean {
  const served = settings.nodePortIps[4];
  if (settings.mode !== "iptables" || !settings.localhostNodePorts) return false;
  return served === null || served.some(isLoopback);
}

export function hostRules(input: HostRulesInput): HostRules {
  const externals = [...input.externals];
  const nodePorts = input.nodePorts !== null && servesLoopback(input.settings);
  const loopback = nodePorts || externals.some((each) => each.isHostPort === true && isLoopbackPort(each));
  return { loopback, 4: familyRules(input, 4, externals), 6: familyRules(input, 6, externals) };
}

function familyRules(input: HostRulesInput, family: IpFamily, externals: ExternalPort[]): FamilyRules {
  const { topology, settings, nodePorts } = input;
  const own = topology.own.local.filter((a) => a.family === family && !isLoopback(a));
  const isOwn = (address: Ip): boolean => own.some((each) => sameIp(each, address));
  const served = nodePorts === null ? [] : servedAddresses(settings, family, own);
  const ofFamily = externals.filter(({ address }) => address.family === family);
  const everywhere = ofFamily.filter((each) => each.isHostPort === true && isAnywhere(each.address));
  const { ranges } = input;
  const isElsewhere = ({ isHostPort, address }: ExternalPort): boolean =>
    ranges !== undefined && isHostPort !== true && !isWithin(ranges, address);
  const bound = ofFamily.filter(
    (each) =>
      isOwn(each.address) ||
      isElsewhere(each) ||
      (each.isHostPort === true && isLoopback(each.address) && !isLoopbackNet(each)),
  );
  const hasMany = bound.length > RULES_MAX;
  const all = everywhere.length > 0 ? own : [];
  const addresses = distinctTexts([...served, ...all, ...bound.map(({ address }) => address)]);
  const nodePortsAtLoopback =
    family === 4 && nodePorts !== null && settings.nodePortIps[4] === null && servesLoopback(settings);
  const usable = (input.usable ?? own).map(formatIp);
  const node = topology.own.addresses.filter((each) => each.family === family).map(formatIp)[0] ?? "";
  const sourceFor = (address: string): string => [address, node].find((each) => usable.includes(each)) ?? "";
  const routes = addresses.map((address) => route(input, family, address, sourceFor(address)));
  if (nodePortsAtLoopback || ofFamily.some((each) => each.isHostPort === true && isLoopbackNet(each)))
    routes.push(route(input, family, LOOPBACK, "127.0.0.1"));
  if (routes.length === 0) return { routes, rules: [] };
  const rules = [
    ...(nodePorts === null
      ? []
      : Object.values(PROTOCOLS).map((name) => rule(`ipproto ${name} dport ${rangeText(nodePorts)}`))),
    ...[...everywhere, ...bound]
      .filter(({ port }) => nodePorts === null || port < nodePorts.first || port > nodePorts.last)
      .map((each) => {
        const { address, port, protocol } = each;
        const isAny = isAnywhere(address) || (hasMany && isElsewhere(each));
        return rule(`ipproto ${PROTOCOLS[protocol]} dport ${port}`, isAny ? "" : `to ${formatIp(address)} `);
      }),
  ];
  if (family === 4) {
    // Answers to the agent's own address; of IPv6 the link-local network is on every device.
    routes.push(`${LINK_GATEWAY[4]} dev ${input.interface} scope link`);
    rules.push(`from all to ${LINK_GATEWAY[4]} iif lo lookup ${HOST_TABLE}`);
  }
  return { routes, rules: [...new Set(rules)] };
}

function isWithin(ranges: readonly Cidr[], address: Ip): boolean {
  return ranges.some((range) => range.family === address.family && contains(range, address));
}

function isAnywhere({ family, w0, w1, w2, w3 }: Ip): boolean {
  return family === 4 ? w3 === 0 : (w0 | w1 | w2 | w3) === 0;
}

/** Stands for all of 127.0.0.0/8. */
function isLoopbackNet({ address }: ExternalPort): boolean {
  return address.family === 4 && address.w3 === LOOPBACK_NET;
}

function isLoopbackPort({ address }: ExternalPort): boolean {
  return address.family === 4 && isLoopback(address);
}

/** In iptables mode refusals hold at addresses that serve no node ports, too. */
function servedAddresses({ mode, nodePortIps }: ProxySettings, family: IpFamily, own: readonly Ip[]): Ip[] {
  const served = nodePortIps[family] ?? own;
  return mode === "iptables" ? [...own, ...served.filter(isLoopback)] : [...served];
}

function rule(what: string, to = ""): string {
  return `from all ${to}iif lo ${what} lookup ${HOST_TABLE}`;
}

/** As long as what fits through the tunnel: an endpoint may be behind it. */
function route(
  { interface: dev, topology }: HostRulesInput,
  family: IpFamily,
  to: string,
  src: string,
): string {
  const mtu = Math.min(...topology.routes.map((each) => each.mtu));
  const onlink = family === 4 ? " onlink" : "";
  const from = src === "" ? "" : ` src ${src}`;
  return `${to} via ${LINK_GATEWAY[family]} dev ${dev}${from}${onlink} mtu ${mtu}`;
}

function rangeText({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}

function distinctTexts(addresses: readonly Ip[]): string[] {
  return [...new Set(addresses.map(formatIp))];
}
