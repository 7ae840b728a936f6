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

import { formatIp, type Ip, type IpFamily, parseIp } from "../base/ip.ts";
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

/** Read, never trusted: what is no address or MAC is as if it were not there. */
export function announced(node: Node | undefined, { overlay }: Pick<AgentConfig, "overlay">): Announced {
  const annotations = node?.metadata.annotations ?? {};
  const type = annotations[TYPE] ?? "";
  const own = BACKENDS[overlay.type];
  const isForeign = type !== "" && !own.some((backend) => backend === type);
  const end = (family: IpFamily): AnnouncedEnd => announcedEnd(annotations, family, overlay);
  const other = `flannel's backend there is ${type}, this node's is ${own[0]}: give all nodes the same`;
  return { 4: end(4), 6: end(6), problem: isForeign ? other : "" };
}

function announcedEnd(
  annotations: Annotations,
  family: IpFamily,
  overlay: AgentConfig["overlay"],
): AnnouncedEnd {
  const address = parseIp(annotations[ADDRESS[family]] ?? "") ?? undefined;
  const text = annotations[DATA[family]];
  if (text === undefined || overlay.type === "none")
    return { address, mac: undefined, isOther: false, problem: "" };
  const data = parsed(text);
  const mac = typeof data.VtepMAC === "string" ? macFromText(data.VtepMAC) : undefined;
  const isOther = typeof data.VNI === "number" && data.VNI !== overlay.vni;
  let problem = "";
  if (mac === undefined) problem = `the annotation ${DATA[family]} has no VtepMAC: ${text}`;
  if (isOther)
    problem = `the VNI there is ${data.VNI}, this node's is ${overlay.vni}: give all nodes the same`;
  return { address, mac, isOther, problem };
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

/** One line for each node whose pods cannot be reached, or only by guess. */
export function problemsOf(node: Node, told: Announced): string[] {
  const all = [told.problem, told[4].problem, told[6].problem].filter((text) => text !== "");
  return all.slice(0, 1).map((text) => `node ${node.metadata.name}: ${text}`);
}
