import t from "tap";
import { figuresOf, reportOf } from "../../testing/bench/reports.ts";
import { compareReports, formatComparison } from "./compare.ts";

const kernel = [10, 10, 10, 10, 10];

t.test(
  "runs are compared by what podwire is of the kernel, round by round, not by what the machine did",
  (t) => {
    const a = reportOf([...figuresOf("podwire", [5, 6, 5, 5, 5]), ...figuresOf("kernel", kernel)]);
    const slow = reportOf([
      ...figuresOf("podwire", [4, 4, 4.2, 4, 4]),
      ...figuresOf("kernel", [5, 5, 5, 5, 5]),
    ]);
    const [change] = compareReports(a, slow).changes;
    t.equal(change.verdict, "better", "less in figures, more of the kernel");
    t.match(change, { name: "tcp/overlay/pod/forward", ratioA: 0.5, ratioB: 0.8, change: 1.6 });
    t.equal(compareReports(slow, a).changes[0].verdict, "worse");
    t.end();
  },
);

t.test("a change is one when the middle halves of the rounds do not meet", (t) => {
  const of = (...rounds: number[]) => reportOf(figuresOf("podwire", rounds));
  const verdict = (a: number[], b: number[]) => compareReports(of(...a), of(...b)).changes[0].verdict;
  t.equal(verdict([5, 6, 7, 8, 9], [7, 8, 9, 10, 11]), "same");
  t.equal(
    verdict([5, 6, 7, 8, 9], [20, 8.5, 9, 10, 1]),
    "better",
    "one round apart from the others says nothing",
  );
  t.equal(verdict([5, 6, 7, 8, 9], [5, 5, 5, 5, 20]), "worse");
  t.equal(verdict([5, 6], [50, 60]), "too few rounds");
  t.equal(compareReports(of(5, 5, 5), of(4, 5, 6)).changes[0].ratioA, undefined, "no kernel beside it");
  t.end();
});

t.test("what only one of them has, and machines that differ, are told", (t) => {
  const a = reportOf([...figuresOf("podwire", kernel), ...figuresOf("podwire", kernel, { measure: "rr" })]);
  const b = reportOf(figuresOf("podwire", kernel), { kernel: "6.1.0" });
  const text = formatComparison(a, b, ["a.json", "b.json"]);
  t.match(text, /A: a\.json, 2026-01-02.*Linux 6\.18\.0/);
  t.match(text, /The machines differ \(kernel\)/);
  t.match(text, /tcp\/overlay\/pod\/forward +10\.00 +10\.00 +Gbit\/s +- +- +1\.00 +same/);
  t.match(text, /only in A: rr\/overlay\/pod\/forward/);
  t.notMatch(formatComparison(a, a, ["a", "b"]), /differ/);
  t.match(formatComparison(reportOf([]), a, ["a", "b"]), /Nothing was measured of podwire in both/);
  t.end();
});
