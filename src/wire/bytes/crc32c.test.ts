import fc from "fast-check";
import t from "tap";
import { viewOf } from "../../testing/frames/bytes.ts";
import * as crc32c from "./crc32c.ts";

const crc = (bytes: Uint8Array): number => ~crc32c.update(viewOf(bytes), 0, bytes.length, -1);

/** By the definition: one bit a step. */
function slowly(bytes: Uint8Array): number {
  let r = -1;
  for (const byte of bytes) {
    r ^= byte;
    for (let bit = 0; bit < 8; bit++) r = (r >>> 1) ^ ((r & 1) === 0 ? 0 : 0x82f63b78);
  }
  return ~r;
}

t.test("CRC32c gives the published values", async (t) => {
  t.equal(crc(new TextEncoder().encode("123456789")), 0xe3069283 | 0);
  t.equal(crc(new Uint8Array(32)), 0x8a9136aa | 0, "RFC 3720 B.4: 32 zeroes");
  t.equal(crc(new Uint8Array(32).fill(0xff)), 0x62a8ab43, "32 ones");
  t.equal(crc(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e, "counting up");
});

t.test("eight bytes a step give what one bit a step gives", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat({ max: 8 }), (bytes, from) => {
      const part = bytes.subarray(Math.min(from, bytes.length));
      return crc(part) === slowly(part);
    }),
  );
});

t.test("a run of zeroes is passed at once", async () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat({ max: 3000 }), (register, count) => {
      const zeroes = viewOf(new Uint8Array(count));
      return crc32c.overZeroes(register, count) === crc32c.update(zeroes, 0, count, register);
    }),
  );
  const long = viewOf(new Uint8Array(65_535));
  fc.assert(
    fc.property(
      fc.integer(),
      (register) => crc32c.overZeroes(register, 65_535) === crc32c.update(long, 0, 65_535, register),
    ),
    { numRuns: 20 },
  );
});

t.test("a word that changes changes the CRC by its difference", async () => {
  const message = fc.uint8Array({ minLength: 4, maxLength: 300 });
  fc.assert(
    fc.property(message, fc.nat(), fc.integer(), (bytes, place, word) => {
      const at = place % (bytes.length - 3);
      const view = viewOf(bytes);
      const before = crc(bytes);
      const old = view.getInt32(at);
      view.setInt32(at, word);
      return (before ^ crc32c.difference32(old, word, bytes.length - at - 4)) === crc(bytes);
    }),
  );
});
