/**
 * A stage that refuses a packet says here which ICMP error its sender shall get; the pipeline makes and sends it
 * after the drop. Codes are ICMPv4's; `stage/ip/send-icmp-error.ts` knows the ICMPv6 twins.
 */
import type { Packet } from "./packet.ts";

export const IcmpRequest = Object.freeze({
  NONE: 0,
  PORT_UNREACHABLE: 1,
  HOST_UNREACHABLE: 2,
  NET_UNREACHABLE: 3,
  FRAGMENTATION_NEEDED: 4,
  TTL_EXCEEDED: 5,
  REASSEMBLY_EXCEEDED: 6,
  ADMIN_PROHIBITED: 7,
  TCP_RESET: 8, // no ICMP at all: the answer of a port where nobody listens
  ECHO_REPLY: 9, // no error: a ping that was taken in, to be answered
  UNKNOWN_OPTION: 10,
  PARAMETER_PROBLEM: 11, // IPv4
} as const);

/** Beside the request, in a record: the error was owed, and the rate limit kept it back. */
export const WITHHELD = 32;

export function requestPortUnreachable(pkt: Packet): void {
  pkt.icmpRequest = IcmpRequest.PORT_UNREACHABLE;
}
export function requestIcmp(pkt: Packet, what: number): void {
  pkt.icmpRequest = what;
}
/** `pointer`: bytes from the IP header to the option that is not known. */
export function requestUnknownOption(pkt: Packet, pointer: number): void {
  pkt.icmpRequest = IcmpRequest.UNKNOWN_OPTION;
  pkt.icmpMtu = pointer;
}
/** `pointer`: bytes from the IPv4 header to what is wrong. */
export function requestParameterProblem(pkt: Packet, pointer: number): void {
  pkt.icmpRequest = IcmpRequest.PARAMETER_PROBLEM;
  pkt.icmpMtu = pointer;
}
export function requestFragmentationNeeded(pkt: Packet, mtu: number): void {
  pkt.icmpRequest = IcmpRequest.FRAGMENTATION_NEEDED;
  pkt.icmpMtu = mtu;
}
