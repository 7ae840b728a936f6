/**
 * What the fast path knows of a frame: far less than a Packet, since it only takes plain ones. `read` looks at the
 * headers once, and refuses whatever `parse` and the trackers would have to think about: options, fragments, malformed or
 * damaged headers, TCP segments but for an ACK with or without data. Nothing is counted and no byte changes here.
 */
import { Protocol } from "../../base/protocols.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import { Packet } from "../packet/packet.ts";
import { Meta, TUPLE_WORDS, TupleWord } from "../table/connection/tuple.ts";
import { Verdict } from "../verdict.ts";

const { TCP, UDP } = Protocol;
const { SRC2, SRC3, DST2, DST3, PORTS, META } = TupleWord;
const V4_MAPPED = 0xffff;
const NO_OPTIONS = 0x45; // version and header length
const FRAGMENT = 0x3fff; // MF and the offset, of the word that begins with the identification
const L3 = eth.HEADER_LEN;
const L4 = L3 + ipv4.HEADER_LEN_MIN;
const TCP_LEAST = ipv4.HEADER_LEN_MIN + tcp.HEADER_LEN_MIN;
const UDP_LEAST = ipv4.HEADER_LEN_MIN + udp.HEADER_LEN;
const LEAST = L3 + UDP_LEAST;
/** Flags that may move a connection's state: of these a plain segment has ACK alone. */
const MOVING = tcp.FLAG_FIN | tcp.FLAG_SYN | tcp.FLAG_RST | tcp.FLAG_ACK;
const RIGHT = 0xffff;

export class FastFrame {
  /** False: every packet takes all stages. For tests, which compare. */
  isOn = true;
  readonly view: DataView;
  /** For what wants one. All but offsets, tuple and checksum never changes. */
  readonly packet: Packet;
  /** Its tuple; the words that only IPv6 has keep what IPv4 has there. */
  readonly key = new Int32Array(TUPLE_WORDS);
  off = 0; //         first byte of the Ethernet header
  end = 0; //         first byte past the IP packet
  inPort = 0;
  fromTunnel = 0; //  1: it came out of a VXLAN packet, …
  opens = 0; //       … 1: which is opened for it alone
  lead = 0; //        bytes from the frame that its virtio header describes to this one; -1: none describes it
  tos = 0;
  ttl = 0;
  proto = 0; //       TCP or UDP
  ipLen = 0;
  l4HeaderLen = 0;
  window = 0; //      of a TCP segment, unscaled
  partial = 0; //     1: its checksum holds the pseudo-header's sum
  gsoSize = 0; //     of a TCP superframe: payload of one segment; 0: it is none
  verified = 0; //    1: somebody has found it right
  bridged = 0; //     1: for another station of the pod bridge
  station = -1; //    its sender's FDB slot, -1: it came from no pod
  verdict: Verdict = Verdict.NEXT; // what becomes of it
  isNew = false; //   its tuple was looked for in conntrack, and not found
  ref = -1; //        its connection and direction, -1: it opens one
  src = 0; //         as it shall leave
  dst = 0;
  ports = 0;
  // Of a connection that it opens (first-packet.ts)
  frontend = -1;
  sourceClass = 0;
  endpoint = -1;
  readonly to = new Int32Array(TUPLE_WORDS);
  readonly reply = new Int32Array(TUPLE_WORDS);

  constructor(arena: Uint8Array) {
    this.packet = new Packet(arena);
    this.view = this.packet.view;
    this.packet.family = 4;
    this.packet.etherType = eth.ETHERTYPE_IPV4;
    for (const key of [this.key, this.packet.key, this.to, this.reply]) {
      key[SRC2] = V4_MAPPED;
      key[DST2] = V4_MAPPED;
    }
  }
}

/** Reads the frame of `len` bytes at `off`. False: it is none of the plain ones. */
export function read(f: FastFrame, off: number, len: number): boolean {
  if (len < LEAST) return false;
  const { view, key } = f;
  const a = view.getInt32(off + L3);
  const b = view.getInt32(off + L3 + 4);
  const c = view.getInt32(off + L3 + 8);
  const src = view.getInt32(off + L3 + 12);
  const dst = view.getInt32(off + L3 + 16);
  const ipLen = a & 0xffff;
  const proto = (c >>> 16) & 0xff;
  if (a >>> 24 !== NO_OPTIONS || eth.etherType(view, off) !== eth.ETHERTYPE_IPV4) return false;
  if ((b & FRAGMENT) !== 0 || ipLen > len - L3) return false;
  const high = (a >>> 16) + (b >>> 16) + (c >>> 16) + (src >>> 16) + (dst >>> 16);
  const low = ipLen + (b & 0xffff) + (c & 0xffff) + (src & 0xffff) + (dst & 0xffff);
  if (checksum.fold(high + low) !== RIGHT) return false;
  f.off = off;
  f.end = off + L3 + ipLen;
  f.ipLen = ipLen;
  f.tos = (a >>> 16) & 0xff;
  f.ttl = c >>> 24;
  f.proto = proto;
  key[SRC3] = src;
  key[DST3] = dst;
  key[META] = Meta.V4 | proto;
  if (proto === TCP) return readTcp(f, off + L4);
  return proto === UDP && readUdp(f, off + L4);
}

/** An ACK of a connection that stands, without options or with timestamps, as protocol/tcp.ts has it for the steady. */
function readTcp(f: FastFrame, l4: number): boolean {
  const { view } = f;
  if (f.ipLen < TCP_LEAST || f.end < l4 + tcp.HEADER_LEN_MIN) return false;
  const word = view.getInt32(l4 + 12);
  const headerLen = (word >>> 28) << 2;
  if (((word >>> 16) & MOVING) !== tcp.FLAG_ACK) return false;
  if (headerLen !== tcp.HEADER_LEN_MIN && (f.end - l4 < headerLen || !tcp.hasTimestampsOnly(view, l4)))
    return false;
  f.key[PORTS] = view.getInt32(l4);
  f.l4HeaderLen = headerLen;
  f.window = word & 0xffff;
  return true;
}

function readUdp(f: FastFrame, l4: number): boolean {
  if (f.ipLen < UDP_LEAST || !udp.isWellFormed(f.view, l4, f.end)) return false;
  f.key[PORTS] = f.view.getInt32(l4);
  return true;
}

/** Has it just been found that conntrack does not know this tuple? Asked once. */
export function isKnownNew(f: FastFrame, key: Int32Array): boolean {
  if (!f.isNew) return false;
  f.isNew = false;
  const k = f.key;
  return k[META] === key[META] && k[PORTS] === key[PORTS] && k[SRC3] === key[SRC3] && k[DST3] === key[DST3];
}

/** Offset of the transport's header in a plain frame. */
export const L4_AT = L4;
