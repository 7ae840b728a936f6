import fc from "fast-check";
import t from "tap";
import { BlockType, type CaptureItem, type CapturePacket } from "./pcapng.ts";
import { PcapngReader } from "./pcapng-reader.ts";
import { PcapngWriter } from "./pcapng-writer.ts";

const NOON = 1_795_164_867_000_000_123n;

function written(fill: (writer: PcapngWriter) => void): Uint8Array {
  const chunks: Uint8Array[] = [];
  const writer = new PcapngWriter((bytes) => chunks.push(bytes.slice()), { application: "podwire test" });
  fill(writer);
  return Buffer.concat(chunks);
}

function readAll(bytes: Uint8Array, chunkBytes = bytes.length): CaptureItem[] {
  const reader = new PcapngReader();
  const items: CaptureItem[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    items.push(...reader.push(bytes.slice(at, at + chunkBytes)));
  }
  reader.end();
  return items;
}

function packets(items: CaptureItem[]): CapturePacket[] {
  return items.flatMap((item) => (item.type === "packet" ? [item.packet] : []));
}

/** A block by hand, in either byte order. */
function block(type: number, body: number[], littleEndian: boolean): number[] {
  const bytes = new Uint8Array(body.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, littleEndian);
  view.setUint32(4, bytes.length, littleEndian);
  bytes.set(body, 8);
  view.setUint32(bytes.length - 4, bytes.length, littleEndian);
  return [...bytes];
}

t.test("a section header and an interface are written byte for byte as the format says", async (t) => {
  const chunks: Uint8Array[] = [];
  const writer = new PcapngWriter((bytes) => chunks.push(bytes.slice()));
  writer.addInterface({ name: "eth0" });
  t.equal(
    Buffer.concat(chunks).toString("hex"),
    "0a0d0d0a" + "1c000000" + "4d3c2b1a" + "01000000" + "ffffffffffffffff" + "1c000000" +
      "01000000" + "28000000" + "01000000" + "00000000" + "02000400" + "65746830" +
      "09000100" + "09000000" + "00000000" + "28000000", // biome-ignore format: one block a line
  );
});

t.test("whatever is written is read back", async (t) => {
  const bytes = written((writer) => {
    writer.addInterface({
      name: "default/web-1 eth0",
      description: "pod",
      snapLen: 96,
      filter: "tcp port 80",
    });
    writer.addInterface({ name: "uplink", mac: Uint8Array.of(2, 0, 0, 0, 0, 1) });
    writer.names([{ address: Uint8Array.of(10, 244, 1, 2), names: ["web-1.default", "web"] }]);
    writer.packet({
      interfaceId: 1,
      timestampNs: NOON,
      data: Uint8Array.of(1, 2, 3, 4, 5),
      originalLength: 1500,
      comments: ["FORWARD to uplink", "DNAT 10.96.0.1:80 → 10.244.2.2:8080"],
      direction: "out",
      dropCount: 3,
      packetId: 0x1122334455667788n,
    });
    writer.statistics({
      interfaceId: 0,
      timestampNs: NOON,
      startNs: 1n,
      endNs: NOON,
      received: 7,
      dropped: 2,
    });
  });
  const items = readAll(bytes);
  t.same(
    items.map((item) => item.type),
    ["section", "interface", "interface", "names", "packet", "statistics"],
  );
  t.match(items[0], { section: { application: "podwire test" } });
  t.match(items[1], { interface: { name: "default/web-1 eth0", snapLen: 96, filter: "tcp port 80" } });
  t.match(items[3], { names: [{ names: ["web-1.default", "web"] }] });
  t.match(packets(items)[0], {
    interfaceId: 1,
    timestampNs: NOON,
    originalLength: 1500,
    comments: ["FORWARD to uplink", "DNAT 10.96.0.1:80 → 10.244.2.2:8080"],
    direction: "out",
    dropCount: 3,
    packetId: 0x1122334455667788n,
  });
  t.same([...packets(items)[0]!.data], [1, 2, 3, 4, 5]);
  t.match(items[5], { statistics: { received: 7, dropped: 2, startNs: 1n, endNs: NOON } });
});

t.test("packets survive any cut of the stream into chunks", async () => {
  const bytes = written((writer) => {
    writer.addInterface({ name: "a" });
    for (let i = 0; i < 5; i++) {
      writer.packet({
        interfaceId: 0,
        timestampNs: BigInt(i),
        data: new Uint8Array(60 + i),
        comments: [`#${i}`],
      });
    }
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: bytes.length }), (chunkBytes) => {
      return packets(readAll(bytes, chunkBytes)).length === 5;
    }),
  );
});

t.test("a file cut anywhere is an error after its whole packets", async (t) => {
  const bytes = written((writer) => {
    writer.addInterface({ name: "a" });
    writer.packet({ interfaceId: 0, timestampNs: 1n, data: new Uint8Array(60) });
    writer.packet({ interfaceId: 0, timestampNs: 2n, data: new Uint8Array(60) });
  });
  const reader = new PcapngReader();
  t.equal(packets(reader.push(bytes.subarray(0, bytes.length - 10))).length, 1);
  t.throws(() => reader.end(), { code: "CAPTURE_TRUNCATED", message: /truncated/ });
  t.throws(() => new PcapngReader().end(), { code: "CAPTURE_TRUNCATED", message: /empty/ });
});

t.test("big-endian files with odd clocks and unknown blocks are read", async (t) => {
  const be = (value: number) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
  const section = block(
    BlockType.SECTION_HEADER,
    [...be(0x1a2b3c4d), 0, 1, 0, 0, ...be(-1), ...be(-1)],
    false,
  );
  // if_tsresol 0x8a: 1/1024 of a second; if_tsoffset 1000 s
  const options = [0, 9, 0, 1, 0x8a, 0, 0, 0, 0, 14, 0, 8, ...be(0), ...be(1000), 0, 0, 0, 0];
  const description = block(BlockType.INTERFACE, [0, 1, 0, 0, ...be(0), ...options], false);
  const unknown = block(0x0bad, [1, 2, 3, 4], false);
  const body = [...be(0), ...be(0), ...be(1536), ...be(2), ...be(2), 0xab, 0xcd, 0, 0];
  const file = [...section, ...description, ...unknown, ...block(BlockType.ENHANCED_PACKET, body, false)];
  const [packet] = packets(readAll(Uint8Array.from(file)));
  t.equal(packet?.timestampNs, 1_001_500_000_000n);
  t.same([...packet!.data], [0xab, 0xcd]);
});

t.test("malformed blocks are refused by name, the packets before them are kept", async (t) => {
  const good = [...written((writer) => void writer.addInterface({ name: "a" }))];
  const cases = [
    { name: "not pcapng", bytes: [...Buffer.from("GIF89a and more")], want: /not a pcapng/ },
    {
      name: "no byte order mark",
      bytes: block(BlockType.SECTION_HEADER, Array(16).fill(0), true),
      want: /mark/,
    },
    { name: "length of 9", bytes: [...good, 6, 0, 0, 0, 9, 0, 0, 0], want: /9 bytes long/ },
    {
      name: "packet longer than its block",
      bytes: [...good, ...block(6, [...Array(12).fill(0), 99, 0, 0, 0, 99, 0, 0, 0], true)],
      want: /longer than its block/,
    },
    {
      name: "undeclared interface",
      bytes: [...good, ...block(6, [7, ...Array(19).fill(0)], true)],
      want: /never/,
    },
    { name: "option past its block", bytes: [...good, ...block(4, [1, 0, 255, 0], true)], want: /option/ },
    { name: "short packet block", bytes: [...good, ...block(6, [0, 0, 0, 0], true)], want: /too short/ },
  ];
  for (const c of cases) {
    t.throws(() => readAll(Uint8Array.from(c.bytes)), { code: "CAPTURE_MALFORMED", message: c.want }, c.name);
  }
});

t.test("arbitrary bytes end in items or a CaptureFormatError, never in another error", async () => {
  const good = written((writer) => {
    writer.addInterface({ name: "a" });
    writer.packet({
      interfaceId: 0,
      timestampNs: 1n,
      data: new Uint8Array(9),
      comments: ["x"],
      direction: "in",
    });
    writer.statistics({ interfaceId: 0, timestampNs: 1n, received: 1 });
  });
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(255), (at, value, next) => {
      const bytes = good.slice();
      bytes[at] = value;
      bytes[Math.min(at + 1, bytes.length - 1)] = next;
      try {
        readAll(bytes);
      } catch (error) {
        return (error as Error).name === "CaptureFormatError";
      }
      return true;
    }),
    { numRuns: 500 },
  );
});

t.test("a packet of an undeclared interface is refused by the writer", async (t) => {
  t.throws(
    () => written((writer) => writer.packet({ interfaceId: 0, timestampNs: 0n, data: new Uint8Array(1) })),
    RangeError,
  );
});
