// What a dissected frame looks like: plain objects with text addresses, fit for JSON. Layers are listed from
// the outside in; a frame inside a VXLAN packet is a Frame of its own. Numbers are as they are written on
// paper: unsigned.

export interface Frame {
  /** Bytes of the frame, padding included. */
  readonly length: number;
  readonly layers: readonly Layer[];
}

export type Layer =
  | EthernetLayer
  | VlanLayer
  | ArpLayer
  | Ipv4Layer
  | Ipv6Layer
  | ExtensionLayer
  | TcpLayer
  | UdpLayer
  | IcmpLayer
  | Icmpv6Layer
  | SctpLayer
  | VxlanLayer
  | OpaqueLayer
  | MalformedLayer;

export interface EthernetLayer {
  readonly kind: "ethernet";
  readonly src: string;
  readonly dst: string;
  readonly etherType: number;
}

export interface VlanLayer {
  readonly kind: "vlan";
  readonly id: number;
  readonly priority: number;
  readonly etherType: number;
}

export interface ArpLayer {
  readonly kind: "arp";
  readonly op: number;
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac: string;
  readonly targetIp: string;
  /** Bytes including padding, as tcpdump counts them. */
  readonly length: number;
}

/** Where a fragment lies in its datagram. */
export interface Fragment {
  readonly id: number;
  readonly offset: number;
  readonly more: boolean;
  /** Bytes of this piece. */
  readonly length: number;
}

export interface Ipv4Layer {
  readonly kind: "ipv4";
  readonly src: string;
  readonly dst: string;
  readonly proto: number;
  readonly ttl: number;
  readonly tos: number;
  readonly id: number;
  readonly totalLength: number;
  readonly headerLength: number;
  readonly dontFragment: boolean;
  readonly checksumOk: boolean;
  readonly fragment?: Fragment;
}

export interface Ipv6Layer {
  readonly kind: "ipv6";
  readonly src: string;
  readonly dst: string;
  readonly nextHeader: number;
  readonly hopLimit: number;
  readonly trafficClass: number;
  readonly flowLabel: number;
  readonly payloadLength: number;
}

export interface ExtensionLayer {
  readonly kind: "extension";
  readonly header: number;
  readonly length: number;
  readonly nextHeader: number;
  readonly fragment?: Fragment;
}

export interface TcpOption {
  readonly kind: number;
  /** MSS, shift, nothing, or [TSval, TSecr], by kind. */
  readonly values: readonly number[];
}

export interface TcpLayer {
  readonly kind: "tcp";
  readonly srcPort: number;
  readonly dstPort: number;
  readonly seq: number;
  readonly ack: number;
  /** tcpdump's letters, e.g. "S." or "none". */
  readonly flags: string;
  readonly window: number;
  readonly checksum: number;
  readonly urgent: number;
  readonly options: readonly TcpOption[];
  /** The capture ends within the options. */
  readonly isCut?: true;
  readonly payloadLength: number;
}

export interface UdpLayer {
  readonly kind: "udp";
  readonly srcPort: number;
  readonly dstPort: number;
  readonly checksum: number;
  readonly payloadLength: number;
}

/** The head of the packet an ICMP error is about; ports when eight bytes of TCP, UDP or SCTP are there. */
export interface Quoted {
  readonly src: string;
  readonly dst: string;
  readonly proto: number;
  readonly srcPort?: number;
  readonly dstPort?: number;
}

export interface IcmpLayer {
  readonly kind: "icmp";
  readonly type: number;
  readonly code: number;
  readonly id?: number;
  readonly seq?: number;
  readonly mtu?: number;
  readonly gateway?: string;
  readonly quoted?: Quoted;
  readonly length: number;
}

export interface Icmpv6Layer {
  readonly kind: "icmpv6";
  readonly type: number;
  readonly code: number;
  readonly id?: number;
  readonly seq?: number;
  readonly mtu?: number;
  readonly target?: string;
  /** Link-layer address option of neighbour discovery. */
  readonly linkAddress?: string;
  /** Group records of an MLDv2 report. */
  readonly records?: number;
  readonly quoted?: Quoted;
  readonly length: number;
}

export interface SctpLayer {
  readonly kind: "sctp";
  readonly srcPort: number;
  readonly dstPort: number;
  readonly vtag: number;
  readonly chunks: readonly { readonly type: number; readonly flags: number; readonly length: number }[];
  readonly checksumOk: boolean;
}

export interface VxlanLayer {
  readonly kind: "vxlan";
  readonly vni: number;
  readonly flags: number;
  readonly inner: Frame;
}

/** A protocol that is not looked into, or the rest of a fragment. */
export interface OpaqueLayer {
  readonly kind: "opaque";
  readonly proto: number;
  readonly length: number;
}

/** A header that is cut short or contradicts itself; nothing behind it is looked at. */
export interface MalformedLayer {
  readonly kind: "malformed";
  /** tcpdump's name of it: "ip", "tcp" … */
  readonly what: string;
  readonly length: number;
  /** Of a header that the capture cuts behind them. */
  readonly ports?: readonly [number, number];
}
