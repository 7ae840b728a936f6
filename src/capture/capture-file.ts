/** Reads a capture of either format, told apart by its first bytes, packed or not. */
import { createPcapReader, isPcap } from "./pcap-reader.ts";
import { CaptureFormatError, type CaptureItem, type CaptureReader } from "./pcapng.ts";
import { PcapngReader } from "./pcapng-reader.ts";

const MAGIC_BYTES = 4;
/** What captures are packed with, by their first bytes. */
const PACKED = [
  { magic: [0x1f, 0x8b], unpack: "gzip -dc" },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: "zstd -dc" },
  { magic: [0xfd, 0x37, 0x7a, 0x58], unpack: "xz -dc" },
];

/** Items in the order of the stream; throws CaptureFormatError after the last one that could be read. */
export async function* readCapture(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<CaptureItem> {
  let reader: CaptureReader | undefined;
  let head: Uint8Array = new Uint8Array(0);
  for await (const chunk of chunks) {
    if (reader) {
      yield* reader.push(chunk);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < MAGIC_BYTES) continue;
    reader = readerFor(head);
    yield* reader.push(head);
  }
  if (!reader) {
    const message = head.length === 0 ? "the capture is empty" : "the capture is truncated";
    throw new CaptureFormatError("CAPTURE_TRUNCATED", message, head.length);
  }
  reader.end();
}

function readerFor(head: Uint8Array): CaptureReader {
  if (isPcap(head)) return createPcapReader(head);
  if (new DataView(head.buffer, head.byteOffset).getUint32(0) === 0x0a0d0d0a) return new PcapngReader();
  const packed = PACKED.find(({ magic }) => magic.every((byte, i) => head[i] === byte));
  const what = "neither a pcap nor a pcapng file";
  const hint = packed === undefined ? "" : `, but packed: unpack it first (${packed.unpack})`;
  throw new CaptureFormatError("CAPTURE_UNSUPPORTED", `${what}${hint}`, 0);
}
