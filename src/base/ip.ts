// Addresses and CIDRs as text: the one place that parses and prints them. Strict on purpose: what Kubernetes'
// validation refuses (010.0.0.1, 10.1, /08, fe80::1%eth0, ::ffff:10.0.0.1) is refused here, because two readers
// that disagree about an address is how a filter gets bypassed (CVE-2021-29923).
//
// In numbers an address is four signed 32-bit words, most significant first; IPv4 is v4-mapped (0, 0, 0xffff, a),
// so that one key form serves both families.
import ipaddr from "ipaddr.js";
import { PodwireError } from "./errors.ts";

export type IpFamily = 4 | 6;

/** Four i32 words, v4-mapped for IPv4. */
export interface IpWords {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
}

export interface Ip extends IpWords {
  readonly family: IpFamily;
}

export interface Cidr extends IpWords {
  readonly family: IpFamily;
  /** Of the family's own width: 0…32 or 0…128. The words have their host bits cleared. */
  readonly prefixLen: number;
}

const V6_GROUPS = 8;
export const V4_MAPPED = 0x0000ffff; // w2 of an IPv4 address
const V4_PREFIX_BITS = 96; // what a v4-mapped prefix adds to the length
const STRICT_V4 = /^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/;
const STRICT_V6 = /^[0-9A-Fa-f:]{2,39}$/;
const STRICT_V6_TAIL = /^([0-9A-Fa-f:]{2,30}:)(\d{1,3}(?:\.\d{1,3}){3})$/; // 64:ff9b::192.0.2.1
const ZERO = 48; // character code
const DOT = -2; // from that
const V4_TEXT_MAX = 15;
const PREFIX_LEN = /^(?:0|[1-9]\d{0,2})$/;

/** The address, or null when the text is none by Kubernetes' rules. */
export function parseIp(text: string): Ip | null {
  const w3 = v4Word(text);
  if (w3 !== null) return { family: 4, w0: 0, w1: 0, w2: V4_MAPPED, w3 };
  const words = v6Words(text);
  if (words === null || isV4Mapped(words)) return null;
  return { family: 6, ...words };
}

/** Is the text an IPv4 address, and so in its only form? */
export function isV4Text(text: string): boolean {
  return v4Word(text) !== null;
}

/** As `parseIp`, for text that was validated before: a failure is an error with code IP_BAD_ADDRESS. */
export function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === null) {
    throw new PodwireError(`${JSON.stringify(text)} is not an IP address`, { code: "IP_BAD_ADDRESS", text });
  }
  return parsed;
}

/** The network; host bits are cleared. `hasHostBits` tells whether there were any. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf("/");
  if (slash < 0) return null;
  const address = parseIp(text.slice(0, slash));
  const suffix = text.slice(slash + 1);
  if (address === null || !PREFIX_LEN.test(suffix)) return null;
  const prefixLen = Number(suffix);
  if (prefixLen > (address.family === 4 ? 32 : 128)) return null;
  return network(address, prefixLen);
}

/** As `parseCidr`; a failure is an error with code IP_BAD_CIDR. */
export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === null) {
    throw new PodwireError(`${JSON.stringify(text)} is not a CIDR`, { code: "IP_BAD_CIDR", text });
  }
  return parsed;
}

/** A comma-separated list of CIDRs, as --cluster-cidr takes it. */
export function cidrs(text: string): Cidr[] {
  return text.split(",").map((part) => cidr(part.trim()));
}

/** The network of `address` with this prefix length (of the family's own width). */
export function network(address: Ip, prefixLen: number): Cidr {
  const bits = address.family === 4 ? prefixLen + V4_PREFIX_BITS : prefixLen;
  return {
    family: address.family,
    w0: address.w0 & maskWord(bits, 0),
    w1: address.w1 & maskWord(bits, 1),
    w2: address.w2 & maskWord(bits, 2),
    w3: address.w3 & maskWord(bits, 3),
    prefixLen,
  };
}

/** True when the text's address has bits outside its prefix: 10.0.0.1/8. The text must be a CIDR. */
export function hasHostBits(text: string): boolean {
  const slash = text.indexOf("/");
  return !sameIp(ip(text.slice(0, slash)), cidr(text));
}

export function contains(range: Cidr, address: IpWords): boolean {
  const bits = prefixLen128(range);
  return (
    ((address.w0 ^ range.w0) & maskWord(bits, 0)) === 0 &&
    ((address.w1 ^ range.w1) & maskWord(bits, 1)) === 0 &&
    ((address.w2 ^ range.w2) & maskWord(bits, 2)) === 0 &&
    ((address.w3 ^ range.w3) & maskWord(bits, 3)) === 0
  );
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && (contains(a, b) || contains(b, a));
}

/** Prefix length in the v4-mapped form: 10.0.0.0/8 is 104. */
export function prefixLen128(range: Cidr): number {
  return range.family === 4 ? range.prefixLen + V4_PREFIX_BITS : range.prefixLen;
}

export function sameIp(a: IpWords, b: IpWords): boolean {
  return a.w0 === b.w0 && a.w1 === b.w1 && a.w2 === b.w2 && a.w3 === b.w3;
}

export function isV4Mapped(a: IpWords): boolean {
  return a.w0 === 0 && a.w1 === 0 && a.w2 === V4_MAPPED;
}

export function familyOf(a: IpWords): IpFamily {
  return isV4Mapped(a) ? 4 : 6;
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(a: IpWords): boolean {
  if (isV4Mapped(a)) return a.w3 >>> 24 === 127;
  return a.w0 === 0 && a.w1 === 0 && a.w2 === 0 && a.w3 === 1;
}

/** A short text to look an address up by, one for each address. Nobody reads it. */
export function ipKey(a: IpWords): string {
  const { w0, w1, w2, w3 } = a;
  if (isV4Mapped(a)) return String.fromCharCode(w3 >>> 16, w3 & 0xffff);
  const high = String.fromCharCode(w0 >>> 16, w0 & 0xffff, w1 >>> 16, w1 & 0xffff);
  return high + String.fromCharCode(w2 >>> 16, w2 & 0xffff, w3 >>> 16, w3 & 0xffff);
}

/** Canonical text: dotted quad, or RFC 5952. What Kubernetes writes, so texts of equal addresses are equal. */
export function formatIp(a: IpWords): string {
  if (isV4Mapped(a)) return formatV4(a.w3);
  return formatV6(a);
}

export function formatV4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`;
}

export function formatCidr(range: Cidr): string {
  return `${formatIp(range)}/${range.prefixLen}`;
}

/** "10.0.0.1:80", "[fd00::1]:80". */
export function formatIpPort(a: IpWords, port: number): string {
  return isV4Mapped(a) ? `${formatV4(a.w3)}:${port}` : `[${formatIp(a)}]:${port}`;
}

/** Address + n, for |n| < 2³¹. Carries through all words; the caller keeps the result inside its range. */
export function addIp<T extends IpWords>(a: T, n: number): T {
  const sum = (a.w3 >>> 0) + n;
  let carry = Math.floor(sum / 2 ** 32);
  const w3 = sum | 0;
  const next = (word: number): number => {
    const s = (word >>> 0) + carry;
    carry = Math.floor(s / 2 ** 32);
    return s | 0;
  };
  if (isV4Mapped(a)) return { ...a, w3 };
  const w2 = next(a.w2);
  const w1 = next(a.w1);
  const w0 = next(a.w0);
  return { ...a, w0, w1, w2, w3 };
}

/** Number of addresses, capped at 2³¹ - 1: ranges are walked, never enumerated past that. */
export function sizeOf(range: Cidr): number {
  const hostBits = (range.family === 4 ? 32 : 128) - range.prefixLen;
  return hostBits >= 31 ? 0x7fffffff : 2 ** hostBits;
}

/** The n-th address of a range, 0 being its network address. */
export function nthIp(range: Cidr, n: number): Ip {
  const { family, w0, w1, w2, w3 } = range;
  return addIp({ family, w0, w1, w2, w3 }, n);
}

/** Position of an address in a range, or -1 when it is outside or 2³¹ and further. */
export function offsetIn(range: Cidr, address: IpWords): number {
  if (!contains(range, address)) return -1;
  const same = address.w0 === range.w0 && address.w1 === range.w1 && address.w2 === range.w2;
  const offset = (address.w3 >>> 0) - (range.w3 >>> 0);
  return same && offset < 0x7fffffff ? offset : -1;
}

/** Bits of word `index` (0 = most significant) that a 128-bit prefix of this length covers. */
export function maskWord(prefixBits: number, index: number): number {
  const bits = Math.min(32, Math.max(0, prefixBits - index * 32));
  return bits === 0 ? 0 : (-1 << (32 - bits)) | 0;
}

/** Read by hand: a cluster's objects hold hundreds of thousands of them, and each is read several times. */
function v4Word(text: string): number | null {
  if (text.length > V4_TEXT_MAX) return null;
  let word = 0;
  let byte = -1; // no digit yet
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit >= 0 && digit <= 9) {
      if (byte === 0) return null; // 01
      byte = byte < 0 ? digit : byte * 10 + digit;
      if (byte > 255) return null;
    } else {
      if (digit !== DOT || byte < 0) return null;
      word = (word << 8) | byte;
      byte = -1;
      dots++;
    }
  }
  return dots === 3 && byte >= 0 ? (word << 8) | byte : null;
}

function v6Words(text: string): IpWords | null {
  const tail = STRICT_V6_TAIL.exec(text);
  if (tail !== null && !STRICT_V4.test(tail[2])) return null;
  if (tail === null && !STRICT_V6.test(text)) return null;
  if (/[0-9A-Fa-f]{5}/.test(text) || !ipaddr.IPv6.isValid(text)) return null;
  const p = ipaddr.IPv6.parse(text).parts;
  const word = (i: number): number => (p[2 * i] << 16) | p[2 * i + 1];
  return { w0: word(0), w1: word(1), w2: word(2), w3: word(3) };
}

/** RFC 5952, section 4: the longest run of zeros, of two groups at least and the first of several, is "::". */
function formatV6(a: IpWords): string {
  let [from, to] = [-1, -1];
  for (let i = 0; i < V6_GROUPS; i++) {
    const begin = i;
    while (i < V6_GROUPS && group(a, i) === 0) i++;
    if (i - begin > Math.max(1, to - from)) [from, to] = [begin, i];
  }
  if (from < 0) return groups(a, 0, V6_GROUPS);
  return `${groups(a, 0, from)}::${groups(a, to, V6_GROUPS)}`;
}

function groups(a: IpWords, from: number, to: number): string {
  let text = "";
  for (let i = from; i < to; i++) text += `${i > from ? ":" : ""}${group(a, i).toString(16)}`;
  return text;
}

function group(a: IpWords, i: number): number {
  const word = i < 4 ? (i < 2 ? a.w0 : a.w1) : i < 6 ? a.w2 : a.w3;
  return (i & 1) === 0 ? word >>> 16 : word & 0xffff;
}
