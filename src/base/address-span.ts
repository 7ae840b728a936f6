// Addresses that follow each other, as pools of load balancers are written: "192.168.50.240/28" means all of them,
// "192.168.50.200-192.168.50.209" has both ends in it. Text is read as strictly as everywhere (ip.ts).
import {
  addIp,
  formatIp,
  hasHostBits,
  type Ip,
  type IpWords,
  nthIp,
  parseCidr,
  parseIp,
  sizeOf,
} from "./ip.ts";

/** As many as are told apart; no lab gives away more. */
const SIZE_MAX = 0x7fffffff;

export interface AddressSpan {
  readonly first: Ip;
  /** How many there are, SIZE_MAX at most. */
  readonly size: number;
}

/** Null: the text is no span, or one whose end comes before its beginning. */
export function parseSpan(text: string): AddressSpan | null {
  const range = parseCidr(text);
  if (range !== null) return hasHostBits(text) ? null : { first: nthIp(range, 0), size: sizeOf(range) };
  const ends = text.split("-").map((part) => parseIp(part.trim()));
  const [first, last] = ends;
  if (ends.length !== 2 || first === null || last === null || first.family !== last.family) return null;
  const distance = distanceOf(first, last);
  return distance < 0 ? null : { first, size: Math.min(SIZE_MAX, distance + 1) };
}

/** Place of an address in the span, or -1: it is not in it. */
export function placeIn({ first, size }: AddressSpan, address: Ip): number {
  if (address.family !== first.family) return -1;
  const distance = distanceOf(first, address);
  return distance >= 0 && distance < size ? distance : -1;
}

export function nthOfSpan({ first }: AddressSpan, n: number): Ip {
  return addIp(first, n);
}

/** "192.168.50.240-192.168.50.254". */
export function formatSpan(span: AddressSpan): string {
  return `${formatIp(span.first)}-${formatIp(nthOfSpan(span, span.size - 1))}`;
}

export function spansOverlap(a: AddressSpan, b: AddressSpan): boolean {
  return placeIn(a, b.first) >= 0 || placeIn(b, a.first) >= 0;
}

/** How far `b` is behind `a`; SIZE_MAX is further than anybody counts, -1 before it. */
function distanceOf(a: IpWords, b: IpWords): number {
  const distance = numberOf(b) - numberOf(a);
  if (distance < 0n) return -1;
  return distance < BigInt(SIZE_MAX) ? Number(distance) : SIZE_MAX;
}

function numberOf({ w0, w1, w2, w3 }: IpWords): bigint {
  return [w0, w1, w2, w3].reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
}
