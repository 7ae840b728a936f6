import t from "tap";
import { dueMs, type Pace } from "./change-times.ts";

t.test("changes come at their rate, and for a while in the middle at another", (t) => {
  t.same(
    [0, 1, 500].map((change) => dueMs(change, { minutes: 1, rate: 100 })),
    [0, 10, 5000],
  );
  const hour: Pace = { minutes: 60, rate: 50, burst: { rate: 1000, minutes: 1 } };
  const calm = 29.5 * 60 * 50;
  const until = calm + 60_000;
  t.equal(dueMs(calm, hour), 29.5 * 60_000);
  t.equal(dueMs(calm + 1000, hour), 29.5 * 60_000 + 1000);
  t.equal(dueMs(until, hour), 30.5 * 60_000);
  t.equal(dueMs(until + 50, hour), 30.5 * 60_000 + 1000);
  t.equal(dueMs(until + calm, hour), 60 * 60_000);
  for (let i = 1; i < until + calm; i += 997) t.ok(dueMs(i, hour) > dueMs(i - 1, hour));
  t.end();
});
