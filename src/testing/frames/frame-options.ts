// What a test may say about a frame to frame-builder.ts. Everything optional has a default there.

/** Bytes, text, or a number of bytes counting 0, 1, 2 … */
export type Payload = Uint8Array | string | number;

export interface LinkOptions {
  readonly srcMac?: string;
  readonly dstMac?: string;
  /** VLAN identifiers, outermost first; two make an 802.1ad frame. */
  readonly vlans?: readonly number[];
}

export interface IpOptions extends LinkOptions {
  readonly src: string;
  readonly dst: string;
  readonly ttl?: number;
  readonly tos?: number;
  /** IPv4 only: identification, DF (default set), and raw option bytes, a multiple of 4. */
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly ipOptions?: Uint8Array;
  /** IPv6 only. */
  readonly flowLabel?: number;
}

export interface PortOptions extends IpOptions {
  readonly srcPort?: number;
  readonly dstPort?: number;
}

export interface TcpOptions extends PortOptions {
  readonly seq?: number;
  readonly ack?: number;
  /** tcpdump's letters: S F R P . U E W; default "." */
  readonly flags?: string;
  readonly window?: number;
  readonly mss?: number;
  readonly wscale?: number;
  readonly sackPermitted?: boolean;
  readonly timestamps?: readonly [value: number, echo: number];
  readonly sack?: readonly (readonly [left: number, right: number])[];
  readonly payload?: Payload;
}

export interface UdpOptions extends PortOptions {
  readonly payload?: Payload;
  /** false writes 0, "not computed". */
  readonly checksum?: boolean;
}

export interface EchoOptions extends IpOptions {
  readonly reply?: boolean;
  readonly echoId?: number;
  readonly seq?: number;
  readonly payload?: Payload;
}

export interface IcmpErrorOptions extends IpOptions {
  readonly type: number;
  readonly code: number;
  /** Bytes 4–7: the MTU of "fragmentation needed" and "packet too big". */
  readonly rest?: number;
  /** The frame it is about; its packet is quoted from the IP header on. */
  readonly about: Uint8Array;
  /** Bytes of the packet quoted at most; default 28 + 20 on IPv4, 1232 on IPv6. */
  readonly quote?: number;
}

export interface ArpOptions extends LinkOptions {
  readonly op?: number;
  readonly senderMac?: string;
  readonly senderIp: string;
  readonly targetMac?: string;
  readonly targetIp: string;
}

export interface VxlanOptions extends PortOptions {
  readonly vni?: number;
  readonly inner: Uint8Array;
  /** Default false, as Linux sends over IPv4. */
  readonly checksum?: boolean;
}

export interface NeighborOptions extends LinkOptions {
  readonly src: string;
  readonly dst: string;
  readonly target: string;
  /** Link-layer address option; left out: no option. */
  readonly mac?: string;
  /** Advertisement flags; default solicited and override. */
  readonly flags?: number;
}

export interface SctpChunk {
  readonly type: number;
  readonly flags?: number;
  readonly value?: Payload;
}

export interface SctpOptions extends PortOptions {
  readonly vtag?: number;
  readonly chunks?: readonly SctpChunk[];
}

export interface UdpLiteOptions extends PortOptions {
  readonly payload?: Payload;
  /** Bytes under the checksum, from the header on; default 0: all of them. */
  readonly coverage?: number;
}

export interface RawOptions extends IpOptions {
  readonly proto: number;
  readonly payload?: Payload;
}
