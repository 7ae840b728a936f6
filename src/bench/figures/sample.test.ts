import t from "tap";
import { brokenFloors, median, ratioOf, type Sample, toRows, turned } from "./sample.ts";
import { formatTable } from "./table.ts";

const sample = (over: Partial<Sample>): Sample => ({
  measure: "tcp",
  path: "same-node",
  target: "pod",
  variant: "forward",
  subject: "podwire",
  value: 1,
  unit: "Gbit/s",
  rounds: [over.value ?? 1],
  ...over,
});

t.test("the median of an even number of rounds lies between the middle two", (t) => {
  t.equal(median([4, 1, 3, 2]), 2.5);
  t.equal(median([9, 1, 5]), 5);
  t.end();
});

t.test("of several rounds, those beside each other are compared", (t) => {
  // The machine slows down to a third; podwire is a tenth faster all the time.
  const slowing = [9, 6, 4, 3];
  const kernel = sample({ subject: "kernel", value: 5, rounds: slowing });
  const podwire = sample({ value: 5, rounds: slowing.map((value) => 1.1 * value) });
  t.ok(Math.abs((ratioOf(podwire, kernel) ?? 0) - 1.1) < 1e-9);
  t.equal(ratioOf(sample({ value: 6, rounds: [6] }), kernel), 1.2, "rounds that do not match: the values");
  t.equal(
    ratioOf(podwire, sample({ value: 5, rounds: [0, 6, 4, 3] })),
    1,
    "nor those of which one is nothing",
  );
  t.equal(ratioOf(podwire, sample({ value: 0, rounds: [0] })), undefined);
  t.equal(ratioOf(podwire, undefined), undefined);
  t.same(
    [0, 1, 2, 3].map((round) => turned(["a", "b", "c"], round).join("")),
    ["abc", "bca", "cab", "abc"],
  );
  t.same(turned([], 3), []);
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
  t.equal(rows[0].ratioTo.kernel, 0.75);
  t.equal(rows[0].ratioTo["c-loop"], 0.5);
  t.equal(rows[1].ratioTo.kernel, undefined);
  t.match(formatTable(rows), /tcp +same-node +pod +forward +15\.00 +20\.00 +30\.00 +Gbit\/s +0\.75 +0\.50/);
  t.end();
});

t.test("another checkout stands beside this one, in columns of its own", (t) => {
  const rows = toRows([sample({ value: 15 }), sample({ subject: "before", value: 20 })]);
  t.equal(rows[0].ratioTo.before, 0.75);
  t.match(formatTable(rows), /PODWIRE +BEFORE +UNIT +\/BEFORE[\s\S]* 20\.00 +Gbit\/s +0\.75/);
  t.notMatch(formatTable(toRows([sample({ value: 15 })])), /BEFORE/);
  t.end();
});

t.test("a ratio below its floor, a stall and retransmits are each named", (t) => {
  const kernel = sample({ subject: "kernel", value: 20 });
  t.match(brokenFloors(toRows([sample({ value: 15 }), kernel])), [/0\.75 of kernel/]);
  t.same(brokenFloors(toRows([sample({ value: 17 }), kernel])), []);
  t.match(brokenFloors(toRows([sample({ value: 17, stalls: 2 }), kernel])), [/2 intervals/]);
  t.match(brokenFloors(toRows([sample({ value: 17, retransmitPercent: 0.2 }), kernel])), [/0\.200 %/]);
  t.same(brokenFloors(toRows([sample({ value: 5, variant: "cold" }), { ...kernel, variant: "cold" }])), []);
  const far = { path: "overlay" as const };
  t.same(brokenFloors(toRows([sample({ ...far, value: 11 }), { ...kernel, ...far }])), []);
  const pps = { measure: "pps" as const, unit: "kpps" as const };
  t.match(
    brokenFloors(toRows([sample({ ...pps, value: 6 }), sample({ ...pps, subject: "c-loop", value: 10 })])),
    [/0\.60 of the C copy loop/],
  );
  t.end();
});
