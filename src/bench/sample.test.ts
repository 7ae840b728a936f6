import t from "tap";
import { brokenFloors, formatTable, median, type Sample, toRows } from "./sample.ts";

const sample = (over: Partial<Sample>): Sample => ({
  measure: "tcp",
  path: "same-node",
  target: "pod",
  variant: "forward",
  subject: "podwire",
  value: 1,
  unit: "Gbit/s",
  rounds: [1],
  ...over,
});

t.test("the median of an even number of rounds lies between the middle two", (t) => {
  t.equal(median([4, 1, 3, 2]), 2.5);
  t.equal(median([9, 1, 5]), 5);
  t.end();
});

t.test("figures of one thing by different subjects share a row, with ratios", (t) => {
  const rows = toRows([
    sample({ value: 15 }),
    sample({ subject: "kernel", value: 20 }),
    sample({ subject: "c-loop", value: 30 }),
    sample({ variant: "reverse", value: 7 }),
  ]);
  t.equal(rows.length, 2);
  t.equal(rows[0].ratioToKernel, 0.75);
  t.equal(rows[0].ratioToCopyLoop, 0.5);
  t.equal(rows[1].ratioToKernel, undefined);
  t.match(formatTable(rows), /tcp +same-node +pod +forward +15\.00 +20\.00 +30\.00 +Gbit\/s +0\.75 +0\.50/);
  t.end();
});

t.test("another checkout stands beside this one, in columns of its own", (t) => {
  const rows = toRows([sample({ value: 15 }), sample({ subject: "before", value: 20 })]);
  t.equal(rows[0].ratioToBefore, 0.75);
  t.match(formatTable(rows), /C-LOOP +UNIT .*BEFORE +\/BEFORE[\s\S]* 20\.00 +0\.75/);
  t.notMatch(formatTable(toRows([sample({ value: 15 })])), /BEFORE/);
  t.end();
});

t.test("a ratio below its floor, a stall and retransmits are each named", (t) => {
  const kernel = sample({ subject: "kernel", value: 20 });
  t.match(brokenFloors(toRows([sample({ value: 15 }), kernel])), [/0\.75 of kernel/]);
  t.same(brokenFloors(toRows([sample({ value: 17 }), kernel])), []);
  t.match(brokenFloors(toRows([sample({ value: 17, stalls: 2 }), kernel])), [/2 intervals/]);
  t.match(brokenFloors(toRows([sample({ value: 17, retransmitPercent: 0.2 }), kernel])), [/0\.200 %/]);
  const far = { path: "overlay" as const };
  t.same(brokenFloors(toRows([sample({ ...far, value: 11 }), { ...kernel, ...far }])), []);
  const pps = { measure: "pps" as const, unit: "kpps" as const };
  t.match(
    brokenFloors(toRows([sample({ ...pps, value: 6 }), sample({ ...pps, subject: "c-loop", value: 10 })])),
    [/0\.60 of the C copy loop/],
  );
  t.end();
});
