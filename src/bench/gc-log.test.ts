import t from "tap";
import { percentile, readGcLog } from "./gc-log.ts";

t.test("collections are told apart by isolate, with the longest pause of each", (t) => {
  const log = [
    "agent: ready",
    "[7:0x33de1500]  27 ms: Scavenge 4.4 (4.5) -> 3.9 (5.5) MB, 2.53 / 0.00 ms ",
    "[7:0x7f10ac00]  28 ms: Scavenge 4.6 (5.7) -> 4.3 (6.2) MB, pooled: 0 MB, 0.50 / 0.00 ms ",
    "[7:0x33de1500] 930 ms: Mark-Compact 9.1 (9.9) -> 4.1 (8.2) MB, 11.05 / 0.01 ms ",
  ].join("\n");
  t.same(readGcLog(log), [
    { isolate: "0x33de1500", count: 2, maxPauseMs: 11.05 },
    { isolate: "0x7f10ac00", count: 1, maxPauseMs: 0.5 },
  ]);
  t.end();
});

t.test("the 99th percentile of a hundred values is the greatest but one", (t) => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  t.equal(percentile(values, 0.98), 99);
  t.equal(percentile(values, 0.5), 51);
  t.end();
});
