import * as fc from "fast-check";
import t from "tap";
import { Protocol } from "../../base/protocols.ts";
import * as fragments from "./fragments.ts";

const { UDP } = Protocol;

const { STORED, COMPLETE, DUPLICATE, BAD_LENGTH, TOO_BIG, OVERLAP, CONFLICT, TOO_MANY } = fragments.Status;
const { MORE, DONT_FRAGMENT } = fragments.Flag;
const KEY = Int32Array.of(0, 0, 0xffff, 0x0a000001, 0, 0, 0xffff, 0x0a000002, 0, 0);
const KEY6 = Int32Array.of(0x20010db8, 0, 0, 1, 0x20010db8, 0, 0, 2, 0, 0);

const fresh = () => {
  const table = new fragments.Fragments(3);
  return { table, queue: fragments.open(table, KEY, 1, UDP, 40, 100) };
};

t.test("fragments in order complete with the last, and the slot comes back", async (t) => {
  const { table, queue } = fresh();
  t.equal(fragments.find(table, KEY, 1, UDP), queue);
  t.equal(fragments.store(table, queue, 0, 1480, MORE, 1500), STORED);
  t.equal(fragments.store(table, queue, 1480, 1480, MORE | DONT_FRAGMENT, 1400), STORED);
  t.equal(table.intervals[queue], 1, "neighbours are merged");
  t.equal(fragments.store(table, queue, 2960, 41, 0, 61), COMPLETE);
  t.equal(table.totalLen[queue], 3001);
  t.equal(table.fragmentMax[queue], 1500);
  t.equal(table.dontFragment[queue], 1);
  t.equal(fragments.close(table, queue), 40);
  t.equal(fragments.find(table, KEY, 1, UDP), -1);
  t.equal(table.counters[fragments.Counter.COMPLETED], 1);
  t.equal(table.counters[fragments.Counter.DROPPED], 0);
});

t.test("another identification, protocol or address is another datagram", async (t) => {
  const { table } = fresh();
  t.equal(fragments.find(table, KEY, 2, UDP), -1);
  t.equal(fragments.find(table, KEY, 1, 6), -1);
  t.equal(fragments.find(table, KEY6, 1, UDP), -1);
  const turned = Int32Array.of(...KEY.subarray(4, 8), ...KEY.subarray(0, 4));
  t.equal(fragments.find(table, turned, 1, UDP), -1);
});

t.test("what a second fragment may not do", async (t) => {
  // First fragment: bytes 80–160 of a datagram whose end is not known.
  const cases = [
    { name: "the same bytes again", offset: 80, len: 80, flags: MORE, want: DUPLICATE },
    { name: "part of the same bytes", offset: 88, len: 16, flags: MORE, want: DUPLICATE },
    { name: "reaches in from before", offset: 72, len: 16, flags: MORE, want: OVERLAP },
    { name: "reaches in from behind", offset: 152, len: 16, flags: MORE, want: OVERLAP },
    { name: "covers it", offset: 72, len: 96, flags: MORE, want: OVERLAP },
    { name: "same start, longer", offset: 80, len: 88, flags: MORE, want: OVERLAP },
    { name: "touches from before", offset: 72, len: 8, flags: MORE, want: STORED },
    { name: "touches from behind", offset: 160, len: 8, flags: MORE, want: STORED },
    { name: "an end before data that came", offset: 0, len: 40, flags: 0, want: CONFLICT },
    { name: "no multiple of eight, not the last", offset: 160, len: 9, flags: MORE, want: BAD_LENGTH },
    { name: "no multiple of eight, the last", offset: 160, len: 9, flags: 0, want: STORED },
    { name: "empty", offset: 160, len: 0, flags: 0, want: BAD_LENGTH },
    { name: "past 65 535", offset: 65_528, len: 8, flags: 0, want: TOO_BIG },
    { name: "up to 65 535", offset: 65_528, len: 7, flags: 0, want: STORED },
  ];
  for (const c of cases) {
    const { table, queue } = fresh();
    fragments.store(table, queue, 80, 80, MORE, 100);
    const status = fragments.store(table, queue, c.offset, c.len, c.flags, c.len + 20);
    t.equal(status, c.want, c.name);
    t.equal(fragments.isFatal(status), c.want === OVERLAP || c.want === CONFLICT, c.name);
  }
});

t.test("the end may not move once it is known, nor data lie past it", async (t) => {
  const { table, queue } = fresh();
  t.equal(fragments.store(table, queue, 80, 20, 0, 40), STORED);
  t.equal(fragments.store(table, queue, 80, 20, 0, 40), DUPLICATE);
  t.equal(fragments.store(table, queue, 160, 20, 0, 40), CONFLICT);
  t.equal(fragments.store(table, queue, 104, 8, MORE, 28), CONFLICT);
});

t.test(
  "64 separate pieces are remembered, the 65th gives the datagram up, one that joins does not",
  async (t) => {
    const { table, queue } = fresh();
    for (let i = 0; i < 64; i++) t.equal(fragments.store(table, queue, i * 16, 8, MORE, 28), STORED);
    t.equal(fragments.store(table, queue, 8, 8, MORE, 28), STORED);
    t.equal(fragments.store(table, queue, 2000, 8, MORE, 28), STORED);
    t.equal(fragments.store(table, queue, 2016, 8, MORE, 28), TOO_MANY);
  },
);

t.test("a queue lives 30 s for IPv4, 60 s for IPv6, counted from its first fragment", async (t) => {
  const table = new fragments.Fragments(3);
  const v4 = fragments.open(table, KEY, 1, UDP, 40, 100);
  const v6 = fragments.open(table, KEY6, 1, 0, 41, 100);
  fragments.store(table, v4, 0, 8, MORE, 28);
  t.ok(fragments.hasFirst(table, v4));
  t.notOk(fragments.hasFirst(table, v6));
  t.equal(fragments.expireSlice(table, 129), -1);
  t.equal(fragments.expireSlice(table, 130), v4);
  t.equal(fragments.close(table, v4), 40);
  t.equal(fragments.expireSlice(table, 159), -1);
  t.equal(fragments.expireSlice(table, 160), v6);
  fragments.close(table, v6);
  t.equal(fragments.used(table), 0);
  t.equal(table.counters[fragments.Counter.DROPPED], 2);
});

t.test("a full table refuses; closing the oldest makes room", async (t) => {
  const table = new fragments.Fragments(3);
  for (let id = 0; id < 8; id++) t.not(fragments.open(table, KEY, id, UDP, 40 + id, 100), -1);
  t.equal(fragments.open(table, KEY, 8, UDP, 48, 100), -1);
  t.equal(table.counters[fragments.Counter.FULL], 1);
  t.equal(fragments.close(table, fragments.oldest(table)), 40);
  t.not(fragments.open(table, KEY, 8, UDP, 48, 100), -1);
  t.equal(fragments.close(table, fragments.oldest(table)), 41);
});

/** A datagram of `sizes` pieces of eight bytes, the last with `tail` bytes. */
function cut(sizes: number[], tail: number): { offset: number; len: number; flags: number }[] {
  let offset = 0;
  const pieces = sizes.map((eights) => {
    const piece = { offset, len: eights * 8, flags: MORE as number };
    offset += piece.len;
    return piece;
  });
  pieces.push({ offset, len: tail, flags: 0 });
  return pieces;
}

const datagram = fc
  .tuple(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 40 }), fc.integer({ min: 1, max: 50 }))
  .map(([sizes, tail]) => cut(sizes, tail));

t.test("any order, with any repetition, completes exactly once and with the last missing piece", async () => {
  const shuffled = datagram.chain((pieces) =>
    fc.tuple(
      fc.constant(pieces),
      fc.shuffledSubarray(pieces, { minLength: pieces.length }),
      fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 10 }),
    ),
  );
  fc.assert(
    fc.property(shuffled, ([pieces, order, repeats]) => {
      const { table, queue } = fresh();
      const sent = [...order];
      for (const [which, where] of repeats) {
        sent.splice(where % (sent.length + 1), 0, pieces[which % pieces.length]);
      }
      const missing = new Set(pieces);
      for (const piece of sent) {
        const isNew = missing.delete(piece);
        const status = fragments.store(table, queue, piece.offset, piece.len, piece.flags, piece.len + 20);
        if (status !== (isNew ? (missing.size === 0 ? COMPLETE : STORED) : DUPLICATE)) return false;
        if (missing.size === 0) return table.intervals[queue] === 1;
      }
      return false;
    }),
    { numRuns: 500 },
  );
});

t.test("the table agrees with a model that remembers every byte", async () => {
  const piece = fc.record({
    offset: fc.integer({ min: 0, max: 40 }).map((eights) => eights * 8),
    len: fc.oneof(
      fc.integer({ min: 1, max: 6 }).map((eights) => eights * 8),
      fc.integer({ min: 0, max: 50 }),
    ),
    flags: fc.constantFrom(MORE, MORE, MORE, 0),
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const { table, queue } = fresh();
      const bytes = new Uint8Array(1000);
      let total = -1;
      const expected = (p: { offset: number; len: number; flags: number }) => {
        const end = p.offset + p.len;
        if (p.len === 0 || (p.flags & MORE && p.len % 8)) return BAD_LENGTH;
        if (p.flags === 0 && (total < 0 ? bytes.lastIndexOf(1) >= end : total !== end)) return CONFLICT;
        if (total >= 0 && end > total) return CONFLICT;
        const there = bytes.subarray(p.offset, end).reduce((sum, b) => sum + b, 0);
        if (there > 0) return there === p.len ? DUPLICATE : OVERLAP;
        bytes.fill(1, p.offset, end);
        if (p.flags === 0) total = end;
        return total >= 0 && bytes.subarray(0, total).every((b) => b === 1) ? COMPLETE : STORED;
      };
      for (const p of pieces) {
        const status = fragments.store(table, queue, p.offset, p.len, p.flags, p.len + 20);
        if (status !== expected(p)) return false;
        if (status === COMPLETE || fragments.isFatal(status)) return true;
      }
      return true;
    }),
    { numRuns: 1000 },
  );
});
