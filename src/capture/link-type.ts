/**
 * Link types (the LINKTYPE_ values of pcap and pcapng) and what their packets look like as Ethernet frames: cooked
 * captures of tcpdump's "any", raw IP of tunnels, BSD's loopback headers. Everything behind the reader then knows
 * Ethernet alone. What a header does not say (MAC addresses, mostly) is zero. Bytes only: nothing throws.
 */

export const LINKTYPE_ETHERNET = 1;
export const LINKTYPE_LINUX_SLL = 113;

/** Which way a packet went, as the machine that captured it saw it. */
export type HostDirection = "in" | "out" | "other";

export interface LinkFrame {
  /** An Ethernet frame. */
  data: Uint8Array;
  /** Bytes by which the frame is longer than what was captured. */
  grown: number;
  direction?: HostDirection;
  /** Number of the interface, where one capture is of several. */
  ifIndex?: number;
  /** Of the machine's own loopback. */
  isLoopback?: true;
  /** Which of the two MAC addresses were captured; both in Ethernet. */
  macs: "both" | "source" | "none";
}

const HEADER_BYTES = 14;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;
const PACKET_BROADCAST = 1;
const PACKET_MULTICAST = 2;
const PACKET_OTHERHOST = 3;
const PACKET_OUTGOING = 4;
const AF_INET = 2;
const AF_INET6 = [10, 24, 28, 30]; // Linux; OpenBSD and NetBSD; FreeBSD; macOS

type Decoder = (bytes: Uint8Array) => LinkFrame | undefined;

const ethernet: Decoder = (bytes) => ({ data: bytes, grown: 0, macs: "both" });

const DECODERS: Readonly<Record<number, Decoder>> = {
  0: (bytes) => family(bytes, "host"), //      NULL: the family in the byte order of the machine
  1: ethernet,
  12: rawIp, //                                DLT_RAW, and what it is on OpenBSD
  14: rawIp,
  101: rawIp, //                               RAW
  108: (bytes) => family(bytes, "network"), // LOOP
  113: sll,
  228: (bytes) => ip(bytes, ETHERTYPE_IPV4),
  229: (bytes) => ip(bytes, ETHERTYPE_IPV6),
  276: sll2,
};

/** Names of those that people meet, of which no packet can be read here. */
const OTHERS: Readonly<Record<number, string>> = {
  9: "PPP",
  50: "PPP_HDLC",
  51: "PPP_ETHER",
  104: "C_HDLC",
  105: "IEEE802_11",
  107: "FRELAY",
  127: "IEEE802_11_RADIOTAP",
  147: "USER0",
  189: "USB_LINUX",
  192: "PPI",
  195: "IEEE802_15_4_WITHFCS",
  220: "USB_LINUX_MMAPPED",
  239: "NFLOG",
  240: "NETANALYZER",
  253: "NETLINK",
  271: "VSOCK",
};

const NAMES: Readonly<Record<number, string>> = {
  0: "NULL",
  1: "EN10MB",
  12: "RAW",
  14: "RAW",
  101: "RAW",
  108: "LOOP",
  113: "LINUX_SLL",
  228: "IPV4",
  229: "IPV6",
  276: "LINUX_SLL2",
  ...OTHERS,
};

/** "LINUX_SLL2 (276)": tcpdump's name, or the number alone. */
export function linkTypeText(linkType: number): string {
  const name = NAMES[linkType];
  return name === undefined ? `${linkType}` : `${name} (${linkType})`;
}

export function isReadable(linkType: number): boolean {
  return DECODERS[linkType] !== undefined;
}

/** The packet as an Ethernet frame; undefined when its link header is cut off, or names a protocol not of Ethernet. */
export function toEthernet(linkType: number, bytes: Uint8Array): LinkFrame | undefined {
  return DECODERS[linkType]?.(bytes);
}

function rawIp(bytes: Uint8Array): LinkFrame | undefined {
  if (bytes.length === 0) return undefined;
  const version = bytes[0] >>> 4;
  if (version !== 4 && version !== 6) return undefined;
  return ip(bytes, version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}

function ip(bytes: Uint8Array, etherType: number): LinkFrame {
  return { data: framed(bytes, etherType), grown: HEADER_BYTES, macs: "none" };
}

/** Four bytes of address family. NULL files keep the order of the machine that wrote them: either is taken. */
function family(bytes: Uint8Array, order: "host" | "network"): LinkFrame | undefined {
  if (bytes.length < 4) return undefined;
  const view = viewOf(bytes);
  const big = view.getUint32(0);
  const value = order === "host" && big > 0xffff ? view.getUint32(0, true) : big;
  const payload = bytes.subarray(4);
  const isV4 = value === AF_INET;
  if (!isV4 && !AF_INET6.includes(value)) return undefined;
  const data = framed(payload, isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  return { data, grown: HEADER_BYTES - 4, macs: "none" };
}

/** Cooked, version 1: packet type, ARPHRD, address length, address (8), protocol. */
function sll(bytes: Uint8Array): LinkFrame | undefined {
  if (bytes.length < 16) return undefined;
  const view = viewOf(bytes);
  const hardware = view.getUint16(2);
  return cooked(bytes, 16, view.getUint16(0), hardware, view.getUint16(4), 6, view.getUint16(14));
}

/** Version 2: protocol, reserved, interface, ARPHRD, packet type, address length, address (8). */
function sll2(bytes: Uint8Array): LinkFrame | undefined {
  if (bytes.length < 20) return undefined;
  const view = viewOf(bytes);
  const frame = cooked(
    bytes,
    20,
    view.getUint8(10),
    view.getUint16(8),
    view.getUint8(11),
    12,
    view.getUint16(0),
  );
  return frame === undefined ? undefined : { ...frame, ifIndex: view.getUint32(4) };
}

function cooked(
  bytes: Uint8Array,
  headerBytes: number,
  packetType: number,
  hardware: number,
  addressBytes: number,
  addressAt: number,
  protocol: number,
): LinkFrame | undefined {
  if (protocol < 0x0600) return undefined; // 802.2, CAN, netlink …: no EtherType
  const data = framed(bytes.subarray(headerBytes), protocol);
  const hasMac = addressBytes === 6 && (hardware === ARPHRD_ETHER || hardware === ARPHRD_LOOPBACK);
  if (hasMac) data.set(bytes.subarray(addressAt, addressAt + 6), 6);
  if (packetType === PACKET_BROADCAST) data.fill(0xff, 0, 6);
  if (packetType === PACKET_MULTICAST || packetType === PACKET_OUTGOING) setGroup(data);
  return {
    data,
    grown: HEADER_BYTES - headerBytes,
    direction: directionOf(packetType),
    macs: hasMac ? "source" : "none",
    ...(hardware === ARPHRD_LOOPBACK && { isLoopback: true as const }),
  };
}

function directionOf(packetType: number): HostDirection {
  if (packetType === PACKET_OUTGOING) return "out";
  return packetType === PACKET_OTHERHOST ? "other" : "in";
}

/** The destination that a group address of IP makes (RFC 1112 §6.4, RFC 2464 §7), and that of a question in ARP. */
function setGroup(data: Uint8Array): void {
  const view = viewOf(data);
  const type = view.getUint16(12);
  if (type === 0x0806 && data.length >= 22 && view.getUint16(20) === 1) data.fill(0xff, 0, 6);
  if (type === ETHERTYPE_IPV4 && data.length >= 34 && data[30] >>> 4 === 0xe) {
    data.set([0x01, 0x00, 0x5e, data[31] & 0x7f, data[32], data[33]]);
  }
  if (type === ETHERTYPE_IPV4 && data.length >= 34 && view.getUint32(30) === 0xffffffff)
    data.fill(0xff, 0, 6);
  if (type === ETHERTYPE_IPV6 && data.length >= 54 && data[38] === 0xff) {
    data.set([0x33, 0x33, ...data.subarray(50, 54)]);
  }
}

function framed(payload: Uint8Array, etherType: number): Uint8Array {
  const data = new Uint8Array(HEADER_BYTES + payload.length);
  data[12] = etherType >>> 8;
  data[13] = etherType & 0xff;
  data.set(payload, HEADER_BYTES);
  return data;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
