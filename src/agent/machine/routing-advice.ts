/** What to do about policy routing that cannot be changed, or would be of no use. */
import { hasCode } from "../../base/errors.ts";
import { formatIp, type Ip, sameIp } from "../../base/ip.ts";
import { NO_PROGRAM } from "./run-ip.ts";

/** Somebody else's rule stands where the agent's have to be. */
export const NO_ROOM = "HOST_ROUTING_ROOM";

export function routingAdvice(error: unknown): string {
  if (hasCode(error, NO_ROOM))
    return "give it another one, so that podwire's and the local table's have room before it";
  if (hasCode(error, NO_PROGRAM)) return "install iproute2, or set nodePortRange: none";
  return "it is tried again each second; with nodePortRange: none nothing is changed";
}

/** What the node's own programs miss where no device has some of the `wanted` addresses; "": nothing. */
export function lackOf(device: string, wanted: readonly Ip[], there: readonly Ip[]): string {
  const gone = wanted.filter((address) => !there.some((each) => sameIp(each, address)));
  if (gone.length === 0) return "";
  const mend = gone.map((address) => {
    const [bits, nodad] = address.family === 6 ? [128, " nodad"] : [32, ""];
    return `ip addr add ${formatIp(address)}/${bits} dev ${device}${nodad}`;
  });
  const names = gone.map(formatIp).join(", ");
  return `${device}: the node's own programs do not reach all services: no device has ${names}: ${mend.join("; ")}`;
}
