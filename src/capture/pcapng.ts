/**
 * The words that the pcapng writer and reader share: block types, option codes and the plain objects that
 * stand for interfaces and packets. Format: IETF draft-ietf-opsawg-pcapng. Not supported: decryption secrets,
 * custom blocks, the obsolete Packet Block (all are skipped by the reader).
 */
import { PodwireError } from "../base/errors.ts";

export const BlockType = Object.freeze({
  SECTION_HEADER: 0x0a0d0d0a,
  INTERFACE: 1,
  SIMPLE_PACKET: 3,
  NAME_RESOLUTION: 4,
  INTERFACE_STATISTICS: 5,
  ENHANCED_PACKET: 6,
} as const);

export const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** Option codes, per block type; OPT_END and OPT_COMMENT are the same everywhere. */
export const OPT_END = 0;
export const OPT_COMMENT = 1;
export const ShbOption = Object.freeze({ HARDWARE: 2, OS: 3, USER_APPLICATION: 4 } as const);
export const IdbOption = Object.freeze({
  NAME: 2,
  DESCRIPTION: 3,
  MAC_ADDRESS: 6,
  TIMESTAMP_RESOLUTION: 9,
  FILTER: 11,
  OS: 12,
  TIMESTAMP_OFFSET: 14,
  HARDWARE: 15,
} as const);
export const EpbOption = Object.freeze({ FLAGS: 2, DROP_COUNT: 4, PACKET_ID: 5, QUEUE: 6 } as const);
export const IsbOption = Object.freeze({
  START_TIME: 2,
  END_TIME: 3,
  RECEIVED: 4,
  DROPPED: 5,
  FILTER_ACCEPTED: 6,
  OS_DROPPED: 7,
} as const);
export const NameRecord = Object.freeze({ END: 0, IPV4: 1, IPV6: 2 } as const);

export interface SectionInfo {
  hardware?: string;
  os?: string;
  application?: string;
  comment?: string;
}

export interface CaptureInterface {
  /** What Wireshark shows in frame.interface_name. */
  name: string;
  description?: string;
  /** LINKTYPE_ value; Ethernet when left out. */
  linkType?: number;
  /** Bytes kept of a packet; 0 = no limit. */
  snapLen?: number;
  /** Six bytes. */
  mac?: Uint8Array;
  /** The filter in tcpdump's language. */
  filter?: string;
  hardware?: string;
}

export type CaptureDirection = "in" | "out";

export interface CapturePacket {
  /** Index of the interface in the order of declaration. */
  interfaceId: number;
  /** Nanoseconds since 1970-01-01T00:00:00Z. */
  timestampNs: bigint;
  data: Uint8Array;
  /** Bytes on the wire; larger than data.length when the capture was cut. */
  originalLength?: number;
  comments?: readonly string[];
  /** As the data plane sees it: "in" came from the device, "out" goes to it. */
  direction?: CaptureDirection;
  /** Packets lost on this interface since the packet before. */
  dropCount?: number;
  /** The plane's number of the packet: the same before and after translation, and in `trace`. */
  packetId?: bigint;
}

export interface NameEntry {
  /** 4 or 16 bytes. */
  address: Uint8Array;
  names: readonly string[];
}

export interface InterfaceStatistics {
  interfaceId: number;
  timestampNs: bigint;
  startNs?: bigint;
  endNs?: bigint;
  received?: number;
  /** Lost for want of room before they reached the file. */
  dropped?: number;
  filterAccepted?: number;
}

/** What a reader hands out, in the order of the file. Interface ids count through all sections. */
export type CaptureItem =
  | { type: "section"; section: SectionInfo }
  | { type: "interface"; interfaceId: number; interface: CaptureInterface }
  | { type: "packet"; packet: CapturePacket }
  | { type: "names"; names: NameEntry[] }
  | { type: "statistics"; statistics: InterfaceStatistics };

/** A reader of capture bytes that come in chunks. */
export interface CaptureReader {
  push(chunk: Uint8Array): CaptureItem[];
  /** After the last bytes; throws when the file is cut off. */
  end(): void;
}

export type CaptureFormatCode = "CAPTURE_TRUNCATED" | "CAPTURE_MALFORMED" | "CAPTURE_UNSUPPORTED";

/** A capture file that cannot be read as what it claims to be. */
export class CaptureFormatError extends PodwireError {
  /** Byte offset in the file at which reading stopped. */
  readonly offset: number;
  constructor(code: CaptureFormatCode, message: string, offset: number) {
    super(`${message} (at byte ${offset})`, { code, offset });
    this.offset = offset;
  }
}
