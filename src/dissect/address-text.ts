// Text of the addresses in headers.
import { formatIp, formatV4, isV4Mapped } from "../base/ip.ts";

/** Text of an IPv6 address from four words; v4-mapped keeps its prefix, so that it is not taken for IPv4. */
export function ipv6Text(w0: number, w1: number, w2: number, w3: number): string {
  const words = { w0, w1, w2, w3 };
  return isV4Mapped(words) ? `::ffff:${formatV4(w3)}` : formatIp(words);
}
