// Which address of a pod range comes next: after the one that was given last, round and round, as host-local does, so
// that an address that is free again is the last to be given again. Pure.
import { addIp, type Cidr, formatCidr, type Ip, nthIp, offsetIn, sizeOf } from "../base/ip.ts";

/** Offsets that pods may have: not the network's own (the VTEP), not the gateway, not IPv4's broadcast address. */
const FIRST = 2;

function lastOffset(range: Cidr): number {
  return sizeOf(range) - (range.family === 4 ? 2 : 1);
}

/** Why a pod cannot have the address; "": it can. */
export function unusable(range: Cidr, address: Ip): string {
  const at = offsetIn(range, address);
  if (at < 0) return `is not in the node's range, ${formatCidr(range)}`;
  if (at === 0) return "is the network's own address";
  if (at === 1) return "is the gateway's";
  return at > lastOffset(range) ? "is the broadcast address" : "";
}

/** How many addresses pods may have. */
export function poolSize(range: Cidr): number {
  return Math.max(0, lastOffset(range) - FIRST + 1);
}

/** The next free one; undefined: there is none. */
export function nextAddress(
  range: Cidr,
  last: Ip | undefined,
  isTaken: (address: Ip) => boolean,
): Ip | undefined {
  const count = poolSize(range);
  const from = last === undefined ? -1 : offsetIn(range, last);
  const begin = from < FIRST || from >= lastOffset(range) ? FIRST : from + 1;
  let address = nthIp(range, begin);
  for (let i = 0, at = begin; i < count; i++, at++) {
    if (at > lastOffset(range)) {
      at = FIRST;
      address = nthIp(range, FIRST);
    }
    if (!isTaken(address)) return address;
    address = addIp(address, 1);
  }
  return undefined;
}
