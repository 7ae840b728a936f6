/**
 * Reads pcapng from chunks as they come (a file, a pipe, an agent's stream): both byte orders, several
 * sections, any timestamp resolution; unknown blocks and options are skipped. A file that ends inside a block
 * is an error, but only after every packet before that point has been handed out. Skipped: decryption
 * secrets, custom blocks, the obsolete Packet Block.
 */
import {
  BlockType,
  BYTE_ORDER_MAGIC,
  CaptureFormatError,
  type CaptureInterface,
  type CaptureItem,
  type CapturePacket,
  type CaptureReader,
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

const BLOCK_OVERHEAD = 12; //            type, length, and the length again at the end
const MAX_BLOCK_BYTES = 64 << 20; //     no honest block is larger: a wrong byte order or garbage
const IDB_FIXED_BYTES = 8;
const EPB_FIXED_BYTES = 20;
const SPB_FIXED_BYTES = 4;
const ISB_FIXED_BYTES = 12;
const DEFAULT_TICKS_PER_SECOND = 1_000_000n;
const decoder = new TextDecoder();

interface InterfaceState {
  id: number;
  linkType: number;
  snapLen: number;
  ticksPerSecond: bigint;
  offsetSec: bigint;
}

interface Option {
  code: number;
  value: Uint8Array;
}

export class PcapngReader implements CaptureReader {
  #pending = new Uint8Array(0);
  #offset = 0; //                  bytes of the file before #pending
  #littleEndian = true;
  #sections = 0;
  #interfaceCount = 0;
  #interfaces: InterfaceState[] = []; // of the current section
  #failure: CaptureFormatError | undefined;

  /**
   * Takes the next bytes; returns whatever they complete. The packets' data are views of these bytes.
   * When a block cannot be read, the packets before it are returned and the next call throws.
   */
  push(chunk: Uint8Array): CaptureItem[] {
    if (this.#failure) throw this.#failure;
    const bytes = this.#pending.length === 0 ? chunk : concat(this.#pending, chunk);
    const items: CaptureItem[] = [];
    let at = 0;
    try {
      for (;;) {
        const length = this.#blockLength(bytes, at);
        if (length === 0 || at + length > bytes.length) break;
        this.#block(bytes.subarray(at, at + length), items);
        at += length;
        this.#offset += length;
      }
    } catch (error) {
      if (!(error instanceof CaptureFormatError)) throw error;
      this.#failure = error;
    }
    this.#pending = bytes.slice(at);
    return items;
  }

  /** To be called after the last bytes. */
  end(): void {
    if (this.#failure) throw this.#failure;
    if (this.#pending.length > 0) {
      throw new CaptureFormatError(
        "CAPTURE_TRUNCATED",
        "the capture is truncated: it ends inside a block",
        this.#offset + this.#pending.length,
      );
    }
    if (this.#sections === 0) {
      throw new CaptureFormatError("CAPTURE_TRUNCATED", "the capture is empty", this.#offset);
    }
  }

  /**
   * Bytes of the block at `at`, or 0 when its head is not complete. Detects byte order at a section header.
   */
  #blockLength(bytes: Uint8Array, at: number): number {
    if (bytes.length - at < 8) return 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
    const isSection = view.getUint32(0, true) === BlockType.SECTION_HEADER; // the same both ways
    if (!isSection && this.#sections === 0) throw this.#malformed("not a pcapng file");
    if (isSection) {
      if (bytes.length - at < 12) return 0;
      if (view.getUint32(8, true) === BYTE_ORDER_MAGIC) this.#littleEndian = true;
      else if (view.getUint32(8, false) === BYTE_ORDER_MAGIC) this.#littleEndian = false;
      else throw this.#malformed("the section header has no byte order mark");
    }
    const length = view.getUint32(4, this.#littleEndian);
    if (length < BLOCK_OVERHEAD || length % 4 !== 0 || length > MAX_BLOCK_BYTES) {
      throw this.#malformed(`a block says it is ${length} bytes long`);
    }
    return length;
  }

  #block(block: Uint8Array, items: CaptureItem[]): void {
    const view = new DataView(block.buffer, block.byteOffset, block.length);
    if (view.getUint32(block.length - 4, this.#littleEndian) !== block.length) {
      throw this.#malformed("a block's two lengths differ");
    }
    const body = block.subarray(8, block.length - 4);
    switch (view.getUint32(0, this.#littleEndian)) {
      case BlockType.SECTION_HEADER:
        items.push(this.#section(body));
        break;
      case BlockType.INTERFACE:
        items.push(this.#interface(body));
        break;
      case BlockType.ENHANCED_PACKET:
        items.push({ type: "packet", packet: this.#enhancedPacket(body) });
        break;
      case BlockType.SIMPLE_PACKET:
        items.push({ type: "packet", packet: this.#simplePacket(body) });
        break;
      case BlockType.NAME_RESOLUTION:
        items.push({ type: "names", names: this.#names(body) });
        break;
      case BlockType.INTERFACE_STATISTICS:
        items.push({ type: "statistics", statistics: this.#statistics(body) });
        break;
      default: // unknown: its length was enough to step over it
    }
  }

  #section(body: Uint8Array): CaptureItem {
    if (body.length < 16) throw this.#malformed("the section header is too short");
    const major = this.#view(body).getUint16(4, this.#littleEndian);
    if (major !== 1) {
      const message = `pcapng version ${major} is not supported`;
      throw new CaptureFormatError("CAPTURE_UNSUPPORTED", message, this.#offset);
    }
    this.#sections++;
    this.#interfaces = [];
    const section: SectionInfo = {};
    for (const { code, value } of this.#options(body, 16)) {
      if (code === ShbOption.HARDWARE) section.hardware = text(value);
      else if (code === ShbOption.OS) section.os = text(value);
      else if (code === ShbOption.USER_APPLICATION) section.application = text(value);
      else if (code === OPT_COMMENT) section.comment = text(value);
    }
    return { type: "section", section };
  }

  #interface(body: Uint8Array): CaptureItem {
    if (body.length < IDB_FIXED_BYTES) throw this.#malformed("an interface block is too short");
    const view = this.#view(body);
    const linkType = view.getUint16(0, this.#littleEndian);
    const snapLen = view.getUint32(4, this.#littleEndian);
    const id = this.#interfaceCount++;
    const state = { id, linkType, snapLen, ticksPerSecond: DEFAULT_TICKS_PER_SECOND, offsetSec: 0n };
    const description: CaptureInterface = { name: `interface ${id}`, linkType, snapLen };
    for (const { code, value } of this.#options(body, IDB_FIXED_BYTES)) {
      if (code === IdbOption.NAME) description.name = text(value);
      else if (code === IdbOption.DESCRIPTION) description.description = text(value);
      else if (code === IdbOption.MAC_ADDRESS) description.mac = value;
      else if (code === IdbOption.FILTER && value[0] === 0) description.filter = text(value.subarray(1));
      else if (code === IdbOption.HARDWARE) description.hardware = text(value);
      else if (code === IdbOption.TIMESTAMP_RESOLUTION) state.ticksPerSecond = ticks(value[0] ?? 6);
      else if (code === IdbOption.TIMESTAMP_OFFSET && value.length === 8) {
        state.offsetSec = this.#view(value).getBigInt64(0, this.#littleEndian);
      }
    }
    this.#interfaces.push(state);
    return { type: "interface", interfaceId: id, interface: description };
  }

  #enhancedPacket(body: Uint8Array): CapturePacket {
    if (body.length < EPB_FIXED_BYTES) throw this.#malformed("a packet block is too short");
    const view = this.#view(body);
    const le = this.#littleEndian;
    const state = this.#interfaceOf(view.getUint32(0, le));
    const captured = view.getUint32(12, le);
    if (captured > body.length - EPB_FIXED_BYTES) throw this.#malformed("a packet is longer than its block");
    const packet: CapturePacket = {
      interfaceId: state.id,
      timestampNs: toNs(state, view.getUint32(4, le), view.getUint32(8, le)),
      data: body.subarray(EPB_FIXED_BYTES, EPB_FIXED_BYTES + captured),
      originalLength: view.getUint32(16, le),
    };
    const comments: string[] = [];
    for (const { code, value } of this.#options(body, EPB_FIXED_BYTES + ((captured + 3) & ~3))) {
      if (code === OPT_COMMENT) comments.push(text(value));
      else if (code === EpbOption.FLAGS && value.length === 4) {
        const direction = this.#view(value).getUint32(0, le) & 3;
        if (direction === 1) packet.direction = "in";
        if (direction === 2) packet.direction = "out";
      } else if (code === EpbOption.DROP_COUNT) packet.dropCount = this.#count(value);
      else if (code === EpbOption.PACKET_ID && value.length === 8) {
        packet.packetId = this.#view(value).getBigUint64(0, le);
      }
    }
    if (comments.length > 0) packet.comments = comments;
    return packet;
  }

  /** A simple packet has neither timestamp nor interface: it belongs to the first, at the epoch. */
  #simplePacket(body: Uint8Array): CapturePacket {
    if (body.length < SPB_FIXED_BYTES) throw this.#malformed("a packet block is too short");
    const state = this.#interfaceOf(0);
    const originalLength = this.#view(body).getUint32(0, this.#littleEndian);
    const limit = state.snapLen === 0 ? originalLength : Math.min(state.snapLen, originalLength);
    const captured = Math.min(limit, body.length - SPB_FIXED_BYTES);
    const data = body.subarray(SPB_FIXED_BYTES, SPB_FIXED_BYTES + captured);
    return { interfaceId: state.id, timestampNs: 0n, data, originalLength };
  }

  #names(body: Uint8Array): NameEntry[] {
    const entries: NameEntry[] = [];
    for (const { code, value } of this.#options(body, 0)) {
      const addressBytes = code === NameRecord.IPV4 ? 4 : code === NameRecord.IPV6 ? 16 : 0;
      if (addressBytes === 0 || value.length <= addressBytes) continue;
      const names = text(value.subarray(addressBytes))
        .split("\0")
        .filter((name) => name !== "");
      entries.push({ address: value.subarray(0, addressBytes), names });
    }
    return entries;
  }

  #statistics(body: Uint8Array): InterfaceStatistics {
    if (body.length < ISB_FIXED_BYTES) throw this.#malformed("a statistics block is too short");
    const view = this.#view(body);
    const le = this.#littleEndian;
    const state = this.#interfaceOf(view.getUint32(0, le));
    const timestampNs = toNs(state, view.getUint32(4, le), view.getUint32(8, le));
    const statistics: InterfaceStatistics = { interfaceId: state.id, timestampNs };
    for (const { code, value } of this.#options(body, ISB_FIXED_BYTES)) {
      if (value.length !== 8) continue;
      const words = this.#view(value);
      const time = toNs(state, words.getUint32(0, le), words.getUint32(4, le));
      if (code === IsbOption.START_TIME) statistics.startNs = time;
      else if (code === IsbOption.END_TIME) statistics.endNs = time;
      else if (code === IsbOption.RECEIVED) statistics.received = this.#count(value);
      else if (code === IsbOption.DROPPED) statistics.dropped = this.#count(value);
      else if (code === IsbOption.FILTER_ACCEPTED) statistics.filterAccepted = this.#count(value);
    }
    return statistics;
  }

  #options(body: Uint8Array, from: number): Option[] {
    const view = this.#view(body);
    const options: Option[] = [];
    let at = from;
    while (at + 4 <= body.length) {
      const code = view.getUint16(at, this.#littleEndian);
      const length = view.getUint16(at + 2, this.#littleEndian);
      if (code === OPT_END) break;
      if (at + 4 + length > body.length) throw this.#malformed("an option is longer than its block");
      options.push({ code, value: body.subarray(at + 4, at + 4 + length) });
      at += 4 + ((length + 3) & ~3);
    }
    return options;
  }

  #interfaceOf(index: number): InterfaceState {
    const state = this.#interfaces[index];
    if (state === undefined) throw this.#malformed(`interface ${index} was never described`);
    return state;
  }

  #count(value: Uint8Array): number {
    return value.length === 8 ? Number(this.#view(value).getBigUint64(0, this.#littleEndian)) : 0;
  }

  #view(bytes: Uint8Array): DataView {
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  #malformed(message: string): CaptureFormatError {
    return new CaptureFormatError("CAPTURE_MALFORMED", message, this.#offset);
  }
}

/** if_tsresol: the high bit chooses between powers of ten and powers of two. */
function ticks(resolution: number): bigint {
  const exponent = BigInt(resolution & 0x7f);
  return resolution & 0x80 ? 1n << exponent : 10n ** exponent;
}

function toNs(state: InterfaceState, high: number, low: number): bigint {
  const raw = (BigInt(high) << 32n) | BigInt(low);
  return (raw * 1_000_000_000n) / state.ticksPerSecond + state.offsetSec * 1_000_000_000n;
}

function text(value: Uint8Array): string {
  return decoder.decode(value);
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a, 0);
  joined.set(b, a.length);
  return joined;
}
