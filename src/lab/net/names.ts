// Names of everything the lab makes. Two labs, and somebody else's namespaces, must never collide, and from the
// name of a namespace alone it must be clear whose it is: after a crash `lab down` has nothing else to go by.
//
//   pw-<lab>-n-<node>   pw-<lab>-p-<namespace>-<pod>   pw-<lab>-c-<client>   pw-<lab>-fabric
import { createHash } from "node:crypto";
import { LabError } from "../errors.ts";

const LAB_NAME_MAX = 32;
const NETNS_NAME_MAX = 200; // a file name (255), with room for what ip(8) adds to it
const IFNAME_MAX = 15; // IFNAMSIZ - 1
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const OWNED = /^pw-(.+?)-(?:([npc])-(.+)|(fabric))$/;

/** Interfaces on the node's side; the pod's and the client's only one is `eth0` as well. */
export const UPLINK = "eth0";
export const HOST_TAP = "host0";
export const POD_INTERFACE = "eth0";
export const KERNEL_BRIDGE = "cbr0";
export const FABRIC_BRIDGE = "br0";

export type Role = "node" | "pod" | "client" | "fabric";
export interface OwnedName {
  lab: string;
  role: Role;
  rest: string;
}

/**
 * Refuses a lab name that is too long, has wrong characters, or would make a namespace's owner ambiguous: a lab
 * "a-n" would own pw-a-n-n-x, which is also node "n-x" of lab "a".
 */
export function checkLabName(name: string): void {
  const refuse = (why: string): never => {
    throw new LabError("LAB_BAD_NAME", `lab name "${name}": ${why}`, { exitCode: 2 });
  };
  if (name.length > LAB_NAME_MAX) refuse(`longer than ${LAB_NAME_MAX} characters: choose a shorter one`);
  if (!DNS_LABEL.test(name)) refuse("use lower case letters, digits and inner hyphens only");
  if (/-[npc](-|$)|-fabric$/.test(name)) {
    refuse("-n-, -p-, -c- and -fabric have a meaning of their own in namespace names: choose another");
  }
}

/** Refuses what cannot be the name of a node or client: Kubernetes' rule for node names (DNS-1123 subdomain). */
export function checkWorkloadName(what: string, name: string): void {
  if (DNS_SUBDOMAIN.test(name) && name.length <= 63) return;
  throw new LabError(
    "LAB_BAD_NAME",
    `${what} "${name}": use lower case letters, digits, inner hyphens and dots, at most 63 characters`,
    { exitCode: 2 },
  );
}

export function fabricNetns(lab: string): string {
  return `pw-${lab}-fabric`;
}

export function nodeNetns(lab: string, node: string): string {
  return `pw-${lab}-n-${node}`;
}

export function clientNetns(lab: string, client: string): string {
  return `pw-${lab}-c-${client}`;
}

/** A namespace with a hyphen is set apart by "_", or "a-b"/"c" and "a"/"b-c" would be one name. */
export function podNetns(lab: string, namespace: string, pod: string): string {
  const name = `pw-${lab}-p-${namespace}${namespace.includes("-") ? "_" : "-"}${pod}`;
  if (name.length <= NETNS_NAME_MAX) return name;
  return `${name.slice(0, NETNS_NAME_MAX - 13)}-${digest(name, 12)}`;
}

/** Path under which ip(8) keeps a named network namespace. */
export function netnsPath(name: string): string {
  return `/run/netns/${name}`;
}

/** Node's side of a pod's veth pair on a kernel node, the way CNI plugins name theirs: at most 15 characters. */
export function vethName(namespace: string, pod: string): string {
  return checkedInterface(`veth${digest(`${namespace}/${pod}`, 8)}`);
}

/** Fabric side of the n-th node or client. */
export function fabricPort(index: number): string {
  return checkedInterface(`p${index}`);
}

export function vxlanInterface(vni: number): string {
  return checkedInterface(`flannel.${vni}`);
}

/** Whose a network namespace is, from its name; undefined when it is not of any lab. */
export function parseNetns(name: string): OwnedName | undefined {
  const m = OWNED.exec(name);
  if (m === null || !DNS_LABEL.test(m[1])) return undefined;
  const role: Role = m[4] !== undefined ? "fabric" : m[2] === "n" ? "node" : m[2] === "p" ? "pod" : "client";
  return { lab: m[1], role, rest: m[3] ?? "" };
}

function checkedInterface(name: string): string {
  if (name.length > IFNAME_MAX) {
    throw new LabError("LAB_BAD_NAME", `interface name ${name}: longer than ${IFNAME_MAX} characters`);
  }
  return name;
}

function digest(text: string, length: number): string {
  return createHash("sha256").update(text).digest("hex").slice(0, length);
}
