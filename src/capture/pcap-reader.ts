/**
 * Reads classic pcap from chunks as they come. Microsecond files go through pcap-parser; nanosecond files,
 * which it refuses, through our own few lines. pcap-parser ends silently when a file is cut off and waits for
 * ever for a packet of a nonsensical length, so bytes are counted and lengths are checked here. Only
 * whole-file byte orders; not the modified formats of Kuznetzov or Navtel.
 */
import { EventEmitter } from "node:events";
import pcapParser from "pcap-parser";
import { CaptureFormatError, type CaptureItem, type CaptureReader } from "./pcapng.ts";

const GLOBAL_HEADER_BYTES = 24;
const PACKET_HEADER_BYTES = 16;
const OFF_SNAPLEN = 16; //         u32 in the global header
const OFF_LINKTYPE = 20; //        u32, the upper six bits tell of a frame check sequence
const LINKTYPE_MASK = 0x03ffffff;
const MAX_PACKET_BYTES = 262144; // MAXIMUM_SNAPLEN of libpcap
const MAGIC_MICRO = 0xa1b2c3d4;
const MAGIC_NANO = 0xa1b23c4d;

/** True when the first four bytes are those of a classic pcap file, whichever its clock and byte order. */
export function isPcap(head: Uint8Array): boolean {
  return head.length >= 4 && (hasMagic(head, MAGIC_MICRO) || hasMagic(head, MAGIC_NANO));
}

/** The reader for a file that starts with `head` (four bytes or more, which are still to be pushed). */
export function createPcapReader(head: Uint8Array): CaptureReader {
  return hasMagic(head, MAGIC_NANO) ? new NanosecondPcapReader() : new MicrosecondPcapReader();
}

/** Feeds pcap-parser: it only knows streams, and a stream that we drive keeps reading pull-based. */
class Feed extends EventEmitter {
  pause(): void {}
  resume(): void {}
}

class MicrosecondPcapReader implements CaptureReader {
  readonly #feed = new Feed();
  #items: CaptureItem[] = [];
  #failure: Error | undefined;
  #seen = 0; //     bytes pushed
  #complete = 0; // bytes that whole headers and packets account for

  constructor() {
    const parser = pcapParser.parse(this.#feed);
    parser.on("error", (error) => {
      this.#failure ??= new CaptureFormatError("CAPTURE_MALFORMED", error.message, this.#complete);
    });
    parser.on("globalHeader", (header) => {
      this.#complete += GLOBAL_HEADER_BYTES;
      this.#items.push(interfaceItem(header.linkLayerType, header.snapshotLength));
    });
    parser.on("packetHeader", (header) => {
      if (header.capturedLength > MAX_PACKET_BYTES) {
        this.#failure ??= tooLong(header.capturedLength, this.#complete);
      }
    });
    parser.on("packet", ({ header, data }) => {
      if (this.#failure) return;
      const micros = BigInt(header.timestampSeconds) * 1_000_000n + BigInt(header.timestampMicroseconds);
      this.#complete += PACKET_HEADER_BYTES + header.capturedLength;
      this.#items.push(packetItem(micros * 1000n, data, header.originalLength));
    });
  }

  push(chunk: Uint8Array): CaptureItem[] {
    if (this.#failure) throw this.#failure;
    this.#seen += chunk.length;
    this.#items = [];
    this.#feed.emit("data", Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    return this.#items;
  }

  end(): void {
    if (this.#failure) throw this.#failure;
    if (this.#seen !== this.#complete || this.#seen === 0) throw truncated(this.#seen);
  }
}

class NanosecondPcapReader implements CaptureReader {
  #pending = new Uint8Array(0);
  #failure: Error | undefined;
  #offset = 0;
  #littleEndian = true;
  #hasHeader = false;

  push(chunk: Uint8Array): CaptureItem[] {
    if (this.#failure) throw this.#failure;
    const bytes = new Uint8Array(this.#pending.length + chunk.length);
    bytes.set(this.#pending, 0);
    bytes.set(chunk, this.#pending.length);
    const view = new DataView(bytes.buffer);
    const items: CaptureItem[] = [];
    let at = 0;
    if (!this.#hasHeader && bytes.length >= GLOBAL_HEADER_BYTES) {
      this.#littleEndian = view.getUint32(0, true) === MAGIC_NANO;
      const linkType = view.getUint32(OFF_LINKTYPE, this.#littleEndian);
      items.push(interfaceItem(linkType, view.getUint32(OFF_SNAPLEN, this.#littleEndian)));
      this.#hasHeader = true;
      at = GLOBAL_HEADER_BYTES;
    }
    while (this.#hasHeader && at + PACKET_HEADER_BYTES <= bytes.length) {
      const captured = view.getUint32(at + 8, this.#littleEndian);
      if (captured > MAX_PACKET_BYTES) {
        this.#failure = tooLong(captured, this.#offset + at);
        break;
      }
      const end = at + PACKET_HEADER_BYTES + captured;
      if (end > bytes.length) break;
      const seconds = BigInt(view.getUint32(at, this.#littleEndian));
      const ns = seconds * 1_000_000_000n + BigInt(view.getUint32(at + 4, this.#littleEndian));
      const original = view.getUint32(at + 12, this.#littleEndian);
      items.push(packetItem(ns, bytes.subarray(at + PACKET_HEADER_BYTES, end), original));
      at = end;
    }
    this.#offset += at;
    this.#pending = bytes.slice(at);
    return items;
  }

  end(): void {
    if (this.#failure) throw this.#failure;
    if (this.#pending.length > 0 || !this.#hasHeader) throw truncated(this.#offset + this.#pending.length);
  }
}

function hasMagic(head: Uint8Array, magic: number): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  return view.getUint32(0, true) === magic || view.getUint32(0, false) === magic;
}

function interfaceItem(linkType: number, snapLen: number): CaptureItem {
  const description = { name: "pcap", linkType: linkType & LINKTYPE_MASK, snapLen };
  return { type: "interface", interfaceId: 0, interface: description };
}

function packetItem(timestampNs: bigint, data: Uint8Array, originalLength: number): CaptureItem {
  return { type: "packet", packet: { interfaceId: 0, timestampNs, data, originalLength } };
}

function tooLong(length: number, offset: number): CaptureFormatError {
  return new CaptureFormatError("CAPTURE_MALFORMED", `a packet says it is ${length} bytes long`, offset);
}

function truncated(offset: number): CaptureFormatError {
  const message = offset === 0 ? "the capture is empty" : "the capture is truncated: it ends inside a packet";
  return new CaptureFormatError("CAPTURE_TRUNCATED", message, offset);
}
