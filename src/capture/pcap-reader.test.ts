import { Readable } from "node:stream";
import t from "tap";
import { readCapture } from "./capture-file.ts";
import { createPcapReader } from "./pcap-reader.ts";
import type { CaptureItem } from "./pcapng.ts";

const MICRO = 0xa1b2c3d4;
const NANO = 0xa1b23c4d;

function pcap(magic: number, littleEndian: boolean, frames: { sec: number; sub: number; data: number[] }[]) {
  const bytes: number[] = [];
  const u32 = (value: number) => {
    const word = new DataView(new ArrayBuffer(4));
    word.setUint32(0, value, littleEndian);
    bytes.push(...new Uint8Array(word.buffer));
  };
  u32(magic);
  bytes.push(...(littleEndian ? [2, 0, 4, 0] : [0, 2, 0, 4]));
  for (const value of [0, 0, 65535, 1]) u32(value);
  for (const frame of frames) {
    for (const value of [frame.sec, frame.sub, frame.data.length, frame.data.length + 5]) u32(value);
    bytes.push(...frame.data);
  }
  return Uint8Array.from(bytes);
}

const FRAMES = [
  { sec: 1_700_000_000, sub: 999_999, data: [1, 2, 3] },
  { sec: 1_700_000_001, sub: 1, data: [] },
  { sec: 4_000_000_000, sub: 5, data: [9, 9, 9, 9, 9] },
];

for (const magic of [MICRO, NANO]) {
  for (const littleEndian of [true, false]) {
    const clock = magic === NANO ? "nanosecond" : "microsecond";
    const name = `${clock} pcap, ${littleEndian ? "little" : "big"}-endian`;
    t.test(`${name}, is read whole and in single bytes`, async (t) => {
      const bytes = pcap(magic, littleEndian, FRAMES);
      for (const chunkBytes of [bytes.length, 1]) {
        const reader = createPcapReader(bytes);
        const items: CaptureItem[] = [];
        for (let at = 0; at < bytes.length; at += chunkBytes) {
          items.push(...reader.push(bytes.slice(at, at + chunkBytes)));
        }
        reader.end();
        t.match(items[0], { type: "interface", interface: { linkType: 1, snapLen: 65535 } });
        const packets = items.flatMap((item) => (item.type === "packet" ? [item.packet] : []));
        const unit = magic === NANO ? 1n : 1000n;
        t.same(
          packets.map((packet) => packet.timestampNs),
          FRAMES.map((frame) => BigInt(frame.sec) * 1_000_000_000n + BigInt(frame.sub) * unit),
        );
        t.same(
          packets.map((packet) => [...packet.data]),
          FRAMES.map((frame) => frame.data),
        );
        t.equal(packets[0]?.originalLength, 8);
      }
    });

    t.test(`${name}: a file cut inside a packet is an error, inside none is not`, async (t) => {
      const bytes = pcap(magic, littleEndian, FRAMES);
      const boundaries = [24, 24 + 19, 24 + 19 + 16, bytes.length];
      for (let cut = 1; cut <= bytes.length; cut++) {
        const reader = createPcapReader(bytes);
        reader.push(bytes.slice(0, cut));
        if (boundaries.includes(cut)) t.doesNotThrow(() => reader.end(), `${cut} bytes`);
        else t.throws(() => reader.end(), { code: "CAPTURE_TRUNCATED" }, `${cut} bytes`);
      }
    });

    t.test(`${name}: a packet length of 2 GB is refused at once`, async (t) => {
      const bytes = pcap(magic, littleEndian, [{ sec: 1, sub: 1, data: [1] }]);
      new DataView(bytes.buffer).setUint32(24 + 8, 0x7fffffff, littleEndian);
      const reader = createPcapReader(bytes);
      reader.push(bytes);
      t.throws(() => reader.push(Uint8Array.of(0)), { code: "CAPTURE_MALFORMED", message: /2147483647/ });
    });
  }
}

t.test("a capture is told by its first bytes, however thinly they come", async (t) => {
  const bytes = pcap(MICRO, true, FRAMES);
  const items: CaptureItem[] = [];
  for await (const item of readCapture(Readable.from([...bytes].map((byte) => Buffer.of(byte)))))
    items.push(item);
  t.equal(items.length, 4);
});

t.test("what is no capture is refused by name", async (t) => {
  const drain = async (text: string) => {
    for await (const _ of readCapture(Readable.from([Buffer.from(text)]))) {
      // only the end is of interest
    }
  };
  await t.rejects(drain("this is no capture"), { code: "CAPTURE_UNSUPPORTED" });
  await t.rejects(drain(""), { code: "CAPTURE_TRUNCATED" });
  await t.rejects(drain("abc"), { code: "CAPTURE_TRUNCATED" });
});

t.test("an unknown pcap version is refused", async (t) => {
  const bytes = pcap(MICRO, true, []);
  bytes[4] = 9;
  bytes[6] = 9;
  const reader = createPcapReader(bytes);
  reader.push(bytes);
  t.throws(() => reader.end(), { code: "CAPTURE_MALFORMED", message: /version/ });
});
