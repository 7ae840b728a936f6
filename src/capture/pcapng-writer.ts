/**
 * Writes pcapng: one section, little-endian, nanosecond timestamps, comments on packets, name records,
 * statistics. Every call hands whole blocks to the sink, so whatever has been written is a readable file at
 * any moment. Not written: packet hashes, custom blocks, more than one section.
 */
import { LINKTYPE_ETHERNET } from "./link-type.ts";
import {
  BlockType,
  BYTE_ORDER_MAGIC,
  type CaptureInterface,
  type CapturePacket,
  EpbOption,
  IdbOption,
  type InterfaceStatistics,
  IsbOption,
  type NameEntry,
  NameRecord,
  OPT_COMMENT,
  OPT_END,
  type SectionInfo,
  ShbOption,
} from "./pcapng.ts";

const MINOR_VERSION = 0;
const MAJOR_VERSION = 1;
const TSRESOL_NANOSECONDS = 9; //       decimal exponent
const LENGTH_UNKNOWN = -1n; //          section length: not known while we stream
const MAX_OPTION_BYTES = 0xffff; //     length field of an option
const FLAGS_DIRECTION_IN = 1;
const FLAGS_DIRECTION_OUT = 2;
const encoder = new TextEncoder();

/** Receives one or more whole blocks. May throw (ENOSPC); the writer keeps no state that this would spoil. */
export type BlockSink = (blocks: Uint8Array) => void;

export class PcapngWriter {
  readonly #sink: BlockSink;
  #interfaces = 0;
  #packets = 0;

  /** Writes the section header at once. */
  constructor(sink: BlockSink, section: SectionInfo = {}) {
    this.#sink = sink;
    sink(sectionHeader(section));
  }

  get packets(): number {
    return this.#packets;
  }

  /** Declares an interface; returns the id that its packets carry. Allowed at any time. */
  addInterface(description: CaptureInterface): number {
    this.#sink(interfaceBlock(description));
    return this.#interfaces++;
  }

  packet(packet: CapturePacket): void {
    if (packet.interfaceId < 0 || packet.interfaceId >= this.#interfaces) {
      throw new RangeError(`packet names interface ${packet.interfaceId} of ${this.#interfaces} declared`);
    }
    this.#sink(packetBlock(packet));
    this.#packets++;
  }

  /** Address → name records, which Wireshark uses in place of DNS. */
  names(entries: readonly NameEntry[]): void {
    if (entries.length > 0) this.#sink(nameBlock(entries));
  }

  statistics(statistics: InterfaceStatistics): void {
    this.#sink(statisticsBlock(statistics));
  }
}

function sectionHeader(section: SectionInfo): Uint8Array {
  const block = new BlockBuilder(BlockType.SECTION_HEADER);
  block.u32(BYTE_ORDER_MAGIC);
  block.u16(MAJOR_VERSION);
  block.u16(MINOR_VERSION);
  block.u64(LENGTH_UNKNOWN);
  block.textOption(ShbOption.HARDWARE, section.hardware);
  block.textOption(ShbOption.OS, section.os);
  block.textOption(ShbOption.USER_APPLICATION, section.application);
  block.textOption(OPT_COMMENT, section.comment);
  return block.finish();
}

function interfaceBlock(description: CaptureInterface): Uint8Array {
  const block = new BlockBuilder(BlockType.INTERFACE);
  block.u16(description.linkType ?? LINKTYPE_ETHERNET);
  block.u16(0);
  block.u32(description.snapLen ?? 0);
  block.textOption(IdbOption.NAME, description.name);
  block.textOption(IdbOption.DESCRIPTION, description.description);
  if (description.mac) block.option(IdbOption.MAC_ADDRESS, description.mac);
  block.option(IdbOption.TIMESTAMP_RESOLUTION, Uint8Array.of(TSRESOL_NANOSECONDS));
  // The first byte of a filter option says of what kind it is: 0 = text as given to the capture program.
  if (description.filter) block.option(IdbOption.FILTER, encoder.encode(`\0${description.filter}`));
  block.textOption(IdbOption.HARDWARE, description.hardware);
  return block.finish();
}

function packetBlock(packet: CapturePacket): Uint8Array {
  const block = new BlockBuilder(BlockType.ENHANCED_PACKET, packet.data.length);
  block.u32(packet.interfaceId);
  block.timestamp(packet.timestampNs);
  block.u32(packet.data.length);
  block.u32(packet.originalLength ?? packet.data.length);
  block.bytes(packet.data);
  for (const comment of packet.comments ?? []) block.textOption(OPT_COMMENT, comment);
  if (packet.direction !== undefined) {
    block.u32Option(EpbOption.FLAGS, packet.direction === "in" ? FLAGS_DIRECTION_IN : FLAGS_DIRECTION_OUT);
  }
  if (packet.dropCount !== undefined) block.u64Option(EpbOption.DROP_COUNT, BigInt(packet.dropCount));
  if (packet.packetId !== undefined) block.u64Option(EpbOption.PACKET_ID, packet.packetId);
  return block.finish();
}

function nameBlock(entries: readonly NameEntry[]): Uint8Array {
  const block = new BlockBuilder(BlockType.NAME_RESOLUTION);
  for (const { address, names } of entries) {
    const text = encoder.encode(`${names.join("\0")}\0`);
    const value = new Uint8Array(address.length + text.length);
    value.set(address, 0);
    value.set(text, address.length);
    block.option(address.length === 4 ? NameRecord.IPV4 : NameRecord.IPV6, value);
  }
  block.u32(0); // nrb_record_end: records are closed on their own, before any options
  return block.finish();
}

function statisticsBlock(statistics: InterfaceStatistics): Uint8Array {
  const block = new BlockBuilder(BlockType.INTERFACE_STATISTICS);
  block.u32(statistics.interfaceId);
  block.timestamp(statistics.timestampNs);
  if (statistics.startNs !== undefined) block.timestampOption(IsbOption.START_TIME, statistics.startNs);
  if (statistics.endNs !== undefined) block.timestampOption(IsbOption.END_TIME, statistics.endNs);
  block.countOption(IsbOption.RECEIVED, statistics.received);
  block.countOption(IsbOption.DROPPED, statistics.dropped);
  block.countOption(IsbOption.FILTER_ACCEPTED, statistics.filterAccepted);
  return block.finish();
}

/** One block under construction: type and both lengths around what the caller appends. */
class BlockBuilder {
  #buffer: Uint8Array;
  #view: DataView;
  #used = 8;
  #hasOptions = false;

  constructor(type: number, payloadBytes = 0) {
    this.#buffer = new Uint8Array(256 + payloadBytes);
    this.#view = new DataView(this.#buffer.buffer);
    this.#view.setUint32(0, type, true);
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.#used, value, true);
    this.#used += 2;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#used, value, true);
    this.#used += 4;
  }

  u64(value: bigint): void {
    this.#reserve(8);
    this.#view.setBigInt64(this.#used, BigInt.asIntN(64, value), true);
    this.#used += 8;
  }

  /** A timestamp is two words, the high one first, whatever the byte order. */
  timestamp(ns: bigint): void {
    this.u32(Number((ns >> 32n) & 0xffffffffn));
    this.u32(Number(ns & 0xffffffffn));
  }

  bytes(value: Uint8Array): void {
    const padded = (value.length + 3) & ~3;
    this.#reserve(padded);
    this.#buffer.set(value, this.#used);
    this.#used += padded;
  }

  option(code: number, value: Uint8Array): void {
    const cut = value.length > MAX_OPTION_BYTES ? value.subarray(0, MAX_OPTION_BYTES) : value;
    this.u16(code);
    this.u16(cut.length);
    this.bytes(cut);
    this.#hasOptions = true;
  }

  textOption(code: number, value: string | undefined): void {
    if (value !== undefined && value !== "") this.option(code, encoder.encode(value));
  }

  u32Option(code: number, value: number): void {
    this.u16(code);
    this.u16(4);
    this.u32(value);
    this.#hasOptions = true;
  }

  u64Option(code: number, value: bigint): void {
    this.u16(code);
    this.u16(8);
    this.u64(value);
    this.#hasOptions = true;
  }

  timestampOption(code: number, ns: bigint): void {
    this.u16(code);
    this.u16(8);
    this.timestamp(ns);
    this.#hasOptions = true;
  }

  countOption(code: number, value: number | undefined): void {
    if (value !== undefined) this.u64Option(code, BigInt(value));
  }

  finish(): Uint8Array {
    // A name resolution block's records look like options but have closed themselves already; a second end
    // mark after them is an empty list of options, which is allowed.
    if (this.#hasOptions) this.u32(OPT_END);
    this.u32(this.#used + 4);
    this.#view.setUint32(4, this.#used, true);
    return this.#buffer.subarray(0, this.#used);
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#used + bytes));
    larger.set(this.#buffer);
    this.#buffer = larger;
    this.#view = new DataView(larger.buffer);
  }
}
