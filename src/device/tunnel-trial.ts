/**
 * Does the kernel cut superframes in VXLAN as podwire does? One of each kind (IPv4 and IPv6, inside and outside) goes
 * into the tunnel TAP, and what comes out of the device that it is redirected to has to be, byte for byte, what podwire
 * makes of the same superframe: addresses, lengths, ids and checksums of both headers, sequence numbers, and the flags
 * CWR, PSH and FIN, each on the segments that bear it. Where a device takes superframes whole, what is compared is what
 * podwire would make of what the device was given: how a card cuts nobody on its machine can see.
 */
import { IoKind } from "../base/addon.ts";
import type { Ipv4Addr, L4Port, Vni } from "../base/ids.ts";
import type { Mac } from "../base/mac.ts";
import { Protocol } from "../base/protocols.ts";
import { errnoName, type Native } from "../native/binding.ts";
import * as checksum from "../wire/bytes/checksum.ts";
import * as ipv4 from "../wire/ip/ipv4.ts";
import * as ipv6 from "../wire/ip/ipv6.ts";
import * as eth from "../wire/link/ethernet.ts";
import * as vnet from "../wire/link/virtio-net.ts";
import * as vxlan from "../wire/link/vxlan.ts";
import * as tcp from "../wire/transport/tcp.ts";
import * as udp from "../wire/transport/udp.ts";
import { difference, plainPackets, readPackets, type Way } from "./trial-frames.ts";

const { TCP, UDP } = Protocol;
/** Three segments, of which the last is short, and has an odd length. */
const MSS = 700;
const PAYLOAD = 2 * MSS + 333;
const ID = 0xfffe; // goes round among the segments
const SEQ = -1000; //  the same
const TTL = 64;
const ECT0 = 2;
const SOURCE_PORT = 50_009; // tells these frames from those of other trials
const VXLAN_PORT = 9; // discard: should it ever reach anybody, nobody opens it
const V4 = [0xc0000201 | 0, 0xc0000202 | 0] as const; // 192.0.2.1, 192.0.2.2 (RFC 5737)
const V6 = [0x20010db8, 0, 0] as const; //              2001:db8::1, 2001:db8::2 (RFC 3849)
const FLAGS = 0x80 | 0x10 | 0x08 | 0x01; // CWR ACK PSH FIN
const SLOT = 4096;
const SLOTS = 16;
const HEADROOM = 16;

/** What is asked of: four superframes, by the families outside and inside. */
const KINDS = [4, 6].flatMap((outer) => [4, 6].map((inner) => ({ outer, inner }) as const));

export class TunnelTrial {
  readonly #native: Native;
  readonly #tunnelFd: number;
  readonly #arena = new Uint8Array(SLOT * SLOTS);
  readonly #view = new DataView(this.#arena.buffer);
  /** The first is the superframe's, the last four are to cut into. */
  readonly #offs = Int32Array.from({ length: SLOTS - 4 }, (_, i) => i * SLOT + HEADROOM);

  constructor(native: Native, tunnelFd: number) {
    this.#native = native;
    this.#tunnelFd = tunnelFd;
  }

  /** "": all is cut right; else what was wrong first. Frames go from `mac` to itself, so no switch passes them on. */
  async run(exit: Way, mac: Mac): Promise<string> {
    for (const { outer, inner } of KINDS) {
      const what = `TCP over IPv${inner} in VXLAN over IPv${outer}`;
      const len = this.#writeSuperframe(mac, outer === 6, inner === 6);
      const wanted = this.#plain(len);
      if (wanted.length !== 3) return `${what}: podwire cuts it into ${wanted.length} packets`;
      const sent = this.#send(len);
      if (sent < 0) return `${what}: the device refuses it (${errnoName(sent)})`;
      const got = await this.#receive(exit, wanted.length);
      const found = difference(wanted, got);
      if (found !== "") return `${what}: ${found}`;
    }
    return "";
  }

  /** In slot 0; returns its length. */
  #writeSuperframe(mac: Mac, outerV6: boolean, innerV6: boolean): number {
    const view = this.#view;
    const start = HEADROOM;
    const innerIp = innerV6 ? ipv6.HEADER_LEN : ipv4.HEADER_LEN_MIN;
    const innerLen = eth.HEADER_LEN + innerIp + tcp.HEADER_LEN_MIN + PAYLOAD;
    const udpLen = udp.HEADER_LEN + vxlan.HEADER_LEN + innerLen;
    eth.emit(view, start, mac.hi, mac.lo, mac.hi, mac.lo, etherType(outerV6));
    const outerUdp = this.#writeIp(start + eth.HEADER_LEN, outerV6, UDP, udpLen, 0);
    udp.emit(view, outerUdp.at, SOURCE_PORT as L4Port, VXLAN_PORT as L4Port, udpLen);
    udp.setChecksum(view, outerUdp.at, outerUdp.pseudo);
    vxlan.emit(view, outerUdp.at + udp.HEADER_LEN, 1 as Vni);
    const inner = outerUdp.at + udp.HEADER_LEN + vxlan.HEADER_LEN;
    eth.emit(view, inner, 0x0200, 2, 0x0200, 1, etherType(innerV6));
    const tcpLen = tcp.HEADER_LEN_MIN + PAYLOAD;
    const seg = this.#writeIp(inner + eth.HEADER_LEN, innerV6, TCP, tcpLen, ECT0);
    tcp.emit(view, seg.at, 1000 as L4Port, 2000 as L4Port, SEQ, 1, tcp.HEADER_LEN_MIN, FLAGS, 1024);
    tcp.setChecksum(view, seg.at, seg.pseudo);
    const data = seg.at + tcp.HEADER_LEN_MIN;
    for (let i = 0; i < PAYLOAD; i++) this.#arena[data + i] = (i * 7 + (i >>> 8)) & 0xff;
    const tunnel = outerV6 ? vnet.GSO_TUNNEL_V6 : vnet.GSO_TUNNEL_V4;
    vnet.emit(
      view,
      start - vnet.HEADER_LEN,
      vnet.NEEDS_CSUM | vnet.TUNNEL_CSUM,
      (innerV6 ? vnet.GSO_TCPV6 : vnet.GSO_TCPV4) | vnet.GSO_ECN | tunnel,
      data - start,
      MSS,
      seg.at - start,
      tcp.CSUM_OFFSET,
    );
    return data + PAYLOAD - start;
  }

  /** An IP header; where what it bears begins, and the pseudo-header's sum for that. */
  #writeIp(
    at: number,
    isV6: boolean,
    proto: number,
    len: number,
    tos: number,
  ): { at: number; pseudo: number } {
    const view = this.#view;
    if (isV6) {
      ipv6.emit(view, at, tos, 0, len, proto, TTL);
      ipv6.setSrc(view, at, ...V6, 1);
      ipv6.setDst(view, at, ...V6, 2);
      return { at: at + ipv6.HEADER_LEN, pseudo: checksum.fold(checksum.pseudoSumV6(view, at, proto, len)) };
    }
    const [src, dst] = V4;
    const total = ipv4.HEADER_LEN_MIN + len;
    ipv4.emit(view, at, tos, total, ID, 0, TTL, proto, src as Ipv4Addr, dst as Ipv4Addr);
    const pseudo = checksum.fold(checksum.pseudoSumV4(src, dst, proto, len));
    return { at: at + ipv4.HEADER_LEN_MIN, pseudo };
  }

  #send(len: number): number {
    const one = (value: number) => Int32Array.of(value);
    const result = one(0);
    const kind = one(IoKind.TUNNEL_TAP);
    this.#native.transmit(one(this.#tunnelFd), kind, this.#arena, one(HEADROOM), one(len), 1, result);
    return result[0];
  }

  #receive(exit: Way, packets: number): Promise<Uint8Array[]> {
    const slots = { arena: this.#arena, first: 1, offs: this.#offs, room: SLOT - HEADROOM };
    return readPackets(this.#native, exit, slots, packets, (off, len) =>
      this.#isOurs(off) ? this.#onWire(off, len) : [],
    );
  }

  #isOurs(off: number): boolean {
    const isV6 = eth.etherType(this.#view, off) === eth.ETHERTYPE_IPV6;
    const ip = isV6 ? ipv6.HEADER_LEN : ipv4.HEADER_LEN_MIN;
    return udp.srcPort(this.#view, off + eth.HEADER_LEN + ip) === SOURCE_PORT;
  }

  /** A superframe that a device was given whole comes without a word of the tunnel around it. */
  #onWire(off: number, len: number): Uint8Array[] {
    const vh = off - vnet.HEADER_LEN;
    const type = vnet.gsoType(this.#view, vh);
    const isV6 = eth.etherType(this.#view, off) === eth.ETHERTYPE_IPV6;
    const tunnel = isV6 ? vnet.GSO_TUNNEL_V6 : vnet.GSO_TUNNEL_V4;
    if (type !== vnet.GSO_NONE) vnet.setGsoType(this.#view, vh, type | tunnel);
    this.#arena.copyWithin(0, vh, off + len);
    return this.#plain(len, vnet.HEADER_LEN);
  }

  /** The frame at `off` as podwire cuts it. */
  #plain(len: number, off = HEADROOM): Uint8Array[] {
    return plainPackets(this.#arena, off, len, SLOT * (SLOTS - 4), SLOT * 4);
  }
}

function etherType(isV6: boolean): number {
  return isV6 ? eth.ETHERTYPE_IPV6 : eth.ETHERTYPE_IPV4;
}
