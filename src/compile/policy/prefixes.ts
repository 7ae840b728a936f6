// Prefixes in order: by first address, wider ones before narrower ones.
import { type IpWords, maskWord } from "../../base/ip.ts";
import type { Prefix } from "../../dataplane/spec/prefix.ts";

export function comparePrefixes(a: IpWords, aBits: number, b: IpWords, bBits: number): number {
  if (a.w0 !== b.w0) return (a.w0 >>> 0) - (b.w0 >>> 0);
  if (a.w1 !== b.w1) return (a.w1 >>> 0) - (b.w1 >>> 0);
  if (a.w2 !== b.w2) return (a.w2 >>> 0) - (b.w2 >>> 0);
  if (a.w3 !== b.w3) return (a.w3 >>> 0) - (b.w3 >>> 0);
  return aBits - bBits;
}

/** Does a prefix hold the one that is the first bits of this address? */
export function holds(outer: Prefix, inner: IpWords, bits: number): boolean {
  return (
    outer.bits <= bits &&
    ((outer.w0 ^ inner.w0) & maskWord(outer.bits, 0)) === 0 &&
    ((outer.w1 ^ inner.w1) & maskWord(outer.bits, 1)) === 0 &&
    ((outer.w2 ^ inner.w2) & maskWord(outer.bits, 2)) === 0 &&
    ((outer.w3 ^ inner.w3) & maskWord(outer.bits, 3)) === 0
  );
}
