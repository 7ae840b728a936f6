import * as fc from "fast-check";
import t from "tap";
import { createPrefixSet } from "../change/prefix-set.ts";
import * as prefixSet from "./prefix-set.ts";
import * as words128 from "./words128.ts";

const v4 = (addr: number, len: number) => ({ w0: 0, w1: 0, w2: 0xffff, w3: addr, bits: 96 + len });

t.test("an address is inside when one of the prefixes covers it", async (t) => {
  const set = createPrefixSet([
    v4(0x0af40000, 16),
    v4(0x0af40100, 24),
    { w0: 0xfd00 << 16, w1: 0, w2: 0, w3: 0, bits: 8 },
  ]);
  t.ok(prefixSet.contains(set, 0, 0, 0xffff, 0x0af40105));
  t.ok(prefixSet.contains(set, 0, 0, 0xffff, 0x0af4ffff));
  t.notOk(prefixSet.contains(set, 0, 0, 0xffff, 0x0af50000));
  t.ok(prefixSet.contains(set, 0xfdff << 16, 1, 2, 3));
  t.notOk(prefixSet.contains(set, 0, 0, 0, 0x0af40105), "an IPv6 address with the same last word");
});

t.test("an empty set holds nothing, the set of everything holds all", async (t) => {
  const empty = createPrefixSet([]);
  t.ok(empty.isEmpty);
  t.notOk(prefixSet.contains(empty, 0, 0, 0, 0));
  const all = createPrefixSet([{ w0: 0, w1: 0, w2: 0, w3: 0, bits: 0 }]);
  t.notOk(all.isEmpty);
  t.ok(prefixSet.contains(all, -1, -1, -1, -1));
  t.ok(prefixSet.contains(all, 0, 0, 0, 0));
});

const word = fc.oneof(
  fc.constantFrom(0, -1, 1, 1 << 31, 0xffff),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
);
const prefix = fc.record({ w0: word, w1: word, w2: word, w3: word, bits: fc.integer({ min: 0, max: 128 }) });

t.test("the set agrees with testing every prefix, at random addresses and at the edges", async () => {
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 20 }), fc.array(prefix), (prefixes, probes) => {
      const set = createPrefixSet(prefixes, (bytes) => new SharedArrayBuffer(bytes));
      const edges = prefixes.flatMap((p) => {
        const first = [p.w0, p.w1, p.w2, p.w3].map((w, k) => w & words128.maskWord(p.bits, k));
        const last = first.map((w, k) => w | ~words128.maskWord(p.bits, k));
        const after = Int32Array.from(last);
        words128.increment(after, 0);
        return [first, last, [...after]];
      });
      return [...edges, ...probes.map((p) => [p.w0, p.w1, p.w2, p.w3])].every((a) => {
        const inside = prefixes.some((p) =>
          [p.w0, p.w1, p.w2, p.w3].every((w, k) => ((w ^ a[k]) & words128.maskWord(p.bits, k)) === 0),
        );
        return prefixSet.contains(set, a[0], a[1], a[2], a[3]) === inside;
      });
    }),
    { numRuns: 300 },
  );
});
