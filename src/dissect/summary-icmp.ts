// ICMP and ICMPv6 layers → the words tcpdump has for them.
import { Protocol } from "../base/protocols.ts";
import * as icmpv4 from "../wire/ip/icmpv4.ts";
import * as icmpv6 from "../wire/ip/icmpv6.ts";
import type { IcmpLayer, Icmpv6Layer, Quoted } from "./frame.ts";

/** By code of TYPE_UNREACHABLE, where `%` stands for the destination. */
const UNREACHABLE: Readonly<Record<number, string>> = {
  0: "net % unreachable",
  1: "host % unreachable",
  5: "% unreachable - source route failed",
  6: "net % unreachable - unknown",
  7: "host % unreachable - unknown",
  8: "% unreachable - source host isolated",
  9: "net % unreachable - admin prohibited",
  10: "host % unreachable - admin prohibited",
  11: "net % unreachable - tos prohibited",
  12: "host % unreachable - tos prohibited",
  13: "host % unreachable - admin prohibited filter",
  14: "host % unreachable - host precedence violation",
  15: "host % unreachable - precedence cutoff",
};

const ICMPV6_NAMES: Readonly<Record<number, string>> = {
  [icmpv6.TYPE_MLD_QUERY]: "multicast listener query",
  [icmpv6.TYPE_MLD_REPORT]: "multicast listener report",
  [icmpv6.TYPE_MLD_DONE]: "multicast listener done",
  [icmpv6.TYPE_ROUTER_SOLICITATION]: "router solicitation",
  [icmpv6.TYPE_ROUTER_ADVERTISEMENT]: "router advertisement",
  [icmpv6.TYPE_REDIRECT]: "redirect",
};

const ICMPV6_UNREACHABLE: Readonly<Record<number, string>> = {
  0: "unreachable route",
  1: "unreachable prohibited",
  2: "beyond scope",
  3: "unreachable address",
};

export function icmpText(layer: IcmpLayer): string {
  return `ICMP ${icmpWords(layer)}, length ${layer.length}`;
}

export function icmpv6Text(layer: Icmpv6Layer): string {
  return `ICMP6, ${icmpv6Words(layer)}, length ${layer.length}`;
}

function icmpWords(layer: IcmpLayer): string {
  const { type, code, quoted } = layer;
  switch (type) {
    case icmpv4.TYPE_ECHO_REQUEST:
      return `echo request, id ${layer.id}, seq ${layer.seq}`;
    case icmpv4.TYPE_ECHO_REPLY:
      return `echo reply, id ${layer.id}, seq ${layer.seq}`;
    case icmpv4.TYPE_UNREACHABLE:
      return quoted === undefined ? `unreachable, code ${code}` : unreachableWords(layer, quoted);
    case icmpv4.TYPE_SOURCE_QUENCH:
      return "source quench";
    case icmpv4.TYPE_REDIRECT:
      return `redirect ${quoted?.dst ?? "?"} to host ${layer.gateway}`;
    case icmpv4.TYPE_TIME_EXCEEDED:
      return code === 1 ? "ip reassembly time exceeded" : "time exceeded in-transit";
    case icmpv4.TYPE_PARAMETER_PROBLEM:
      return code === 0 ? "parameter problem" : `parameter problem - code ${code}`;
    default:
      return `type-#${type}`;
  }
}

function unreachableWords(layer: IcmpLayer, quoted: Quoted): string {
  if (layer.code === icmpv4.CODE_PROTOCOL_UNREACHABLE) {
    return `${quoted.dst} protocol ${quoted.proto} unreachable`;
  }
  if (layer.code === icmpv4.CODE_PORT_UNREACHABLE) return `${portWords(quoted)} unreachable`;
  if (layer.code === icmpv4.CODE_FRAGMENTATION_NEEDED) {
    return `${quoted.dst} unreachable - need to frag${layer.mtu === 0 ? "" : ` (mtu ${layer.mtu})`}`;
  }
  const form = UNREACHABLE[layer.code];
  return form === undefined ? `${quoted.dst} unreachable - #${layer.code}` : form.replace("%", quoted.dst);
}

function portWords(quoted: Quoted): string {
  if (quoted.dstPort === undefined) return `${quoted.dst} protocol ${quoted.proto} port`;
  return `${quoted.dst} ${protoName(quoted.proto)} port ${quoted.dstPort}`;
}

function icmpv6Words(layer: Icmpv6Layer): string {
  const { type, code, quoted } = layer;
  const about = quoted?.dst ?? "?";
  switch (type) {
    case icmpv6.TYPE_UNREACHABLE:
      if (code === icmpv6.CODE_PORT_UNREACHABLE) {
        return `destination unreachable, unreachable port, ${quoted === undefined ? "?" : portWords(quoted)}`;
      }
      return `destination unreachable, ${ICMPV6_UNREACHABLE[code] ?? `unknown code (${code})`} ${about}`;
    case icmpv6.TYPE_PACKET_TOO_BIG:
      return `packet too big, mtu ${layer.mtu}`;
    case icmpv6.TYPE_TIME_EXCEEDED:
      return code === 1 ? "time exceeded in-reassembly" : `time exceeded in-transit for ${about}`;
    case icmpv6.TYPE_PARAMETER_PROBLEM:
      return `parameter problem, code #${code}`;
    case icmpv6.TYPE_ECHO_REQUEST:
      return `echo request, id ${layer.id}, seq ${layer.seq}`;
    case icmpv6.TYPE_ECHO_REPLY:
      return `echo reply, id ${layer.id}, seq ${layer.seq}`;
    case icmpv6.TYPE_NEIGHBOR_SOLICITATION:
      return `neighbor solicitation, who has ${layer.target}`;
    case icmpv6.TYPE_NEIGHBOR_ADVERTISEMENT:
      return `neighbor advertisement, tgt is ${layer.target}`;
    case icmpv6.TYPE_MLDV2_REPORT:
      return `multicast listener report v2, ${layer.records} group record(s)`;
    default:
      return ICMPV6_NAMES[type] ?? `unknown type (${type})`;
  }
}

function protoName(proto: number): string {
  if (proto === Protocol.TCP) return "tcp";
  return proto === Protocol.UDP ? "udp" : "sctp";
}
