import fc from "fast-check";
import t from "tap";
import type { L4Port } from "../../base/ids.ts";
import { dirty, fromHex, toHex, viewOf } from "../../testing/frames/bytes.ts";
import * as sctp from "./sctp.ts";

t.test("header and chunk write sixteen bytes and not one more, and read back", async (t) => {
  const bytes = dirty(18);
  const view = viewOf(bytes);
  sctp.emit(view, 1, 41000 as L4Port, 9999 as L4Port, -2);
  sctp.emitChunk(view, 13, sctp.CHUNK_COOKIE_ACK, 0, 4);
  t.equal(toHex(bytes), "a5a028270ffffffffe000000000b000004a5");
  sctp.computeChecksum(view, 1, 17);
  t.ok(sctp.checksumOk(view, 1, 17));
  t.equal(sctp.srcPort(view, 1), 41000);
  t.equal(sctp.dstPort(view, 1), 9999);
  t.equal(sctp.vtag(view, 1), -2);
  t.equal(sctp.checksum(view, 1), view.getInt32(9, true));
  sctp.setSrcPort(view, 1, 1 as L4Port);
  sctp.setDstPort(view, 1, 2 as L4Port);
  sctp.setVtag(view, 1, 3);
  t.equal(toHex(bytes.subarray(0, 9)), "a50001000200000003");
  t.notOk(sctp.checksumOk(view, 1, 17), "a port is under the CRC");
});

t.test("an INIT chunk carries the tag of its sender", async (t) => {
  const init = "01000014 43232544 0000ffff 000a0800 5cfe379f";
  const bytes = fromHex(`80440050 00000000 00000000 ${init}`);
  t.equal(sctp.initTag(viewOf(bytes), sctp.firstChunk(viewOf(bytes), 0, bytes.length)), 0x43232544);
});

const chains = [
  { name: "one chunk", hex: "0b000004", types: [11], want: true },
  {
    name: "padding between chunks",
    hex: "0000 0011 00000001 00000000 00000000 aa 000000 0b000004",
    types: [0, 11],
    want: true,
  },
  { name: "last padding missing", hex: "0000 0005 aa", types: [0], want: true },
  { name: "no chunk", hex: "", types: [], want: true },
  { name: "length 3", hex: "0b000003", types: [], want: false },
  { name: "length past the packet", hex: "0b000004 0b000005", types: [11], want: false },
  { name: "half a header", hex: "0b000004 0b00", types: [11], want: false },
];
for (const c of chains) {
  t.test(`chunks: ${c.name}`, async (t) => {
    const bytes = fromHex(`0001 0002 00000000 00000000 ${c.hex}`);
    const view = viewOf(bytes);
    const types = [];
    for (
      let at = sctp.firstChunk(view, 0, bytes.length);
      at >= 0;
      at = sctp.nextChunk(view, at, bytes.length)
    ) {
      types.push(sctp.chunkType(view, at));
    }
    t.same(types, c.types);
    t.equal(sctp.chunksWellFormed(view, 0, bytes.length), c.want);
  });
}

t.test("the chunk walk ends on any bytes, and a computed checksum holds until a bit flips", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 12, maxLength: 120 }), fc.nat(), (bytes, bit) => {
      const view = viewOf(bytes);
      const end = bytes.length;
      for (let at = sctp.firstChunk(view, 0, end); at >= 0; at = sctp.nextChunk(view, at, end)) {
        sctp.chunkFlags(view, at);
      }
      sctp.computeChecksum(view, 0, end);
      const sound = sctp.checksumOk(view, 0, end);
      bytes[(bit >> 3) % end] ^= 1 << (bit & 7);
      return sctp.isWellFormed(view, 0, end) && sound && !sctp.checksumOk(view, 0, end);
    }),
  );
});

t.test("ports written with the CRC repaired are as ports written with the CRC made anew", async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 12, maxLength: 200 }),
      fc.integer(),
      fc.integer(),
      (bytes, ports, damage) => {
        const view = viewOf(bytes);
        const end = bytes.length;
        sctp.computeChecksum(view, 0, end);
        const wrong = sctp.checksum(view, 0) ^ damage;
        view.setInt32(8, wrong, true);
        sctp.setPortsAndChecksum(view, 0, ports, end);
        const repaired = sctp.checksum(view, 0) ^ damage;
        sctp.computeChecksum(view, 0, end);
        return view.getInt32(0) === ports && repaired === sctp.checksum(view, 0);
      },
    ),
  );
});
