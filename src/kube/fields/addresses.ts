// Addresses of objects, brought to their standard form when an object is read: 010.0.0.5 is 10.0.0.5, ::ffff:10.0.0.5 is
// 10.0.0.5, FD00:0::1 is fd00::1, 10.0.0.5/8 is 10.0.0.0/8. So nobody behind this place has to know of other forms, and
// two readers cannot disagree about one (CVE-2021-29923). Each is told as API servers 1.33 to 1.35 tell it; 1.36 refuses
// all but the spelling of IPv6. Text that is no address stays as it is: validation refuses it.
import { formatCidr, formatIp, isV4Mapped, isV4Text, parseCidr, parseIp } from "../../base/ip.ts";
import { readCidr, readIp } from "../../base/loose-ip.ts";
import { WORKLOADS } from "../kinds.ts";
import { formatPath } from "../manifest/field-problems.ts";
import type { KubeObject } from "../objects.ts";

type Report = (field: string, text: string) => void;

interface AddressField {
  /** Path from the object, [*] for the items of a list. */
  readonly path: string;
  readonly form: "ip" | "cidr";
}

const POD_SPEC = [
  "hostAliases[*].ip",
  "dnsConfig.nameservers[*]",
  "containers[*].ports[*].hostIP",
  "initContainers[*].ports[*].hostIP",
];
const TEMPLATE_SPEC = POD_SPEC.map((path) => `spec.template.spec.${path}`);
const POD_STATUS = ["podIP", "podIPs[*].ip", "hostIP", "hostIPs[*].ip"];
const PEERS = ["spec.ingress[*].from[*].ipBlock", "spec.egress[*].to[*].ipBlock"];

/** Every field of an object's kind that holds an address. Of a ServiceCIDR the API server wants the standard form. */
export const ADDRESS_FIELDS: Readonly<Record<string, readonly AddressField[]>> = {
  Service: [
    ...ips("spec.clusterIPs[*]", "spec.clusterIP", "spec.externalIPs[*]", "spec.loadBalancerIP"),
    ...cidrs("spec.loadBalancerSourceRanges[*]"),
    ...ips("status.loadBalancer.ingress[*].ip"),
  ],
  Endpoints: ips("subsets[*].addresses[*].ip", "subsets[*].notReadyAddresses[*].ip"),
  EndpointSlice: ips("endpoints[*].addresses[*]"),
  Pod: ips(...POD_SPEC.map((path) => `spec.${path}`), ...POD_STATUS.map((path) => `status.${path}`)),
  ...Object.fromEntries(WORKLOADS.map((kind) => [kind, ips(...TEMPLATE_SPEC)])),
  Node: [...cidrs("spec.podCIDRs[*]", "spec.podCIDR"), ...ips("status.addresses[*].address")],
  NetworkPolicy: cidrs(...PEERS.flatMap((peer) => [`${peer}.cidr`, `${peer}.except[*]`])),
};

function ips(...paths: string[]): AddressField[] {
  return paths.map((path) => ({ path, form: "ip" }));
}

function cidrs(...paths: string[]): AddressField[] {
  return paths.map((path) => ({ path, form: "cidr" }));
}

/** The API server takes blanks around these, and nowhere else. */
const MAY_BE_PADDED = /^spec\.loadBalancerSourceRanges/;

const WORDS = new Map<string, readonly string[]>();

/** Changes the decoded object in place. */
export function standardizeAddresses(object: KubeObject, report: Report): void {
  for (const { path, form } of ADDRESS_FIELDS[object.kind] ?? []) {
    let words = WORDS.get(path);
    if (words === undefined) {
      words = path.replaceAll("[*]", ".*").split(".");
      WORDS.set(path, words);
    }
    visit(object, words, 0, form, [], repeats(object, path) ? () => {} : report);
  }
}

/** clusterIP and podCIDR are the first items of their lists written again: one report is enough. */
function repeats(object: KubeObject, path: string): boolean {
  const { spec, status } = object as { spec?: Record<string, unknown>; status?: Record<string, unknown> };
  if (path === "spec.clusterIP") return spec?.clusterIPs !== undefined;
  if (path === "spec.podCIDR") return spec?.podCIDRs !== undefined;
  if (path === "status.podIP") return status?.podIPs !== undefined;
  return path === "status.hostIP" && status?.hostIPs !== undefined;
}

/** `at` is the path of `holder`: text is made of it when there is something to tell. */
function visit(
  holder: unknown,
  words: readonly string[],
  depth: number,
  form: "ip" | "cidr",
  at: (string | number)[],
  report: Report,
): void {
  if (typeof holder !== "object" || holder === null) return;
  if (words[depth] !== "*") visitAt(holder, words[depth], words, depth, form, at, report);
  else if (Array.isArray(holder))
    for (let i = 0; i < holder.length; i++) visitAt(holder, i, words, depth, form, at, report);
}

function visitAt(
  holder: object,
  key: string | number,
  words: readonly string[],
  depth: number,
  form: "ip" | "cidr",
  at: (string | number)[],
  report: Report,
): void {
  const map = holder as Record<string | number, unknown>;
  const value = map[key];
  const isLast = depth === words.length - 1;
  if (value === undefined || (isLast && typeof value === "string" && form === "ip" && isV4Text(value)))
    return;
  at.push(key);
  if (!isLast) visit(value, words, depth + 1, form, at, report);
  else if (typeof value === "string") {
    const path = formatPath(at);
    map[key] = form === "ip" ? asIp(value, path, report) : asCidr(value, path, report);
  }
  at.pop();
}

function asIp(text: string, path: string, report: Report): string {
  const address = readIp(text);
  if (address === null) return text; // "None", a host name, or a mistake
  const standard = formatIp(address);
  if (standard === text) return text;
  report(
    path,
    parseIp(text) === null ? refusedLater("IP address", text, standard) : spelling("address", text, standard),
  );
  return standard;
}

function asCidr(text: string, path: string, report: Report): string {
  const bare = MAY_BE_PADDED.test(path) ? text.trim() : text;
  const range = readCidr(bare);
  if (range === null) return text;
  const standard = formatCidr(range);
  if (standard === text) return text;
  const [address, suffix] = bare.split("/");
  const single = readIp(address) ?? range;
  const isStandard = parseCidr(bare) !== null && !/^0\d/.test(suffix);
  const hasMore = formatIp(single) !== formatIp(range);
  if (hasMore) {
    const only = `${formatIp(single)}/${isV4Mapped(single) ? 32 : 128}`;
    report(
      path,
      `CIDR value ${JSON.stringify(text)} is ambiguous in this context (should be "${standard}" or "${only}"?)`,
    );
  }
  if (!isStandard) report(path, refusedLater("CIDR value", text, standard));
  else if (!hasMore && text === bare) report(path, spelling("CIDR value", text, standard));
  return standard;
}

function refusedLater(what: string, text: string, standard: string): string {
  const written = JSON.stringify(text);
  return `non-standard ${what} ${written} will be considered invalid in a future Kubernetes release: use "${standard}"`;
}

function spelling(what: string, text: string, standard: string): string {
  return `IPv6 ${what} ${JSON.stringify(text)} should be in RFC 5952 canonical format ("${standard}")`;
}
