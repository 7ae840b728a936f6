import * as fc from "fast-check";
import t from "tap";
import * as tokenBucket from "./token-bucket.ts";

const take = (table: tokenBucket.TokenBucket, addr: number, nowMs: number) =>
  tokenBucket.allow(table, 0, 0, 0xffff, addr, nowMs);

t.test("a destination gets six at once, then one a second", async (t) => {
  const table = new tokenBucket.TokenBucket(8);
  const granted = (nowMs: number) => {
    let count = 0;
    while (take(table, 1, nowMs)) count++;
    return count;
  };
  t.equal(granted(0), 6);
  t.equal(granted(999), 0);
  t.equal(granted(1000), 1);
  t.equal(granted(3500), 2);
  t.equal(granted(4000), 1);
  t.equal(granted(60_000), 6, "never more than the burst");
  t.equal(table.counters[tokenBucket.Counter.ALLOWED], 16);
});

t.test("all destinations together get fifty at once, then one a millisecond", async (t) => {
  const table = new tokenBucket.TokenBucket(12);
  let addr = 0;
  let granted = 0;
  for (let i = 0; i < 200; i++) if (take(table, addr++, 0)) granted++;
  t.equal(granted, 50);
  t.equal(table.counters[tokenBucket.Counter.GLOBAL_LIMITED], 150);
  granted = 0;
  for (let i = 0; i < 200; i++) if (take(table, addr++, 10)) granted++;
  t.equal(granted, 10);
});

t.test("the wrap of the millisecond clock neither blocks nor opens the gate", async (t) => {
  const table = new tokenBucket.TokenBucket(8);
  const start = 2 ** 31 - 500;
  for (let i = 0; i < 6; i++) t.ok(take(table, 1, start));
  t.notOk(take(table, 1, (start + 900) | 0));
  t.ok(take(table, 1, (start + 1000) | 0));
  t.notOk(take(table, 1, (start + 1000) | 0));
});

t.test("in no stretch of time does a destination get more than burst plus rate", async () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 100 }), (gaps) => {
      const table = new tokenBucket.TokenBucket(3);
      const grantedAt: number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        if (take(table, 1, now)) grantedAt.push(now);
      }
      return grantedAt.every((from, i) =>
        grantedAt.slice(i).every((to, n) => n + 1 <= 6 + Math.floor((to - from) / 1000)),
      );
    }),
  );
});
