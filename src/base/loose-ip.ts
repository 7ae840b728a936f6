// Addresses and CIDRs as Kubernetes has always read them in its older fields (netutils.ParseIPSloppy, ParseCIDRSloppy):
// leading zeros are decimal, IPv4 may be written as an IPv6 address, and a CIDR may have bits beyond its prefix. API
// servers up to 1.35 take such text with a warning, 1.36 and later refuse it (KEP-4858). For podwire's own files and
// flags there is the strict reading of ip.ts.
import { type Cidr, familyOf, type Ip, type IpWords, isV4Mapped, maskWord, network, parseIp } from "./ip.ts";

const ZEROS = /(^|[.:])0+(?=[0-9A-Fa-f])/g;
const MAPPED = /^([0-9A-Fa-f:]+:)(\d{1,3}(?:\.\d{1,3}){3})$/;
const DECIMAL = /^\d+$/;
const V4_BITS = 32;
const V6_BITS = 128;

/** The address that the text means, or null when it is none. */
export function readIp(text: string): Ip | null {
  const words = readWords(text);
  return words === null
    ? null
    : { family: familyOf(words), w0: words.w0, w1: words.w1, w2: words.w2, w3: words.w3 };
}

/** The network that the text means; bits beyond the prefix are cleared. */
export function readCidr(text: string): Cidr | null {
  const slash = text.indexOf("/");
  const suffix = text.slice(slash + 1);
  if (slash < 0 || !DECIMAL.test(suffix)) return null;
  const address = readIp(text.slice(0, slash));
  if (address === null) return null;
  const written6 = text.slice(0, slash).includes(":");
  const length = Number(suffix);
  if (length > (written6 ? V6_BITS : V4_BITS)) return null;
  if (address.family === 6 || !written6) return network(address, length);
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8; with a shorter prefix it is a network of IPv6.
  const shift = V6_BITS - V4_BITS;
  return length >= shift ? network(address, length - shift) : maskedV6(address, length);
}

function maskedV6({ w0, w1, w2, w3 }: IpWords, prefixLen: number): Cidr {
  const mask = (word: number, i: number): number => word & maskWord(prefixLen, i);
  return { family: 6, w0: mask(w0, 0), w1: mask(w1, 1), w2: mask(w2, 2), w3: mask(w3, 3), prefixLen };
}

function readWords(text: string): IpWords | null {
  const plain = text.replaceAll(ZEROS, "$1");
  const strict = parseIp(plain);
  if (strict !== null) return strict;
  // parseIp refuses what is v4-mapped, in both of its spellings.
  const dotted = MAPPED.exec(plain);
  if (dotted !== null) {
    const tail = parseIp(dotted[2]);
    if (tail === null) return null;
    return mapped(
      `${dotted[1]}${((tail.w3 >>> 16) & 0xffff).toString(16)}:${(tail.w3 & 0xffff).toString(16)}`,
    );
  }
  return mapped(plain);
}

/** A text whose only fault is that it is v4-mapped: with 1 in the place of ffff it is an address like another. */
function mapped(text: string): IpWords | null {
  const match = /^(.*:)(ffff)(:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4})$/i.exec(text);
  if (match === null) return null;
  const words = parseIp(`${match[1]}1${match[3]}`);
  if (words === null || words.w0 !== 0 || words.w1 !== 0 || words.w2 !== 1) return null;
  const result = { w0: 0, w1: 0, w2: 0xffff, w3: words.w3 };
  return isV4Mapped(result) ? result : null;
}
