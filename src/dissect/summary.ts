// Frame → one line, as `tcpdump -n -S` prints it, because that is what people in this field read fastest.
// Differences are on purpose: VLAN tags are shown, fragments say where they lie, VXLAN puts the inner frame
// on the same line, and nothing is guessed from port numbers.

import { Protocol } from "../base/protocols.ts";
import * as ipv6 from "../wire/ip/ipv6.ts";
import * as ethernet from "../wire/link/ethernet.ts";
import * as tcp from "../wire/transport/tcp.ts";
import type { ArpLayer, Fragment, Frame, Layer, SctpLayer, TcpLayer, TcpOption } from "./frame.ts";
import { icmpText, icmpv6Text } from "./summary-icmp.ts";

const SCTP_CHUNKS = [
  "DATA",
  "INIT",
  "INIT ACK",
  "SACK",
  "HB REQ",
  "HB ACK",
  "ABORT",
  "SHUTDOWN",
  "SHUTDOWN ACK",
  "OP ERR",
  "COOKIE ECHO",
  "COOKIE ACK",
  "ECNE",
  "CWR",
  "SHUTDOWN COMPLETE",
];

const OPTION_NAMES: Readonly<Record<number, string>> = {
  [tcp.OPTION_END]: "eol",
  [tcp.OPTION_NOP]: "nop",
  [tcp.OPTION_MSS]: "mss",
  [tcp.OPTION_WSCALE]: "wscale",
  [tcp.OPTION_SACK_PERMITTED]: "sackOK",
  [tcp.OPTION_SACK]: "sack",
  [tcp.OPTION_TIMESTAMPS]: "TS",
};

/** One line, no line break. */
export function summary(frame: Frame): string {
  let text = "";
  for (const layer of frame.layers) {
    if (layer.kind === "vlan") text += `vlan ${layer.id}, `;
    if (layer.kind === "arp") return `${text}${arpText(layer)}`;
    if (layer.kind === "ipv4" || layer.kind === "ipv6") return `${text}${ipText(frame)}`;
    if (layer.kind === "malformed") {
      const family = layer.what === "ip" ? "IP " : layer.what === "ip6" ? "IP6 " : "";
      return `${text}${family}[|${layer.what}]`;
    }
    if (layer.kind === "opaque") return `${linkText(frame)}, length ${frame.length}`;
  }
  return text;
}

function linkText(frame: Frame): string {
  let text = "";
  for (const layer of frame.layers) {
    if (layer.kind === "ethernet") text += `${layer.src} > ${layer.dst}`;
    if (layer.kind === "vlan") text += `, vlan ${layer.id}`;
    if (layer.kind === "opaque") text += `, ethertype ${etherTypeText(layer.proto)}`;
  }
  return text;
}

function etherTypeText(type: number): string {
  const name = type === ethernet.ETHERTYPE_LLDP ? "LLDP" : "Unknown";
  return `${name} (0x${type.toString(16).padStart(4, "0")})`;
}

function arpText(layer: ArpLayer): string {
  const { senderIp, targetIp, length } = layer;
  if (layer.op === 2) return `ARP, Reply ${senderIp} is-at ${layer.senderMac}, length ${length}`;
  if (layer.op !== 1) return `ARP, op ${layer.op}, length ${length}`;
  const hint = layer.targetMac === "00:00:00:00:00:00" ? "" : ` (${layer.targetMac})`;
  return `ARP, Request who-has ${targetIp}${hint} tell ${senderIp}, length ${length}`;
}

function ipText(frame: Frame): string {
  let family = "";
  let ends: readonly [string, string] = ["", ""];
  let headers = "";
  let tail = "";
  for (const layer of frame.layers) {
    if (layer.kind === "ipv4" || layer.kind === "ipv6") {
      family = layer.kind === "ipv4" ? "IP" : "IP6";
      ends = [layer.src, layer.dst];
    }
    if ((layer.kind === "ipv4" || layer.kind === "extension") && layer.fragment !== undefined) {
      tail = fragmentText(layer.fragment);
    }
    if (layer.kind === "extension") headers += extensionText(layer.header);
    const body = bodyText(layer, frame);
    if (body !== undefined) {
      const [from, to] = withPorts(layer, ends);
      return `${family} ${from} > ${to}: ${headers}${body}${tail}`;
    }
  }
  return `${family} ${ends[0]} > ${ends[1]}: ${headers}`.trimEnd();
}

/** Text of the layer that a line ends with; undefined for the ones that only lead to it. */
function bodyText(layer: Layer, frame: Frame): string | undefined {
  switch (layer.kind) {
    case "tcp":
      return tcpText(layer);
    case "udp":
      return udpText(layer.payloadLength, frame);
    case "icmp":
      return icmpText(layer);
    case "icmpv6":
      return icmpv6Text(layer);
    case "sctp":
      return sctpText(layer);
    case "opaque":
      return protoText(layer.proto, layer.length);
    case "malformed":
      return `[|${layer.what}]`;
    default:
      return undefined;
  }
}

function withPorts(layer: Layer, ends: readonly [string, string]): readonly [string, string] {
  if (layer.kind === "malformed" && layer.ports !== undefined) {
    const [from, to] = layer.ports;
    return [`${ends[0]}.${from}`, `${ends[1]}.${to}`];
  }
  if (layer.kind !== "tcp" && layer.kind !== "udp" && layer.kind !== "sctp") return ends;
  return [`${ends[0]}.${layer.srcPort}`, `${ends[1]}.${layer.dstPort}`];
}

function tcpText(layer: TcpLayer): string {
  const { seq, payloadLength, flags } = layer;
  let text = `Flags [${flags}]`;
  if (payloadLength > 0) text += `, seq ${seq}:${(seq + payloadLength) % 2 ** 32}`;
  else if (/[SFR]/.test(flags)) text += `, seq ${seq}`;
  if (flags.includes(".")) text += `, ack ${layer.ack}`;
  text += `, win ${layer.window}`;
  if (flags.includes("U")) text += `, urg ${layer.urgent}`;
  if (layer.isCut)
    return `${text}, options [${layer.options.map((each) => `${optionText(each)},`).join("")} [|tcp]`;
  if (layer.options.length > 0) text += `, options [${layer.options.map(optionText).join(",")}]`;
  return `${text}, length ${payloadLength}`;
}

function optionText(option: TcpOption): string {
  const [first, second] = option.values;
  const name = OPTION_NAMES[option.kind];
  if (name === undefined) return `unknown-${option.kind}`;
  switch (option.kind) {
    case tcp.OPTION_MSS:
    case tcp.OPTION_WSCALE:
      return first === undefined ? `${name} [bad opt]` : `${name} ${first}`;
    case tcp.OPTION_SACK:
      return `${name} ${option.values.length >> 1} ${sackText(option.values)}`;
    case tcp.OPTION_TIMESTAMPS:
      return second === undefined ? `${name} [bad opt]` : `${name} val ${first} ecr ${second}`;
    default:
      return name;
  }
}

function sackText(edges: readonly number[]): string {
  const blocks = [];
  for (let i = 0; i + 1 < edges.length; i += 2) blocks.push(`{${edges[i]}:${edges[i + 1]}}`);
  return blocks.join("");
}

function udpText(payloadLength: number, frame: Frame): string {
  const layer = frame.layers.find((candidate) => candidate.kind === "vxlan");
  const isCut = frame.layers.some((each) => each.kind === "malformed" && each.what === "vxlan");
  if (isCut) return "VXLAN [|vxlan]";
  if (layer === undefined) return `UDP, length ${payloadLength}`;
  const flags = `[${(layer.flags & 8) !== 0 ? "I" : "."}] (0x${layer.flags.toString(16).padStart(2, "0")})`;
  return `VXLAN, flags ${flags}, vni ${layer.vni}: ${summary(layer.inner)}`;
}

function sctpText(layer: SctpLayer): string {
  const chunks = layer.chunks.map(({ type }, i) => `(${i + 1}) [${SCTP_CHUNKS[type] ?? `chunk ${type}`}]`);
  return ["sctp", ...chunks].join(" ");
}

function protoText(proto: number, length: number): string {
  if (proto === Protocol.ESP) return `ESP, length ${length}`;
  if (proto === Protocol.GRE) return `GRE, length ${length}`;
  if (proto === Protocol.IGMP) return `igmp, length ${length}`;
  if (proto === ipv6.PROTO_NONE) return "no next header";
  return `ip-proto-${proto} ${length}`;
}

function extensionText(header: number): string {
  if (header === ipv6.PROTO_HOP_BY_HOP) return "HBH ";
  if (header === ipv6.PROTO_DESTINATION) return "DSTOPT ";
  if (header === ipv6.PROTO_ROUTING) return "RT6 ";
  return header === ipv6.PROTO_AH ? "AH " : "";
}

function fragmentText(fragment: Fragment): string {
  return ` (frag ${fragment.id}:${fragment.length}@${fragment.offset}${fragment.more ? "+" : ""})`;
}
