// Everything that can be wrong with a frame's lengths and checksums, found without wire/: offsets are written
// out and the sums are taken modulo 65535 (the Internet checksum) and bit by bit (CRC32c), so that a mistake
// in wire/ cannot hide behind itself. Looks into VXLAN, into every segment of a UDP superframe, and into
// quoted packets.

export interface CheckOptions {
  /** The ten bytes of the virtio-net header; without them every checksum must be complete. */
  readonly virtio?: Uint8Array;
  /** UDP ports behind which VXLAN is looked for. */
  readonly vxlanPorts?: readonly number[];
}

interface Check {
  readonly bytes: Uint8Array;
  readonly problems: string[];
  readonly vxlanPorts: readonly number[];
  readonly flags: number;
  readonly gsoType: number;
  /** Of a superframe in a tunnel: 0x20 over IPv4, 0x40 over IPv6; 0: it is in none. */
  readonly tunnel: number;
  readonly gsoSize: number;
  readonly hdrLen: number;
  readonly csumStart: number;
  readonly csumOffset: number;
  partialSeen: boolean;
}

/** Where an IP packet ends and what its pseudo-header sums up to, without the length. */
interface Network {
  readonly v6: boolean;
  readonly addresses: Uint8Array;
  readonly l4: number;
  readonly end: number;
  readonly proto: number;
}

const ETHERNET_MIN = 60; // without FCS; what lies behind the IP packet of a longer frame is not padding

/** What is wrong, one line each; empty when nothing is. Never throws. */
export function checkFrame(bytes: Uint8Array, options: CheckOptions = {}): string[] {
  const virtio = options.virtio ?? new Uint8Array(10);
  const check: Check = {
    bytes,
    problems: [],
    vxlanPorts: options.vxlanPorts ?? [4789, 8472],
    flags: virtio[0],
    gsoType: virtio[1] & 0x1f,
    tunnel: virtio[1] & 0x60,
    hdrLen: virtio[2] + 256 * virtio[3],
    gsoSize: virtio[4] + 256 * virtio[5],
    csumStart: virtio[6] + 256 * virtio[7],
    csumOffset: virtio[8] + 256 * virtio[9],
    partialSeen: false,
  };
  ethernet(check, 0, bytes.length, "");
  if ((check.flags & 1) !== 0 && !check.partialSeen) {
    check.problems.push(`NEEDS_CSUM points at ${check.csumStart}, where no transport header starts`);
  }
  if (check.gsoType !== 0 && check.gsoSize === 0) check.problems.push("superframe without gso_size");
  return check.problems;
}

/** checkFrame for ten bytes of virtio-net header followed by the frame, as a TAP delivers it. */
export function checkVirtioFrame(bytes: Uint8Array, options: CheckOptions = {}): string[] {
  return checkFrame(bytes.subarray(10), { ...options, virtio: bytes.subarray(0, 10) });
}

function ethernet(c: Check, off: number, end: number, where: string): void {
  if (end - off < 14) {
    problem(c, where, `Ethernet header needs 14 bytes, frame has ${end - off}`);
    return;
  }
  let l3 = off + 14;
  let type = u16(c, off + 12);
  for (let tags = 0; tags < 2 && (type === 0x8100 || type === 0x88a8); tags++) {
    if (l3 + 4 > end) {
      problem(c, where, "frame ends inside a VLAN tag");
      return;
    }
    type = u16(c, l3 + 2);
    l3 += 4;
  }
  let l3End = end;
  if (type === 0x0800) l3End = ipv4(c, l3, end, where);
  else if (type === 0x86dd) l3End = ipv6(c, l3, end, where);
  else if (type === 0x0806) l3End = arp(c, l3, end, where);
  if (l3End >= 0 && l3End < end && end - off > ETHERNET_MIN) {
    problem(c, where, `${end - l3End} bytes behind the packet, more than padding to ${ETHERNET_MIN}`);
  }
}

function arp(c: Check, off: number, end: number, where: string): number {
  if (end - off < 28) problem(c, where, `ARP needs 28 bytes, has ${end - off}`);
  else if (u16(c, off) !== 1 || u16(c, off + 2) !== 0x0800 || u16(c, off + 4) !== 0x0604) {
    problem(c, where, "ARP is not for IPv4 over Ethernet");
  } else if (u16(c, off + 6) < 1 || u16(c, off + 6) > 2) {
    problem(c, where, `ARP operation is ${u16(c, off + 6)}`);
  }
  return off + 28;
}

function ipv4(c: Check, off: number, end: number, where: string): number {
  const header = ipv4Header(c, off, end, where);
  if (header === 0) return -1;
  const total = u16(c, off + 2);
  if (total < header || total > end - off) {
    problem(c, where, `IPv4 total length is ${total}, header ${header}, frame has ${end - off}`);
    return -1;
  }
  if (c.bytes[off + 8] === 0) problem(c, where, "IPv4 TTL is 0");
  if ((u16(c, off + 6) & 0x3fff) !== 0) return off + total; // a fragment: its L4 checksum is not here alone
  transport(c, where, {
    v6: false,
    addresses: c.bytes.subarray(off + 12, off + 20),
    l4: off + header,
    end: off + total,
    proto: c.bytes[off + 9],
  });
  return off + total;
}

/** Header length, 0 when there is none to speak of. */
function ipv4Header(c: Check, off: number, end: number, where: string): number {
  if (end - off < 20) {
    problem(c, where, `IPv4 header needs 20 bytes, has ${end - off}`);
    return 0;
  }
  const header = (c.bytes[off] % 16) * 4;
  if (c.bytes[off] >> 4 !== 4 || header < 20 || header > end - off) {
    problem(c, where, `IPv4 version and header length are 0x${c.bytes[off].toString(16)}`);
    return 0;
  }
  const sum = wordsMod(c.bytes.subarray(off, off + header));
  if (sum !== 0) problem(c, where, `IPv4 header checksum is off by ${sum}`);
  return header;
}

function ipv6(c: Check, off: number, end: number, where: string): number {
  if (end - off < 40 || c.bytes[off] >> 4 !== 6) {
    problem(c, where, "IPv6 header is truncated or not of version 6");
    return -1;
  }
  const packetEnd = off + 40 + u16(c, off + 4);
  if (packetEnd > end) {
    problem(c, where, `IPv6 payload length is ${u16(c, off + 4)}, frame has ${end - off - 40}`);
    return -1;
  }
  if (c.bytes[off + 7] === 0) problem(c, where, "IPv6 hop limit is 0");
  let proto = c.bytes[off + 6];
  let at = off + 40;
  while ([0, 43, 44, 60].includes(proto)) {
    const len = proto === 44 ? 8 : 8 * (c.bytes[at + 1] + 1);
    if (at + 8 > packetEnd || at + len > packetEnd) {
      problem(c, where, `IPv6 extension header ${proto} runs past the packet`);
      return packetEnd;
    }
    if (proto === 44 && (u16(c, at + 2) & 0xfff9) !== 0) return packetEnd; // a fragment
    proto = c.bytes[at];
    at += len;
  }
  const addresses = c.bytes.subarray(off + 8, off + 40);
  transport(c, where, { v6: true, addresses, l4: at, end: packetEnd, proto });
  return packetEnd;
}

function transport(c: Check, where: string, n: Network): void {
  if (n.proto === 6) tcp(c, where, n);
  else if (n.proto === 17) udp(c, where, n);
  else if (n.proto === 1 && !n.v6) icmp(c, where, n);
  else if (n.proto === 58 && n.v6) icmp(c, where, n);
  else if (n.proto === 132) sctp(c, where, n);
  else if (n.proto === 136) udpLite(c, where, n);
}

function tcp(c: Check, where: string, n: Network): void {
  const room = n.end - n.l4;
  if (room < 20) {
    problem(c, where, `TCP header needs 20 bytes, has ${room}`);
    return;
  }
  const header = (c.bytes[n.l4 + 12] >> 4) * 4;
  if (header < 20 || header > room) {
    problem(c, where, `TCP header length is ${header}, room ${room}`);
    return;
  }
  const gso = where === (c.tunnel === 0 ? "" : "inner: ") && c.gsoType !== 0;
  if (gso && c.gsoType !== (n.v6 ? 4 : 1)) problem(c, where, `TCP superframe with gso_type ${c.gsoType}`);
  if (gso && c.hdrLen !== n.l4 + header) {
    problem(c, where, `hdr_len is ${c.hdrLen}, headers have ${n.l4 + header}`);
  }
  if (gso && (c.flags & 1) === 0) problem(c, where, "TCP superframe without NEEDS_CSUM");
  checksum(c, where, n, "TCP", 16, false);
}

function udp(c: Check, where: string, n: Network): void {
  const room = n.end - n.l4;
  if (room < 8) {
    problem(c, where, `UDP header needs 8 bytes, has ${room}`);
    return;
  }
  if (u16(c, n.l4 + 4) !== room) problem(c, where, `UDP length is ${u16(c, n.l4 + 4)}, room ${room}`);
  if (where === "" && c.tunnel !== 0) {
    tunnelled(c, n);
    return;
  }
  const gso = where === "" && c.gsoType !== 0;
  if (gso && c.gsoType !== 5) problem(c, where, `UDP superframe with gso_type ${c.gsoType}`);
  checksum(c, where, n, "UDP", 6, true);
  if (!c.vxlanPorts.includes(u16(c, n.l4 + 2))) return;
  const payload = n.l4 + 8;
  const step = gso && c.gsoSize > 0 ? c.gsoSize : n.end - payload;
  for (let at = payload, i = 0; at < n.end; at += step, i++) {
    vxlan(c, at, Math.min(at + step, n.end), gso ? `${where}inner ${i}: ` : `${where}inner: `);
  }
}

/** Around a superframe that is still whole: whoever cuts it completes this checksum, too. */
function tunnelled(c: Check, n: Network): void {
  if (c.tunnel !== (n.v6 ? 0x40 : 0x20)) problem(c, "", `tunnel of another family: gso_type has ${c.tunnel}`);
  if ((c.flags & 8) === 0) problem(c, "", "outer checksum of a superframe is not asked for");
  const sum = pseudoSum(n);
  if (u16(c, n.l4 + 6) % 65535 !== sum) {
    problem(c, "", `outer UDP checksum is ${u16(c, n.l4 + 6)}, pseudo-header sums to ${sum}`);
  }
  vxlan(c, n.l4 + 8, n.end, "inner: ");
}

function pseudoSum(n: Network): number {
  const len = n.end - n.l4;
  const bytes = n.v6
    ? [...n.addresses, len >>> 24, (len >> 16) & 255, (len >> 8) & 255, len & 255, 0, 0, 0, n.proto]
    : [...n.addresses, 0, n.proto, len >> 8, len & 255];
  return wordsMod(Uint8Array.from(bytes));
}

function udpLite(c: Check, where: string, n: Network): void {
  const room = n.end - n.l4;
  const coverage = room < 8 ? 0 : u16(c, n.l4 + 4) || room;
  if (coverage < 8 || coverage > room) {
    problem(c, where, `UDP-Lite covers ${coverage} of ${room} bytes`);
    return;
  }
  checksum(c, where, n, "UDP-Lite", 6, false, n.l4 + coverage);
  if (u16(c, n.l4 + 6) === 0) problem(c, where, "UDP-Lite without a checksum");
}

function vxlan(c: Check, off: number, end: number, where: string): void {
  if (end - off < 8) {
    problem(c, where, `VXLAN header needs 8 bytes, has ${end - off}`);
    return;
  }
  if (c.bytes[off] !== 8 || c.bytes[off + 7] !== 0)
    problem(c, where, "VXLAN flags or reserved bits are wrong");
  ethernet(c, off + 8, end, where);
}

function icmp(c: Check, where: string, n: Network): void {
  if (n.end - n.l4 < 8) {
    problem(c, where, `ICMP header needs 8 bytes, has ${n.end - n.l4}`);
    return;
  }
  checksum(c, where, n, n.v6 ? "ICMPv6" : "ICMP", 2, false);
  const type = c.bytes[n.l4];
  if (!n.v6 && [3, 4, 5, 11, 12].includes(type)) ipv4Header(c, n.l4 + 8, n.end, `${where}quoted: `);
  if (n.v6 && type < 128 && (n.end - n.l4 < 48 || c.bytes[n.l4 + 8] >> 4 !== 6)) {
    problem(c, where, "ICMPv6 error does not quote an IPv6 header");
  }
}

function sctp(c: Check, where: string, n: Network): void {
  if (n.end - n.l4 < 12) {
    problem(c, where, `SCTP header needs 12 bytes, has ${n.end - n.l4}`);
    return;
  }
  const packet = c.bytes.slice(n.l4, n.end);
  const [a, b, d, e] = packet.subarray(8, 12);
  packet.fill(0, 8, 12);
  const found = (a | (b << 8) | (d << 16) | (e << 24)) >>> 0;
  const wanted = crc32c(packet);
  if (found !== wanted) problem(c, where, `SCTP CRC32c is ${hex(found)}, should be ${hex(wanted)}`);
  let at = n.l4 + 12;
  while (at < n.end) {
    const len = at + 4 <= n.end ? u16(c, at + 2) : 0;
    if (len < 4 || at + len > n.end) {
      problem(c, where, `SCTP chunk at ${at - n.l4} has length ${len}`);
      return;
    }
    at += Math.ceil(len / 4) * 4;
  }
}

/** `end`: of what is summed; the pseudo-header counts everything all the same. */
function checksum(
  c: Check,
  where: string,
  n: Network,
  name: string,
  at: number,
  optional: boolean,
  end = n.end,
): void {
  const pseudo = pseudoSum(n);
  const field = u16(c, n.l4 + at);
  if ((c.flags & 1) !== 0 && c.csumStart === n.l4) {
    c.partialSeen = true;
    if (c.csumOffset !== at) problem(c, where, `csum_offset of ${name} is ${c.csumOffset}`);
    if (name !== "ICMP" && field % 65535 !== pseudo) {
      problem(c, where, `partial ${name} checksum is ${field}, pseudo-header sums to ${pseudo}`);
    }
    return;
  }
  if (optional && field === 0) {
    if (n.v6 && !c.vxlanPorts.includes(u16(c, n.l4 + 2)))
      problem(c, where, "UDP over IPv6 without a checksum");
    return;
  }
  const seed = name === "ICMP" ? 0 : pseudo;
  const sum = (wordsMod(c.bytes.subarray(n.l4, end)) + seed) % 65535;
  if (sum !== 0) problem(c, where, `${name} checksum is off by ${sum}`);
}

/** Sum of big-endian 16-bit words modulo 65535: 0 for a range that contains its own right checksum. */
export function wordsMod(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i++) sum += i % 2 === 0 ? bytes[i] * 256 : bytes[i];
  return sum % 65535;
}

/** CRC32c bit by bit, unsigned. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const carry = ((crc ^ (byte >> bit)) & 1) === 1;
      crc = carry ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    }
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function problem(c: Check, where: string, text: string): void {
  c.problems.push(`${where}${text}`);
}

function u16(c: Check, off: number): number {
  return 256 * c.bytes[off] + c.bytes[off + 1];
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
