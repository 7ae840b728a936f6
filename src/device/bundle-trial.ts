/**
 * Does a superframe of VXLAN packets (dataplane/send/bundles.ts) leave as those packets? One over IPv4 and one over IPv6
 * are sent, and what comes out has to be, byte for byte, the packets that the plane would have sent one by one: lengths,
 * identifications, checksums and payload of each. Where a device takes superframes whole, what it was given is compared
 * as it would be cut; how a card cuts nobody on its machine can see.
 */
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
import * as udp from "../wire/transport/udp.ts";
import { difference, plainPackets, readPackets, type Way } from "./trial-frames.ts";

const { UDP } = Protocol;
/** Frames in VXLAN; the last may be shorter, and its length is odd. */
const SIZES = [72, 72, 72, 61];
const STRIDE = SIZES[0];
const ID = 0xfffe; // goes round among the packets
const TTL = 64;
const TOS = 2; // ECT(0)
const PORT = 9; // discard: should it ever reach anybody, nobody opens it
const V4 = [0xc0000201 | 0, 0xc0000202 | 0] as const; // 192.0.2.1, 192.0.2.2 (RFC 5737)
const V6 = [0x20010db8, 0, 0] as const; //              2001:db8::1, 2001:db8::2 (RFC 3849)
const SLOT = 66_048;
const SLOTS = 10;
const HEADROOM = 16;
const OUT = SLOT * (SLOTS - 1);

/** "": as it should be. Else the first thing that is not. */
export async function tryBundle(
  native: Native,
  family: 4 | 6,
  mac: Mac,
  into: Way,
  outOf: Way,
): Promise<string> {
  const { superframe, packets } = makeBundle(family, mac);
  const one = (value: number) => Int32Array.of(value);
  const result = one(0);
  const lens = one(superframe.length - vnet.HEADER_LEN);
  native.transmit(one(into.fd), one(into.ioKind), superframe, one(vnet.HEADER_LEN), lens, 1, result);
  if (result[0] < 0) return `superframes over IPv${family} are refused (${errnoName(result[0])})`;
  const got = await receive(native, outOf, packets);
  const found = difference(packets, got);
  return found === "" ? "" : `of a superframe over IPv${family} ${found}`;
}

/** Both: the superframe behind its virtio-net header, and what is to become of it. Frames go from `mac` to itself. */
export function makeBundle(family: 4 | 6, mac: Mac): { superframe: Uint8Array; packets: Uint8Array[] } {
  const payloads = SIZES.map((bytes, i) => {
    const payload = Uint8Array.from({ length: bytes }, (_, k) => (k * 7 + i * 31) & 0xff);
    vxlan.emit(new DataView(payload.buffer), 0, 1 as Vni);
    return payload;
  });
  const packets = payloads.map((payload, i) => {
    const packet = withOuter(family, mac, payload, (ID + i) & 0xffff);
    finishChecksum(packet, family);
    return packet;
  });
  const all = new Uint8Array(payloads.reduce((sum, payload) => sum + payload.length, 0));
  for (const [i, payload] of payloads.entries()) all.set(payload, i * STRIDE);
  const frame = withOuter(family, mac, all, ID);
  const superframe = new Uint8Array(vnet.HEADER_LEN + frame.length);
  superframe.set(frame, vnet.HEADER_LEN);
  const u = udpAt(family);
  vnet.emit(
    new DataView(superframe.buffer),
    ...([0, vnet.NEEDS_CSUM, vnet.GSO_UDP_L4, u + udp.HEADER_LEN, STRIDE, u, udp.CSUM_OFFSET] as const),
  );
  return { superframe, packets };
}

const udpAt = (family: 4 | 6): number =>
  eth.HEADER_LEN + (family === 4 ? ipv4.HEADER_LEN_MIN : ipv6.HEADER_LEN);

/** Ethernet, IP and UDP before `payload`; in the checksum's place the pseudo-header's sum. */
function withOuter(family: 4 | 6, { hi, lo }: Mac, payload: Uint8Array, id: number): Uint8Array {
  const u = udpAt(family);
  const frame = new Uint8Array(u + udp.HEADER_LEN + payload.length);
  const view = new DataView(frame.buffer);
  const ip = eth.HEADER_LEN;
  const udpLen = udp.HEADER_LEN + payload.length;
  frame.set(payload, u + udp.HEADER_LEN);
  eth.emit(view, 0, hi, lo, hi, lo, family === 4 ? eth.ETHERTYPE_IPV4 : eth.ETHERTYPE_IPV6);
  let sum: number;
  if (family === 4) {
    const [src, dst] = V4;
    const total = ipv4.HEADER_LEN_MIN + udpLen;
    ipv4.emit(view, ip, TOS, total, id, 0, TTL, UDP, src as Ipv4Addr, dst as Ipv4Addr);
    sum = checksum.pseudoSumV4(src, dst, UDP, udpLen);
  } else {
    ipv6.emit(view, ip, TOS, 0, udpLen, UDP, TTL);
    ipv6.setSrc(view, ip, ...V6, 1);
    ipv6.setDst(view, ip, ...V6, 2);
    sum = checksum.pseudoSumV6(view, ip, UDP, udpLen);
  }
  udp.emit(view, u, PORT as L4Port, PORT as L4Port, udpLen);
  udp.setChecksum(view, u, checksum.fold(sum));
  return frame;
}

function finishChecksum(packet: Uint8Array, family: 4 | 6): void {
  const view = new DataView(packet.buffer);
  const u = udpAt(family);
  const sum = checksum.finish(checksum.sum(view, u, packet.length - u, 0));
  udp.setChecksum(view, u, sum === 0 ? 0xffff : sum);
}

/** What comes out, as it would be on a wire; the frames of others are passed over. */
function receive(native: Native, way: Way, wanted: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const arena = new Uint8Array(SLOT * SLOTS);
  const offs = Int32Array.from({ length: SLOTS - 1 }, (_, i) => i * SLOT + HEADROOM);
  const [first] = wanted;
  const ports = udpAt(eth.etherType(new DataView(first.buffer), 0) === eth.ETHERTYPE_IPV4 ? 4 : 6);
  const isTelling = (k: number): boolean => k < eth.HEADER_LEN || (k >= ports && k < ports + 4);
  const slots = { arena, first: 0, offs, room: SLOT - HEADROOM };
  return readPackets(native, way, slots, wanted.length, (off, len) => {
    const frame = arena.subarray(off, off + len);
    if (first.some((byte, k) => isTelling(k) && byte !== frame[k])) return [];
    return plainPackets(arena, off, len, OUT, SLOT);
  });
}
