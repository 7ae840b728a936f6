// Addresses and ranges of a Lab: what no node, client or pod could be reached by, or what two of them would share, is
// refused with the field that says it. Strict about text, as all of podwire's own files: no leading zeros, no host bits.
import {
  type Cidr,
  cidr as cidrFrom,
  contains,
  formatCidr,
  type Ip,
  type IpFamily,
  isLoopback,
  isV4Mapped,
  network,
  overlaps,
  parseIp,
  sameIp,
  sizeOf,
} from "../base/ip.ts";
import { type FieldPath, FieldProblems, formatPath } from "../kube/manifest/field-problems.ts";
import * as names from "../kube/validate/names.ts";

export const CLUSTER_DEFAULT = "10.244.0.0/16";
export const FABRIC_DEFAULT = { 4: "192.168.50.0/24", 6: "fd00:192:168:50::/64" } as const;
export const SERVICE_DEFAULT = { 4: "10.96.0.0/12", 6: "fd00:10:96::/112" } as const;
/** Prefix length of the node network. */
export const FABRIC_MASK = { 4: 24, 6: 64 } as const;
/** kubeadm: the tenth address of the service range is kube-dns. */
export const DNS_INDEX = 10;

const POD_RANGE_MIN = 4; // the tunnel's end, the gateway, a pod, and of IPv4 the last address

export interface LabMember {
  readonly name: string;
  readonly address?: string;
  readonly podCIDR?: string;
}

export interface LabRanges {
  readonly clusterCIDR?: string;
  readonly serviceCIDR?: string;
  readonly nodes?: readonly LabMember[];
  readonly clients?: readonly LabMember[];
}

/** A range and the field that says so, or would. */
interface Range {
  readonly path: FieldPath;
  readonly cidr: Cidr;
  /** For people: "spec.clusterCIDR 10.244.0.0/16". */
  readonly title: string;
}

/** Answers the node network, one range a family; undefined: something is wrong. */
export function checkLabAddresses(spec: LabRanges, problems: FieldProblems): Cidr[] | undefined {
  const own = new FieldProblems();
  const fabric = checkAll(spec, own);
  for (const { path, message, atKey } of own.list) problems.add(path, message, atKey);
  return own.any ? undefined : fabric.map(({ cidr }) => cidr);
}

/** Each step can count on what those before it found to be right. */
function checkAll(spec: LabRanges, problems: FieldProblems): readonly Range[] {
  const cluster = rangesOf(["spec", "clusterCIDR"], spec.clusterCIDR ?? CLUSTER_DEFAULT, problems);
  if (problems.any) return [];
  const families = cluster.map(({ cidr }) => cidr.family);
  const serviceText = spec.serviceCIDR ?? families.map((family) => SERVICE_DEFAULT[family]).join(",");
  const service = rangesOf(["spec", "serviceCIDR"], serviceText, problems);
  if (problems.any) return [];
  checkServices(cluster, service, problems);
  const members = membersOf(spec, families, problems);
  if (problems.any) return [];
  const fabric = families.map((family) => fabricOf(family, members));
  checkFabric(fabric, cluster, service, members, problems);
  const pods = podRanges(spec, cluster, [...service, ...fabric], problems);
  checkMembers(members, fabric, [...cluster, ...service, ...pods], problems);
  return fabric;
}

/** What is special about an address, or "": nobody can have it as his own. */
function specialIp(a: Ip): string {
  if (a.family === 4) {
    const first = a.w3 >>> 24;
    if (first === 0) return "is in 0.0.0.0/8, which is nobody's address";
    if (isLoopback(a)) return "is a loopback address (127.0.0.0/8)";
    if (a.w3 >>> 16 === 0xa9fe) return "is a link-local address (169.254.0.0/16)";
    if (first >= 224 && first < 240) return "is a multicast address (224.0.0.0/4)";
    return first >= 240 ? "is in 240.0.0.0/4, which nobody can use; its last is the broadcast address" : "";
  }
  if (isLoopback(a)) return "is the loopback address";
  if (a.w0 === 0 && a.w1 === 0 && a.w2 === 0) return "is in ::/96, which is nobody's address";
  if (a.w0 >>> 22 === 0x3fa) return "is a link-local address (fe80::/10)";
  return a.w0 >>> 24 === 0xff ? "is a multicast address (ff00::/8)" : "";
}

const SPECIAL: readonly string[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/3",
  "::/96",
  "fe80::/10",
  "ff00::/8",
];

/** One range, or one of each family, that somebody's addresses can come from. */
function rangesOf(path: FieldPath, text: string, problems: FieldProblems): Range[] {
  const found: Range[] = [];
  for (const part of text.split(",").map((each) => each.trim())) {
    const cidr = readRange(path, part, problems);
    if (cidr === null) continue;
    if (found.some((range) => range.cidr.family === cidr.family)) {
      problems.invalid(path, text, "may specify no more than one CIDR for each IP family");
    }
    found.push({ path, cidr, title: `${formatPath(path)} ${part}` });
  }
  return found;
}

function readRange(path: FieldPath, text: string, problems: FieldProblems): Cidr | null {
  const range = names.readStrictCidr(problems, path, text);
  if (range === null) return null;
  const special = SPECIAL.find((each) => overlaps(cidrFrom(each), range));
  if (special === undefined) return range;
  problems.invalid(path, text, `overlaps ${special}, whose addresses nobody can have`);
  return null;
}

function checkServices(cluster: readonly Range[], service: readonly Range[], problems: FieldProblems): void {
  for (const { path, cidr } of service) {
    const text = formatCidr(cidr);
    const other = cluster.find((range) => overlaps(range.cidr, cidr));
    if (other !== undefined) problems.invalid(path, text, "must not overlap spec.clusterCIDR");
    if (!cluster.some((range) => range.cidr.family === cidr.family)) {
      problems.invalid(path, text, `spec.clusterCIDR has no IPv${cidr.family} range: pods could not answer`);
    }
    if (sizeOf(cidr) <= DNS_INDEX + 1) {
      problems.invalid(path, text, `must be a /${cidr.family === 4 ? 28 : 124} or larger`);
    }
  }
  if (service.length === 0 || cluster.length === 0 || problems.any) return;
  const [first] = cluster;
  if (!service.some(({ cidr }) => cidr.family === first.cidr.family)) {
    const detail = `must have a range of IPv${first.cidr.family}, the first family of spec.clusterCIDR`;
    problems.invalid(service[0].path, formatCidr(service[0].cidr), detail);
  }
}

interface Member {
  readonly path: FieldPath;
  readonly text: string;
  readonly address: Ip;
}

/** Nodes and clients that say their address. */
function membersOf(spec: LabRanges, families: readonly IpFamily[], problems: FieldProblems): Member[] {
  const members: Member[] = [];
  for (const list of ["nodes", "clients"] as const) {
    for (const [i, { address: text }] of (spec[list] ?? []).entries()) {
      if (text === undefined) continue;
      const path: FieldPath = ["spec", list, i, "address"];
      const address = parseIp(text);
      const special = address === null ? names.IP_TEXT : specialIp(address);
      if (address === null || special !== "") problems.invalid(path, text, special);
      else if (!families.includes(address.family)) {
        const wanted = families.map((family) => `IPv${family}`).join(" or ");
        const detail = `must be an ${wanted} address: spec.clusterCIDR has no IPv${address.family} range`;
        problems.invalid(path, text, detail);
      } else if (members.some((other) => sameIp(other.address, address))) problems.duplicate(path, text);
      else members.push({ path, text, address });
    }
  }
  return members;
}

/** The node network of a family: around the first address of it that the file gives, else the usual one. */
function fabricOf(family: IpFamily, members: readonly Member[]): Range {
  const first = members.find(({ address }) => address.family === family);
  const cidr =
    first === undefined ? cidrFrom(FABRIC_DEFAULT[family]) : network(first.address, FABRIC_MASK[family]);
  const text = formatCidr(cidr);
  return first === undefined
    ? { path: ["spec", "nodes"], cidr, title: `the node network ${text}` }
    : { path: first.path, cidr, title: `the node network ${text} (around ${formatPath(first.path)})` };
}

/** A node network that nobody chose is told on the range that takes its place. */
function checkFabric(
  fabric: readonly Range[],
  cluster: readonly Range[],
  service: readonly Range[],
  members: readonly Member[],
  problems: FieldProblems,
): void {
  for (const net of fabric) {
    if (members.some(({ address }) => address.family === net.cidr.family)) continue;
    for (const { path, cidr } of [...cluster, ...service]) {
      if (!overlaps(cidr, net.cidr)) continue;
      problems.invalid(path, formatCidr(cidr), `overlaps ${net.title}: give nodes an address elsewhere`);
    }
  }
}

function podRanges(
  spec: LabRanges,
  cluster: readonly Range[],
  others: readonly Range[],
  problems: FieldProblems,
): Range[] {
  const ranges: Range[] = [];
  for (const [i, { podCIDR: text }] of (spec.nodes ?? []).entries()) {
    if (text === undefined) continue;
    const path: FieldPath = ["spec", "nodes", i, "podCIDR"];
    const cidr = readRange(path, text, problems);
    if (cidr === null) continue;
    const twin = ranges.find((range) => overlaps(range.cidr, cidr));
    const other = others.find((range) => overlaps(range.cidr, cidr));
    const outer = cluster.find((range) => range.cidr.family === cidr.family);
    if (twin !== undefined) problems.invalid(path, text, `overlaps ${twin.title} of another node`);
    else if (other !== undefined) problems.invalid(path, text, `overlaps ${other.title}`);
    else if (outer === undefined || outer.cidr.prefixLen > cidr.prefixLen || !contains(outer.cidr, cidr)) {
      problems.invalid(
        path,
        text,
        `must be within spec.clusterCIDR ${cluster.map((r) => formatCidr(r.cidr))}`,
      );
    } else if (sizeOf(cidr) < POD_RANGE_MIN) {
      problems.invalid(path, text, `has no room for a pod: use a /${cidr.family === 4 ? 30 : 126} or larger`);
    }
    ranges.push({ path, cidr, title: text });
  }
  return ranges;
}

function checkMembers(
  members: readonly Member[],
  fabric: readonly Range[],
  taken: readonly Range[],
  problems: FieldProblems,
): void {
  for (const { path, text, address } of members) {
    const net = fabric.find((range) => range.cidr.family === address.family);
    const inside = taken.find((range) => contains(range.cidr, address));
    if (net === undefined) continue;
    const position = lastByte(address, net.cidr);
    if (inside !== undefined) problems.invalid(path, text, `is in ${inside.title}`);
    else if (!contains(net.cidr, address)) problems.invalid(path, text, `is not in ${net.title}`);
    else if (position === "first") problems.invalid(path, text, `is the address of ${net.title} itself`);
    else if (position === "last") problems.invalid(path, text, `is the broadcast address of ${net.title}`);
  }
}

/** IPv6 has no broadcast; its first address is the subnet-router anycast address (RFC 4291 §2.6.1). */
function lastByte(address: Ip, net: Cidr): "first" | "last" | "inner" {
  if (sameIp(address, net)) return "first";
  return isV4Mapped(address) && (address.w3 & 0xff) === 0xff ? "last" : "inner";
}
