import { join } from "node:path";
import t from "tap";
import { figuresOf, reportOf } from "../../testing/bench/reports.ts";
import { mergeReports, parseReport, readReport } from "./report.ts";

t.test("a report that was written is read again", (t) => {
  const report = reportOf(figuresOf("podwire", [1, 2, 3]));
  t.same(parseReport(JSON.stringify(report), "a.json"), report);
  t.end();
});

t.test("what is no report is told with the file's name and what to do", async (t) => {
  const wrong = (text: string) => {
    try {
      parseReport(text, "a.json");
      return "taken";
    } catch (error) {
      return (error as Error).message;
    }
  };
  t.match(wrong("{"), /^a\.json: no JSON: give a file that scripts\/bench --json wrote$/);
  for (const text of ["null", "3", "[]", '{"samples":1}']) t.match(wrong(text), /^a\.json: no report/, text);
  t.match(wrong('{"samples":[]}'), /a report of version 1, and this is 2: measure again/);
  const whole = reportOf(figuresOf("podwire", [1]));
  t.match(wrong(JSON.stringify({ ...whole, machine: undefined })), /not whole/);
  t.match(wrong(JSON.stringify({ ...whole, samples: [{ ...whole.samples[0], rounds: 1 }] })), /not whole/);
  t.match(wrong(JSON.stringify({ ...whole, samples: [null] })), /not whole/);
  await t.rejects(readReport(join(t.testdir({}), "none.json")), {
    message: /none\.json: ENOENT: no such report/,
  });
});

t.test("of what two runs measured the later one counts, for all subjects of a case", (t) => {
  const rr = { measure: "rr", unit: "1/s" } as const;
  const first = reportOf([
    ...figuresOf("podwire", [1]),
    ...figuresOf("kernel", [2]),
    ...figuresOf("podwire", [7], rr),
  ]);
  const later = reportOf(figuresOf("podwire", [3]), { kernel: "7.0" });
  const merged = mergeReports([first, later]);
  t.same(
    merged.rows.map((row) => [row.measure, row.bySubject.podwire?.value, row.bySubject.kernel?.value]),
    [
      ["tcp", 3, undefined],
      ["rr", 7, undefined],
    ],
  );
  t.equal(merged.machine.kernel, "7.0");
  t.end();
});
