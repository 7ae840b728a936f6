import fc from "fast-check";
import t from "tap";
import { fromHex, viewOf } from "../../testing/frames/bytes.ts";
import { wordsMod } from "../../testing/frames/frame-checker.ts";
import * as checksum from "./checksum.ts";

const word16 = fc.integer({ min: 0, max: 0xffff });
const word32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const evenBytes = fc.uint8Array({ minLength: 12, maxLength: 200 }).map((b) => b.subarray(0, b.length & ~1));

/** The checksum field of this test lies at 0; a 16-bit word at 2 and a 32-bit word at 4 are what changes. */
function full(bytes: Uint8Array): number {
  const copy = bytes.slice();
  copy.set([0, 0]);
  return checksum.finish(checksum.sum(viewOf(copy), 0, copy.length, 0));
}

t.test("published examples", async (t) => {
  const rfc1071 = fromHex("0001f203f4f5f6f7");
  t.equal(checksum.sum(viewOf(rfc1071), 0, 8, 0), 0xddf2, "RFC 1071 §3");
  t.equal(checksum.finish(0xddf2), 0x220d);
  const header = fromHex("450000730000400040110000c0a80001c0a800c7");
  t.equal(checksum.finish(checksum.sum(viewOf(header), 0, 20, 0)), 0xb861, "the example of many textbooks");
  const rfc1624 = fromHex("dd2f");
  checksum.adjust16(viewOf(rfc1624), 0, 0x5555, 0x3285);
  t.same(rfc1624, fromHex("0000"), "RFC 1624 §4: eq. 3 gives 0000 where RFC 1141 gave ffff");
});

t.test("sum is the sum of big-endian words modulo 65535, at any offset, length and seed", async () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2000 }),
      fc.nat({ max: 40 }),
      fc.nat({ max: 2 ** 30 - 1 }),
      (bytes, cut, seed) => {
        const off = Math.min(cut, bytes.length);
        const got = checksum.sum(viewOf(bytes), off, bytes.length - off, seed);
        const want = (wordsMod(bytes.subarray(off)) + seed) % 65535;
        const zero = seed === 0 && bytes.subarray(off).every((byte) => byte === 0);
        return got % 65535 === want && got <= 0xffff && (got === 0) === zero;
      },
    ),
  );
});

t.test("sum does not overflow on 64 KiB of ones, nor on the largest run it promises", async (t) => {
  for (const len of [65535, 65536, 131072]) {
    const ones = new Uint8Array(len).fill(0xff);
    const want = len % 2 === 0 ? 0xffff : 0xff00;
    t.equal(checksum.sum(viewOf(ones), 0, len, 0), want, `${len} bytes`);
  }
});

t.test("sums chain through the seed when the first run is even", async () => {
  fc.assert(
    fc.property(evenBytes, fc.uint8Array({ maxLength: 99 }), (a, b) => {
      const both = new Uint8Array([...a, ...b]);
      const chained = checksum.sum(viewOf(b), 0, b.length, checksum.sum(viewOf(a), 0, a.length, 0));
      return chained === checksum.sum(viewOf(both), 0, both.length, 0);
    }),
  );
});

t.test("an incremental 16-bit update equals a full recompute, bit for bit", async () => {
  fc.assert(
    fc.property(evenBytes, word16, (bytes, now) => {
      bytes[11] = 1; // all-zero data has no unique zero
      const view = viewOf(bytes);
      view.setUint16(0, full(bytes));
      checksum.adjust16(view, 0, view.getUint16(2), now);
      view.setUint16(2, now);
      return view.getUint16(0) === full(bytes);
    }),
  );
});

t.test("an incremental 32-bit update equals a full recompute, bit for bit", async () => {
  fc.assert(
    fc.property(evenBytes, word32, (bytes, now) => {
      bytes[11] = 1;
      const view = viewOf(bytes);
      view.setUint16(0, full(bytes));
      checksum.adjust32(view, 0, view.getInt32(4), now);
      view.setInt32(4, now);
      return view.getUint16(0) === full(bytes);
    }),
  );
});

t.test("differences of several words, added up, repair as a full recompute does, bit for bit", async () => {
  fc.assert(
    fc.property(evenBytes, word32, word32, word16, (bytes, a, b, c) => {
      bytes[15] = 1;
      const view = viewOf(bytes);
      view.setUint16(0, full(bytes));
      const difference =
        checksum.difference32(view.getInt32(2), a) +
        checksum.difference32(view.getInt32(6), b) +
        checksum.difference16(view.getUint16(10), c);
      view.setInt32(2, a);
      view.setInt32(6, b);
      view.setUint16(10, c);
      checksum.adjustBy(view, 0, difference);
      return view.getUint16(0) === full(bytes);
    }),
  );
});

t.test("a difference repairs UDP and partial sums as the word by word repair does", async () => {
  fc.assert(
    fc.property(word16, word32, word32, (start, old, now) => {
      const view = new DataView(new ArrayBuffer(8));
      for (const at of [0, 2, 4, 6]) view.setUint16(at, start);
      checksum.adjustUdp32(view, 0, old, now);
      checksum.adjustUdpBy(view, 2, checksum.difference32(old, now));
      checksum.adjustPartial32(view, 4, old, now);
      checksum.adjustPartialBy(view, 6, checksum.difference32(old, now));
      return view.getUint16(0) === view.getUint16(2) && view.getUint16(4) === view.getUint16(6);
    }),
  );
});

t.test("UDP: 0 stays 0, and a checksum that was there never becomes 0", async () => {
  fc.assert(
    fc.property(word16, word32, word32, (start, old, now) => {
      const a = new DataView(new ArrayBuffer(4));
      a.setUint16(0, start);
      a.setUint16(2, start);
      checksum.adjustUdp32(a, 0, old, now);
      checksum.adjustUdp16(a, 2, old & 0xffff, now & 0xffff);
      return (a.getUint16(0) === 0) === (start === 0) && (a.getUint16(2) === 0) === (start === 0);
    }),
  );
});

t.test("UDP: a result of 0 is written as 0xffff", async (t) => {
  const view = viewOf(fromHex("dd2f dd2f"));
  checksum.adjustUdp16(view, 0, 0x5555, 0x3285);
  checksum.adjustUdp32(view, 2, 0x5555, 0x3285);
  t.equal(view.getInt32(0), -1);
});

t.test("a partial checksum, adjusted and then completed, equals a full computation", async () => {
  fc.assert(
    fc.property(
      word32,
      word32,
      word32,
      word16,
      fc.uint8Array({ minLength: 18, maxLength: 300 }),
      (src, dst, nat, length, l4) => {
        const view = viewOf(l4);
        const proto = 6;
        view.setUint16(16, checksum.fold(checksum.pseudoSumV4(src, dst, proto, length)));
        checksum.adjustPartial32(view, 16, dst, nat);
        checksum.adjustPartial16(view, 16, length, l4.length);
        checksum.completePartial(view, 0, 16, l4.length);
        const found = view.getUint16(16);
        view.setUint16(16, 0);
        const pseudo = checksum.pseudoSumV4(src, nat, proto, l4.length);
        const want = checksum.finish(checksum.sum(view, 0, l4.length, pseudo));
        return found === want;
      },
    ),
  );
});

t.test("a completed checksum of 0 is written as 0xffff in UDP alone", async (t) => {
  const completed = (field: number): number => {
    const view = viewOf(new Uint8Array(20));
    view.setUint16(0, 0x1234);
    view.setUint16(field, 0xedcb); // together 0xffff
    checksum.completePartial(view, 0, field, 20);
    return view.getUint16(field);
  };
  t.equal(completed(6), 0xffff);
  t.equal(completed(16), 0);
});

t.test("an adjusted partial sum is the pseudo-header sum itself", async () => {
  fc.assert(
    fc.property(word32, word32, word32, (src, dst, now) => {
      const view = new DataView(new ArrayBuffer(2));
      view.setUint16(0, checksum.fold(checksum.pseudoSumV4(src, dst, 17, 99)));
      checksum.adjustPartial32(view, 0, src, now);
      return view.getUint16(0) === checksum.fold(checksum.pseudoSumV4(now, dst, 17, 99));
    }),
  );
});

t.test("the three forms of a pseudo-header agree", async (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 40, maxLength: 40 }),
      fc.nat({ max: 255 }),
      fc.nat({ max: 70_000 }),
      (header, proto, len) => {
        const view = viewOf(header);
        const w = Array.from({ length: 8 }, (_, i) => view.getInt32(8 + 4 * i));
        const words = checksum.pseudoSumV6Words(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], proto, len);
        return checksum.fold(words) === checksum.fold(checksum.pseudoSumV6(view, 0, proto, len));
      },
    ),
  );
  const v4 = fromHex("0a000001 0a000002 0011 0020");
  t.equal(
    checksum.fold(checksum.pseudoSumV4(0x0a000001, 0x0a000002, 0x11, 0x20)),
    checksum.sum(viewOf(v4), 0, 12, 0),
  );
});
