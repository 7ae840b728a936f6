// A packet of a flow as a frame, and what a frame that came out says about the packet it belongs to. A packet
// is known by a number that translation does not touch: IPv4's identification, IPv6's flow label.

import { formatIp, formatV4, type IpWords } from "../../base/ip.ts";
import { Protocol } from "../../base/protocols.ts";
import { echoFrame, sctpFrame, tcpFrame, udpFrame } from "../frames/frame-builder.ts";
import type { Flow } from "./flows.ts";

const { ICMP, ICMPV6, SCTP, TCP, UDP } = Protocol;

interface Outcome {
  /** Of the packet. */
  readonly id: number;
  /** "192.168.50.100 > 10.244.1.2:8080", "icmp 3/3 from 10.244.1.1". Source ports are anybody's choice. */
  readonly text: string;
}

const ETHERNET = 14;
const SCTP_INITIATE_TAG = 16; // of an INIT right behind the header
const ICMP_HEADER = 8;
const ECHO_REQUEST = 8;
const ECHO_REQUEST_V6 = 128;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const PORTS = 8; // and what ICMP has in their place: the bytes that an error quotes at least

export function frameOf(
  flow: Flow,
  id: number,
  srcPort: number,
  link: { srcMac: string; dstMac: string },
): Uint8Array {
  const base = { ...link, src: flow.from, dst: flow.to, srcPort, dstPort: flow.port, id, flowLabel: id };
  switch (flow.protocol) {
    case "TCP":
      return tcpFrame({ ...base, flags: flow.flags ?? "S", seq: flow.seq ?? id, ack: flow.ack ?? 0 });
    case "UDP":
      return udpFrame({ ...base, payload: 16 });
    case "ICMP":
      return echoFrame({ ...base, echoId: srcPort, seq: 1 });
    case "SCTP":
      return sctpFrame({ ...base, vtag: 0, chunks: [{ type: 1, value: initValue(id) }] });
  }
}

/** Tag, window, one stream each way, first TSN. */
function initValue(id: number): Uint8Array {
  const value = new Uint8Array(16);
  const view = new DataView(value.buffer);
  view.setUint32(0, 1 + id);
  view.setUint32(4, 65_536);
  view.setUint16(8, 1);
  view.setUint16(10, 1);
  view.setUint32(12, id);
  return value;
}

/** Undefined for what is no IP packet. */
function outcomeOf(frame: Uint8Array): Outcome | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const packet = ipAt(view, ETHERNET);
  if (packet === undefined) return undefined;
  const { l4, protocol, src, dst } = packet;
  if (protocol === ICMP || protocol === ICMPV6) {
    const type = view.getUint8(l4);
    if (type === ECHO_REQUEST || type === ECHO_REQUEST_V6)
      return { id: packet.id, text: `${src} > ${dst} ping` };
    const about = ipAt(view, l4 + ICMP_HEADER);
    if (about === undefined) return undefined;
    return { id: about.id, text: `icmp ${view.getUint8(l4)}/${view.getUint8(l4 + 1)} from ${src} to ${dst}` };
  }
  return { id: packet.id, text: `${src} > ${dst}:${view.getUint16(l4 + 2)}` };
}

/** What came out, by the number of the packet it is about. */
export class Seen {
  /** "uplink: 192.168.50.11 > 10.244.2.2:8080"; two frames of one packet are two outcomes. */
  readonly texts = new Map<number, string>();
  /** The last frame, and where it came out. */
  readonly frames = new Map<number, { readonly where: string; readonly frame: Uint8Array }>();

  /** What the node sent to itself over lo, where only its kernel sees it. */
  readonly onLo = new Set<number>();

  add(where: string, frame: Uint8Array): void {
    const outcome = outcomeOf(frame);
    if (outcome === undefined) return;
    const { id, text } = outcome;
    const before = this.texts.get(id);
    this.texts.set(id, before === undefined ? `${where}: ${text}` : `${before} and ${where}: ${text}`);
    this.frames.set(id, { where, frame });
  }
}

/** What whoever got this frame answers, known by the number `id`; undefined: nothing. */
export function answerTo(frame: Uint8Array, id: number): Uint8Array | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const packet = ipAt(view, ETHERNET);
  if (packet === undefined) return undefined;
  const { l4, protocol, src, dst } = packet;
  const ports = { srcPort: view.getUint16(l4 + 2), dstPort: view.getUint16(l4) };
  const base = { src: dst, dst: src, ...ports, id, flowLabel: id };
  if (protocol === TCP) return tcpFrame({ ...base, flags: "S.", seq: id, ack: view.getInt32(l4 + 4) + 1 });
  if (protocol === UDP) return udpFrame({ ...base, payload: 16 });
  if (protocol !== SCTP) return undefined;
  const vtag = view.getUint32(l4 + SCTP_INITIATE_TAG);
  return sctpFrame({ ...base, vtag, chunks: [{ type: 2, value: initValue(id) }] });
}

/** "10.96.0.10:80 > 10.244.1.2:4321", with both ports: of an answer they are those of the question. */
export function endsOf(frame: Uint8Array): string {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const packet = ipAt(view, ETHERNET);
  if (packet === undefined) return "";
  const { l4, src, dst } = packet;
  return `${src}:${view.getUint16(l4)} > ${dst}:${view.getUint16(l4 + 2)}`;
}

export interface Packet {
  readonly id: number;
  readonly protocol: number;
  readonly l4: number;
  readonly src: string;
  readonly dst: string;
}

export function ipAt(view: DataView, off: number): Packet | undefined {
  if (off + IPV4_HEADER + PORTS > view.byteLength) return undefined;
  const version = view.getUint8(off) >>> 4;
  if (version === 4) {
    return {
      id: view.getUint16(off + 4),
      protocol: view.getUint8(off + 9),
      l4: off + (view.getUint8(off) & 15) * 4,
      src: formatV4(view.getInt32(off + 12)),
      dst: formatV4(view.getInt32(off + 16)),
    };
  }
  if (version !== 6 || off + IPV6_HEADER + PORTS > view.byteLength) return undefined;
  return {
    id: view.getUint32(off) & 0xfffff,
    protocol: view.getUint8(off + 6),
    l4: off + IPV6_HEADER,
    src: formatIp(words(view, off + 8)),
    dst: formatIp(words(view, off + 24)),
  };
}

function words(view: DataView, off: number): IpWords {
  const word = (i: number): number => view.getInt32(off + 4 * i);
  return { w0: word(0), w1: word(1), w2: word(2), w3: word(3) };
}
