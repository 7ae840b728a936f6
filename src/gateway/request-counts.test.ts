import fc from "fast-check";
import t from "tap";
import { RequestCounts } from "./request-counts.ts";

const BOUNDS = Array.from({ length: 16 }, (_, i) => 0.000_5 * 2 ** i);

t.test("whatever is counted, a plain map of objects counts the same", async () => {
  const word = fc.constantFrom("", "a", "b", "c");
  const status = fc.constantFrom(0, 101, 200, 404, 499, 503, 999);
  const request = fc.record({
    ...{ rule: word, backend: word, status },
    ...{ seconds: fc.double({ min: 0, max: 40, noNaN: true }), bytesIn: fc.nat(), bytesOut: fc.nat() },
  });
  const all = fc.array(request, { maxLength: 200 });
  fc.assert(
    fc.property(all, fc.integer({ min: 1, max: 20 }), (requests, max) => {
      const counts = new RequestCounts(max);
      const model = new Map<string, ReturnType<typeof empty>>();
      for (const { rule, backend, status, seconds, bytesIn, bytesOut } of requests) {
        counts.add(rule, backend, status, seconds, bytesIn, bytesOut);
        const isNew = !model.has(`${rule} ${backend}`);
        const isTooMany = isNew && model.size >= max && rule !== "";
        const key = isTooMany ? " " : `${rule} ${backend}`;
        const series = model.get(key) ?? empty();
        model.set(key, series);
        series.bytes[0] += bytesIn;
        series.bytes[1] += bytesOut;
        series.sum += seconds;
        series.statuses[status] = (series.statuses[status] ?? 0) + 1;
        const bucket = BOUNDS.findIndex((bound) => seconds <= bound);
        series.buckets[bucket < 0 ? BOUNDS.length : bucket]++;
      }
      const told = counts.all().map(({ rule, backend, bytesIn, bytesOut, byStatus, seconds }) => [
        `${rule} ${backend}`,
        {
          ...{ bytes: [bytesIn, bytesOut], sum: seconds.sum, statuses: Object.fromEntries(byStatus) },
          buckets: [...seconds.counts],
        },
      ]);
      t.same(Object.fromEntries(told), Object.fromEntries(model));
    }),
  );
});

function empty() {
  return {
    bytes: [0, 0],
    sum: 0,
    statuses: {} as Record<number, number>,
    buckets: Array.from({ length: BOUNDS.length + 1 }, () => 0),
  };
}

t.test("thousands of rules have their own counts", async (t) => {
  const counts = new RequestCounts();
  for (let times = 1; times <= 2; times++)
    for (let i = 0; i < 5000; i++) counts.add(`rule ${i}`, "shop/web:80", 200, 0.001, 0, i);
  const all = counts.all();
  t.equal(all.length, 5000);
  t.ok(all.every(({ rule, bytesOut }, i) => rule === `rule ${i}` && bytesOut === 2 * i));
});
