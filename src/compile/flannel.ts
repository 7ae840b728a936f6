/**
 * flannel's annotations of a Node: by them nodes of one cluster tell each other where their ends of the tunnel are,
 * whoever makes these. Read of other nodes, written for the own one.
 *
 *   backend-type         vxlan, host-gw …; what another type says is not for this node
 *   backend-data         {"VNI":1,"VtepMAC":"…"} of the end that carries IPv4; backend-v6-data of IPv6's
 *   public-ip            outer address of the first, public-ipv6 of the second; as host-gw: the next hops
 *   public-ip-overwrite  what somebody wants there instead; public-ipv6-overwrite
 *   kube-subnet-manager  "true", or flannel does not look at the node
 */

import { shown } from "../base/foreign-text.ts";
import { formatIp, type Ip, type IpFamily, isLoopback, parseIp, sameIp } from "../base/ip.ts";
import { formatMac } from "../base/mac.ts";
import type { AgentConfig } from "../config/agent.ts";
import type { Node } from "../watch/desired-state.ts";
import { type Mac, macFromText } from "./mac.ts";

type Annotations = Readonly<Record<string, string>>;

const PREFIX = "flannel.alpha.coreos.com/";
const TYPE = `${PREFIX}backend-type`;
const MANAGED = `${PREFIX}kube-subnet-manager`;
const DATA = { 4: `${PREFIX}backend-data`, 6: `${PREFIX}backend-v6-data` } as const;
const ADDRESS = { 4: `${PREFIX}public-ip`, 6: `${PREFIX}public-ipv6` } as const;
/** The backends that each type of overlay is at one with; alloc leaves routes to the network itself. */
const BACKENDS = { vxlan: ["vxlan"], none: ["host-gw", "alloc"] } as const;
const FAMILIES: readonly IpFamily[] = [4, 6];

/** What a node says of its end for one family; undefined: nothing that can be used. */
interface AnnouncedEnd {
  readonly address: Ip | undefined;
  readonly mac: Mac | undefined;
  /** It is of another virtual network. */
  readonly isOther: boolean;
  /** What is wrong with it, "": nothing. */
  readonly problem: string;
}

export interface Announced {
  readonly 4: AnnouncedEnd;
  readonly 6: AnnouncedEnd;
  /** Why the node cannot be reached this node's way, "": it can. */
  readonly problem: string;
}

/**
 * Read, never trusted: what is no address or MAC of another node is as if it were not there. `own`: addresses of the node
 * that reads it.
 */
export function announced(
  node: Node | undefined,
  { overlay }: Pick<AgentConfig, "overlay">,
  own: readonly Ip[] = [],
): Announced {
  const annotations = node?.metadata.annotations ?? {};
  const type = annotations[TYPE] ?? "";
  const backends = BACKENDS[overlay.type];
  const isForeign = type !== "" && !backends.some((backend) => backend === type);
  const end = (family: IpFamily): AnnouncedEnd => announcedEnd(annotations, family, overlay, own);
  const is = `flannel's backend there is ${shown(type)}, this node's is ${backends[0]}`;
  const other = `${is}: give all nodes the same`;
  return { 4: end(4), 6: end(6), problem: isForeign ? other : "" };
}

function announcedEnd(
  annotations: Annotations,
  family: IpFamily,
  overlay: AgentConfig["overlay"],
  own: readonly Ip[],
): AnnouncedEnd {
  const { address, problem: misplaced } = announcedAddress(annotations, family, own);
  const text = annotations[DATA[family]];
  if (text === undefined || overlay.type === "none")
    return { address, mac: undefined, isOther: false, problem: misplaced };
  const { VNI: vni, VtepMAC: macText } = parsed(text);
  const found = typeof macText === "string" ? macFromText(macText) : undefined;
  const mac = found !== undefined && isOfOne(found) ? found : undefined;
  const isOther = vni !== undefined && vni !== overlay.vni;
  let problem = misplaced;
  if (mac === undefined) problem = `the annotation ${DATA[family]} has no VtepMAC: ${shown(text)}`;
  if (isOther) {
    const is = `the VNI there is ${shown(JSON.stringify(vni))}, this node's is ${overlay.vni}`;
    problem = `${is}: give all nodes the same`;
  }
  return { address, mac, isOther, problem };
}

function announcedAddress(
  annotations: Annotations,
  family: IpFamily,
  own: readonly Ip[],
): Pick<AnnouncedEnd, "address" | "problem"> {
  const key = ADDRESS[family];
  const text = annotations[key] ?? "";
  const address = parseIp(text);
  const isOwn = address !== null && own.some((each) => sameIp(each, address));
  if (address !== null && address.family === family && !isOwn && isOfNode(address))
    return { address, problem: "" };
  const what = isOwn ? "is this node's own address" : `is no IPv${family} address of a node`;
  const how = "the Node's InternalIP is taken: mend the annotation";
  return {
    address: undefined,
    problem: text === "" ? "" : `the annotation ${key} ${what}: ${shown(text)}; ${how}`,
  };
}

/** Not the unspecified one, loopback, multicast or broadcast. */
function isOfNode(address: Ip): boolean {
  const { family, w0, w1, w2, w3 } = address;
  if (isLoopback(address)) return false;
  if (family === 4) return w3 >>> 24 !== 0 && w3 >>> 28 < 0xe;
  return (w0 | w1 | w2 | w3) !== 0 && w0 >>> 24 !== 0xff;
}

/** Of one device: no group's, nor all zeros. */
function isOfOne({ hi, lo }: Mac): boolean {
  return (hi & 0x100) === 0 && (hi | lo) !== 0;
}

function parsed(text: string): { VtepMAC?: unknown; VNI?: unknown } {
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch {
    return {};
  }
}

/** What of the own node is written. */
interface OwnEnd {
  readonly addresses: readonly Ip[];
  readonly podCidrs: readonly { readonly family: IpFamily }[];
  readonly vtepMac: Mac;
}

/**
 * The annotations that the own Node is to have; null: it must not. A family that has no pods, or no address to tunnel
 * from, has no end of its own.
 */
export function flannelAnnotations(
  node: Node | undefined,
  own: OwnEnd,
  { overlay }: Pick<AgentConfig, "overlay">,
): Record<string, string | null> {
  const now = node?.metadata.annotations ?? {};
  const wanted: Record<string, string | null> = { [TYPE]: BACKENDS[overlay.type][0], [MANAGED]: "true" };
  for (const family of FAMILIES) {
    const address = own.addresses.find((a) => a.family === family);
    const isUsed = address !== undefined && own.podCidrs.some((range) => range.family === family);
    wanted[DATA[family]] = isUsed ? dataOf(own.vtepMac, overlay) : null;
    wanted[ADDRESS[family]] = isUsed ? formatIp(overwritten(now, family) ?? address) : null;
  }
  return wanted;
}

/** Letter for letter what flannel writes: its peers compare the text. */
function dataOf({ hi, lo }: Mac, overlay: AgentConfig["overlay"]): string {
  return overlay.type === "none" ? "null" : `{"VNI":${overlay.vni},"VtepMAC":"${formatMac(hi, lo)}"}`;
}

function overwritten(annotations: Annotations, family: IpFamily): Ip | undefined {
  const address = parseIp(annotations[`${ADDRESS[family]}-overwrite`] ?? "");
  return address?.family === family ? address : undefined;
}

/** One line for each node whose pods cannot be reached, or only by guess. `claim`: what of it is another's, too. */
export function problemsOf(node: Node, told: Announced, claim: string): string[] {
  const all = [told.problem, claim, told[4].problem, told[6].problem].filter((text) => text !== "");
  return all.slice(0, 1).map((text) => `node ${node.metadata.name}: ${text}`);
}
