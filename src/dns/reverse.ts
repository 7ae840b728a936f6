/** Names for addresses: in-addr.arpa (RFC 1035 §3.5) and ip6.arpa (RFC 3596 §2.5). */
import { type Ip, parseIp } from "../base/ip.ts";
import { labelsBefore } from "./name.ts";

const FOUR = ["in-addr", "arpa"];
const SIX = ["ip6", "arpa"];
const OCTET = /^(?:0|[1-9][0-9]{0,2})$/;
const NIBBLE = /^[0-9a-f]$/;

export function isReverse(labels: readonly string[]): boolean {
  return labelsBefore(labels, FOUR) >= 0 || labelsBefore(labels, SIX) >= 0;
}

/** The address that a name stands for; null: it stands for none, or for a range. Labels are in lower case. */
export function reverseAddress(labels: readonly string[]): Ip | null {
  const parts = labels.slice(0, -2).reverse();
  if (labelsBefore(labels, FOUR) === 4)
    return parts.every((part) => OCTET.test(part)) ? parseIp(parts.join(".")) : null;
  if (labelsBefore(labels, SIX) !== 32 || !parts.every((part) => NIBBLE.test(part))) return null;
  return parseIp(parts.join("").replaceAll(/(.{4})(?!$)/g, "$1:"));
}
