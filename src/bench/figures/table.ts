// The rows as text: a table of aligned columns, for people.
import { SUBJECTS } from "../subject/subject.ts";
import type { Row, Sample } from "./sample.ts";

/** A column of figures for each subject that was measured, one of ratios for each but podwire, remarks last. */
export function formatTable(rows: readonly Row[]): string {
  const subjects = SUBJECTS.filter((name) => rows.some((row) => row.bySubject[name] !== undefined));
  const others = subjects.filter((name) => rows.some((row) => row.ratioTo[name] !== undefined));
  const headings = [
    ...["MEASURE", "PATH", "TARGET", "VARIANT"],
    ...subjects.map((name) => name.toUpperCase()),
    "UNIT",
    ...others.map((name) => `/${name.toUpperCase()}`),
    "REMARKS",
  ];
  const cells = rows.map((row) => [
    ...[row.measure, row.path, row.target, row.variant],
    ...subjects.map((name) => formatValue(row.bySubject[name])),
    row.unit,
    ...others.map((name) => row.ratioTo[name]?.toFixed(2) ?? "-"),
    Object.values(row.bySubject).map(remark).filter(Boolean).join("; "),
  ]);
  return alignColumns([headings, ...cells]);
}

/** What the figures cost, and what else the machine did: µs of processor time a packet, ms a GB, load, others, steal. */
export function formatCosts(rows: readonly Row[]): string {
  const samples = rows.flatMap((row) => Object.values(row.bySubject)).filter((s) => s.load !== undefined);
  if (samples.length === 0) return "";
  const fixed = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? "-";
  const cells = samples.map((s) => [
    [s.measure, s.path, s.target, s.variant].join("/"),
    s.subject,
    fixed(s.cpuUsEach, 2),
    fixed(s.cpuMsPerGb, 0),
    fixed(s.load, 1),
    fixed(s.othersCores, 2),
    fixed(s.stealPercent, 1),
  ]);
  const headings = ["CASE", "SUBJECT", "CPU-US-EACH", "CPU-MS-PER-GB", "LOAD", "OTHERS-CORES", "STEAL-%"];
  return alignColumns([headings, ...cells]);
}

/** lines: the heading first. */
export function alignColumns(lines: readonly string[][]): string {
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function formatValue(sample: Sample | undefined): string {
  return sample === undefined ? "-" : sample.value.toFixed(sample.unit === "Gbit/s" ? 2 : 0);
}

function remark(sample: Sample): string {
  const parts: string[] = [];
  if (sample.retransmitPercent !== undefined) parts.push(`retr ${sample.retransmitPercent.toFixed(3)}%`);
  if ((sample.stalls ?? 0) > 0) parts.push(`${sample.stalls} stalls`);
  if (sample.lossPercent !== undefined) parts.push(`lost ${sample.lossPercent.toFixed(2)}%`);
  if (sample.deviceKpps !== undefined) parts.push(`device ${sample.deviceKpps.toFixed(0)} kpps`);
  if (sample.p50Us !== undefined) parts.push(`p50 ${sample.p50Us} µs`);
  if (sample.p99Us !== undefined) parts.push(`p99 ${sample.p99Us} µs`);
  if (sample.wakeP50Us !== undefined)
    parts.push(`(woken after ${sample.wakeP50Us}, p99 ${sample.wakeP99Us} µs)`);
  return parts.length === 0 ? "" : `${sample.subject} ${parts.join(" ")}`;
}
