// Formats of names, labels, ports and addresses, with the API server's explanations (apimachinery,
// util/validation). Each function returns all that is wrong.
import {
  type Cidr,
  formatCidr,
  hasHostBits,
  type Ip,
  type IpFamily,
  isLoopback,
  parseCidr,
  parseIp,
} from "../../base/ip.ts";
import { readCidr } from "../../base/loose-ip.ts";
import type { FieldPath, FieldProblems } from "../manifest/field-problems.ts";

const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const whole = (source: string): RegExp => new RegExp(`^(?:${source})$`);
const LABEL_RE = whole(LABEL);
const SUBDOMAIN_RE = whole(SUBDOMAIN);
const WILDCARD_RE = whole(`\\*\\.${SUBDOMAIN}`);
const LABEL_1035_RE = whole(LABEL_1035);
const QUALIFIED_RE = whole(QUALIFIED);

const LABEL_TEXT =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end " +
  `with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${LABEL}')`;
const SUBDOMAIN_TEXT =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start " +
  `and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${SUBDOMAIN}')`;
const LABEL_1035_TEXT =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, " +
  `and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '${LABEL_1035}')`;
const QUALIFIED_TEXT =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " +
  `(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${QUALIFIED}')`;
const WILDCARD = `\\*\\.${SUBDOMAIN}`;
const WILDCARD_TEXT =
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower " +
  "case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used " +
  `for validation is '${WILDCARD}')`;
const LABEL_VALUE_TEXT =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and " +
  "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is " +
  `'(${QUALIFIED})?')`;

export const PORT_TEXT = "must be between 1 and 65535, inclusive";
export const IP_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

export function dns1123Label(text: string): string[] {
  const isDotted = !LABEL_RE.test(text) && SUBDOMAIN_RE.test(text);
  return [
    ...tooLong(text, 63, "characters"),
    ...(isDotted ? ["must not contain dots"] : unlike(LABEL_RE, text, LABEL_TEXT)),
  ];
}

export function dns1123Subdomain(text: string, unit: Unit = "characters"): string[] {
  return [...tooLong(text, 253, unit), ...unlike(SUBDOMAIN_RE, text, SUBDOMAIN_TEXT)];
}

/** A host of which the first label may be any: *.example.com. */
export function wildcardSubdomain(text: string): string[] {
  return [...tooLong(text, 253, "characters"), ...unlike(WILDCARD_RE, text, WILDCARD_TEXT)];
}

/** Names that may be anything that fits between two slashes of a URL (RBAC). */
export function pathSegment(text: string): string[] {
  if (text === "." || text === "..") return [`may not be '${text}'`];
  return ["/", "%"].filter((part) => text.includes(part)).map((part) => `may not contain '${part}'`);
}

export function dns1035Label(text: string): string[] {
  return [...tooLong(text, 63, "characters"), ...unlike(LABEL_1035_RE, text, LABEL_1035_TEXT)];
}

/** Label and annotation keys: an optional DNS prefix, a slash, and a name. */
export function qualifiedName(text: string): string[] {
  const parts = text.split("/");
  if (parts.length > 2)
    return [
      `a valid label key ${QUALIFIED_TEXT} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  const name = parts[parts.length - 1];
  const empty = "must be non-empty";
  const prefix = parts[0] === "" ? [empty] : dns1123Subdomain(parts[0], "bytes");
  const wrong = name === "" ? [empty] : tooLong(name, 63, "bytes");
  return [
    ...(parts.length === 2 ? prefix.map((why) => `prefix part ${why}`) : []),
    ...[...wrong, ...unlike(QUALIFIED_RE, name, QUALIFIED_TEXT)].map((why) => `name part ${why}`),
  ];
}

export function labelValue(text: string): string[] {
  const isRight = text === "" || QUALIFIED_RE.test(text);
  return [...tooLong(text, 63, "bytes"), ...(isRight ? [] : [LABEL_VALUE_TEXT])];
}

/** Port names of containers, and targetPort by name (RFC 6335). */
export function portName(text: string): string[] {
  const rules: [holds: boolean, text: string][] = [
    [/^[-a-z0-9]+$/.test(text), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"],
    [/[a-z]/.test(text), "must contain at least one letter (a-z)"],
    [!text.includes("--"), "must not contain consecutive hyphens"],
    [!text.startsWith("-") && !text.endsWith("-"), "must not begin or end with a hyphen"],
  ];
  return [...tooLong(text, 15, "characters"), ...rules.flatMap(([holds, why]) => (holds ? [] : [why]))];
}

/** The API server's word for the same limit: labels are told in bytes. */
type Unit = "bytes" | "characters";

function tooLong(text: string, max: number, unit: Unit): string[] {
  return text.length > max ? [`must be no more than ${max} ${unit}`] : [];
}

function unlike(form: RegExp, text: string, why: string): string[] {
  return form.test(text) ? [] : [why];
}

export function isPort(value: number | undefined): boolean {
  return value !== undefined && Number.isInteger(value) && value >= 1 && value <= 65535;
}

/** Reports `text` as invalid when `check` finds something. Absent text is required. */
export function checkName(
  problems: FieldProblems,
  path: FieldPath,
  text: string | undefined,
  check: (text: string) => readonly string[],
): void {
  if (text === undefined || text === "") problems.required(path);
  else for (const wrong of check(text)) problems.invalid(path, text, wrong);
}

export function checkPort(problems: FieldProblems, path: FieldPath, value: number | undefined): void {
  if (value === undefined || value === 0) problems.required(path);
  else if (!isPort(value)) problems.invalid(path, value, PORT_TEXT);
}

/** A port by number or name, as targetPort and the probes take it. */
export function checkIntOrName(
  problems: FieldProblems,
  path: FieldPath,
  value: number | string | undefined,
): void {
  if (value === undefined) problems.required(path);
  else if (typeof value === "number") {
    if (!isPort(value)) problems.invalid(path, value, PORT_TEXT);
  } else for (const wrong of portName(value)) problems.invalid(path, value, wrong);
}

export function checkNonNegative(problems: FieldProblems, path: FieldPath, value: number | undefined): void {
  if (value !== undefined && value < 0) problems.invalid(path, value, "must be greater than or equal to 0");
}

export function checkIp(problems: FieldProblems, path: FieldPath, text: string, family?: IpFamily): boolean {
  const parsed = parseIp(text);
  if (parsed === null) problems.invalid(path, text, IP_TEXT);
  else if (family !== undefined && parsed.family !== family) {
    problems.invalid(path, text, `must be an IPv${family} address`);
  } else return true;
  return false;
}

export function checkCidr(problems: FieldProblems, path: FieldPath, text: string): boolean {
  if (parseCidr(text) !== null) return true;
  problems.invalid(path, text, CIDR_TEXT);
  return false;
}

/** As IsValidCIDR: a network, written as everybody writes it. */
export function checkStandardCidr(problems: FieldProblems, path: FieldPath, text: string): boolean {
  const range = readStrictCidr(problems, path, text);
  if (range === null) return false;
  if (formatCidr(range) === text) return true;
  problems.invalid(path, text, `must be in canonical form ("${formatCidr(range)}")`);
  return false;
}

/** What Kubernetes 1.36 calls valid: no leading zeros, nothing v4-mapped, no bits beyond the prefix. */
export function readStrictCidr(problems: FieldProblems, path: FieldPath, text: string): Cidr | null {
  const range = parseCidr(text);
  if (range !== null && !hasHostBits(text)) return range;
  let detail = CIDR_TEXT;
  if (range !== null) detail = "must not have bits set beyond the prefix length";
  else if (readCidr(text) !== null) {
    const zeros = /(?:^|[./])0\d|(?:^|:)0+[0-9A-Fa-f]{4}/.test(text);
    detail = zeros
      ? "must not have leading 0s in IP or prefix length"
      : "must not have an IPv4-mapped IPv6 address";
  }
  problems.invalid(path, text, detail);
  return null;
}

/** Addresses that no service or endpoint may have: they mean something else on every machine. */
export function checkOrdinaryIp(problems: FieldProblems, path: FieldPath, text: string): void {
  const a = parseIp(text);
  const wrong = a === null ? undefined : whyUnusual(a);
  if (wrong !== undefined) problems.invalid(path, text, wrong);
}

/** An address that `checkIp` and `checkOrdinaryIp` let pass: nearly all, so that no path is made for them. */
export function isOrdinaryIp(text: string, family: IpFamily): boolean {
  const a = parseIp(text);
  return a !== null && a.family === family && whyUnusual(a) === undefined;
}

/** The same for `dns1123Subdomain`. */
export function isSubdomain(text: string): boolean {
  return text.length <= 253 && SUBDOMAIN_RE.test(text);
}

function whyUnusual(a: Ip): string | undefined {
  const v4 = a.family === 4;
  if (v4 ? a.w3 === 0 : (a.w0 | a.w1 | a.w2 | a.w3) === 0) return "may not be unspecified (0.0.0.0 or ::)";
  if (isLoopback(a)) return "may not be in the loopback range (127.0.0.0/8, ::1/128)";
  if (v4 ? a.w3 >>> 16 === 0xa9fe : a.w0 >>> 22 === 0x3fa)
    return "may not be in the link-local range (169.254.0.0/16, fe80::/10)";
  if (v4 ? a.w3 >>> 8 === 0xe00000 : a.w0 >>> 16 === 0xff02)
    return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
  return undefined;
}
