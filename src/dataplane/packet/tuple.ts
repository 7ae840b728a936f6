/** Work on conntrack tuples, in the ten-word form of packet.ts. */
const ICMP = 1;
const ICMPV6 = 58;

/** The tuple of the answers to `key`, without any translation (nf_ct_invert_tuple). */
export function invert(key: Int32Array, out: Int32Array): void {
  for (let i = 0; i < 4; i++) {
    out[i] = key[i + 4];
    out[i + 4] = key[i];
  }
  const ports = key[8];
  const proto = key[9] & 0xff;
  if (proto === ICMP || proto === ICMPV6) {
    const other = answerType(proto, (ports >>> 8) & 0xff);
    out[8] = (ports & ~0xffff) | (other << 8) | (ports & 0xff);
  } else out[8] = (ports << 16) | (ports >>> 16);
  out[9] = key[9];
}

/** ICMP type of the answer to a query, and of the query to an answer. */
function answerType(proto: number, type: number): number {
  if (proto === ICMPV6) {
    if (type === 128) return 129;
    return type === 129 ? 128 : type;
  }
  if (type === 8) return 0;
  if (type === 0) return 8;
  if (type === 13 || type === 15 || type === 17) return type + 1;
  if (type === 14 || type === 16 || type === 18) return type - 1;
  return type;
}

export function same(a: Int32Array, b: Int32Array): boolean {
  for (let i = 0; i < 10; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function exchange(a: Int32Array, b: Int32Array): void {
  for (let i = 0; i < 10; i++) {
    const word = a[i];
    a[i] = b[i];
    b[i] = word;
  }
}

export function copy(from: Int32Array, to: Int32Array): void {
  for (let i = 0; i < 10; i++) to[i] = from[i];
}
