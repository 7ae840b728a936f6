// docs/performance.md out of reports: the machine, tables, plots and profiles. It stands between two marks; what people
// wrote before and after them stays. Pure, but for `writePage`.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { BenchError } from "../shell.ts";
import { SUBJECTS, type SubjectName } from "../subject/subject.ts";
import { formatMachine } from "./machine.ts";
import { type BarChart, drawBars, loadScales, type Scales } from "./plot.ts";
import { mergeReports, type Profile, type Report, readReport } from "./report.ts";
import type { Measure, Row, Sample } from "./sample.ts";

const BEGIN = "<!-- figures: made by scripts/bench --report, change nothing here -->";
const END = "<!-- end of figures -->";

interface Section {
  name: string;
  title: string;
  measures: Measure[];
  unit: string;
  /** What a bar shows; undefined: the sample's own rounds. */
  pick?: (sample: Sample) => number | undefined;
}

const SECTIONS: readonly Section[] = [
  { name: "tcp", title: "TCP", measures: ["tcp"], unit: "Gbit/s" },
  { name: "udp", title: "UDP at a fixed rate", measures: ["udp"], unit: "Gbit/s" },
  { name: "pps", title: "Small frames, counted by the receiving device", measures: ["pps"], unit: "kpps" },
  { name: "udp-socket", title: "Small frames, read by a UDP socket", measures: ["udp-socket"], unit: "kpps" },
  {
    name: "loss-free",
    title: "Bursts, and rates without loss",
    measures: ["burst", "loss-free"],
    unit: "kpps",
  },
  { name: "latency", title: "Requests: median", measures: ["rr", "crr"], unit: "µs", pick: (s) => s.p50Us },
];

/** The generated part, and its pictures by their names. plots: the folder of these, as seen from the page. */
export function formatPage(
  report: Report,
  plots: string,
  scales: Scales,
): { text: string; pictures: Map<string, string> } {
  const pictures = new Map<string, string>();
  const parts: string[] = [BEGIN, "", ...describe(report)];
  for (const section of SECTIONS) {
    const rows = report.rows.filter((row) => section.measures.includes(row.measure));
    if (rows.length === 0) continue;
    const chart = chartOf(section, rows);
    pictures.set(`${section.name}.svg`, drawBars(chart, scales));
    parts.push(`### ${section.title}`, "", `![${section.title}](${plots}/${section.name}.svg)`, "");
    parts.push(...tableOf(rows), "");
  }
  const ratios = ratioChart(report.rows);
  if (ratios.groups.length > 0) {
    pictures.set("ratios.svg", drawBars(ratios, scales));
    parts.push("### podwire of the kernel", "", `![podwire of the kernel](${plots}/ratios.svg)`, "");
  }
  if (report.profiles.length > 0)
    parts.push("### Where the time goes", "", formatProfiles(report.profiles), "");
  if ((report.steps ?? []).length > 0)
    parts.push("### Where the agents' JavaScript goes", "", formatSteps(report.steps ?? []), "");
  return { text: [...parts, END].join("\n"), pictures };
}

function describe(report: Report): string[] {
  const { seconds, rounds, streamRounds, udpRate } = report.effort;
  return [
    `Measured ${report.made.slice(0, 10)} on: ${formatMachine(report.machine)}.`,
    "",
    `Streams of ${seconds} s, ${streamRounds} alternating rounds; frames ${rounds} rounds of 2 s; UDP at ${udpRate}.`,
    "Figures are medians, ratios are medians of the ratios of neighbouring rounds. The thin line of a bar goes from its",
    "lowest to its highest round.",
    "",
  ];
}

const labelOf = (row: Row): string =>
  [row.measure, row.path, ...(row.target === "service" ? [] : [row.target]), row.variant].join(" ");

function subjectsOf(rows: readonly Row[]): SubjectName[] {
  return SUBJECTS.filter((name) => rows.some((row) => row.bySubject[name] !== undefined));
}

function chartOf(section: Section, rows: readonly Row[]): BarChart {
  const groups = rows.map((row) => ({
    label: labelOf(row),
    bars: subjectsOf([row]).flatMap((name) => {
      const sample = row.bySubject[name]!;
      const value = section.pick === undefined ? sample.value : section.pick(sample);
      const range = section.pick === undefined ? sample.rounds : [value ?? 0];
      return value === undefined ? [] : [{ name, value, low: Math.min(...range), high: Math.max(...range) }];
    }),
  }));
  return { title: section.title, unit: section.unit, groups };
}

function ratioChart(rows: readonly Row[]): BarChart {
  const peers = ["kernel", "kernel-bridge"] as const;
  const groups = rows.flatMap((row) => {
    const bars = peers.flatMap((peer) => {
      const value = row.ratioTo[peer];
      return value === undefined ? [] : [{ name: `of ${peer}`, value, low: value, high: value }];
    });
    return bars.length === 0 ? [] : [{ label: labelOf(row), bars }];
  });
  return { title: "podwire of the kernel (rate or throughput; 1: as much)", unit: "ratio", groups, mark: 1 };
}

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

function tableOf(rows: readonly Row[]): string[] {
  const subjects = subjectsOf(rows);
  const others = subjects.filter((name) => rows.some((r) => r.ratioTo[name] !== undefined));
  const heading = ["case", ...subjects, ...others.map((name) => `of ${name}`), "unit"];
  return [
    row(heading),
    row(heading.map((_, i) => (i === 0 ? "---" : "---:"))),
    ...rows.map((r) =>
      row([
        labelOf(r),
        ...subjects.map((name) => cellOf(r.bySubject[name])),
        ...others.map((name) => r.ratioTo[name]?.toFixed(2) ?? ""),
        r.unit,
      ]),
    ),
  ];
}

/** The figure, and in small what it cost, what was lost, how long it took. */
function cellOf(sample: Sample | undefined): string {
  if (sample === undefined) return "";
  const value = sample.value.toFixed(sample.unit === "Gbit/s" ? 2 : 0);
  const notes = [
    sample.p50Us === undefined ? "" : `p50 ${sample.p50Us}, p99 ${sample.p99Us} µs`,
    sample.wakeP50Us === undefined ? "" : `woken after ${sample.wakeP50Us}, p99 ${sample.wakeP99Us} µs`,
    sample.lossPercent === undefined ? "" : `lost ${sample.lossPercent.toFixed(2)} %`,
    sample.cpuMsPerGb === undefined ? "" : `${sample.cpuMsPerGb.toFixed(0)} ms/GB`,
    sample.cpuUsEach === undefined ? "" : `${sample.cpuUsEach.toFixed(2)} µs each`,
    // Hardly any of either: left out, so that the others are seen.
    (sample.othersCores ?? 0) < 0.05 ? "" : `others ${sample.othersCores?.toFixed(2)} cores`,
    (sample.stealPercent ?? 0) < 0.5 ? "" : `steal ${sample.stealPercent?.toFixed(1)} %`,
    sample.load === undefined ? "" : `load ${sample.load.toFixed(1)}`,
  ].filter(Boolean);
  return notes.length === 0 ? value : `${value}<br><sub>${notes.join("; ")}</sub>`;
}

/** As a table of Markdown, which is text for people too. */
export function formatProfiles(profiles: readonly Profile[]): string {
  const what = "Shares of the processor time of the whole machine, in per cent, idle time apart.";
  return formatShares(what, ["load", "subject", "parts", "functions"], profiles);
}

export function formatSteps(steps: readonly Profile[]): string {
  const what =
    "Shares of the data-plane threads' time, in per cent, waiting apart; then of what is JavaScript's own of it.";
  return formatShares(what, ["load", "subject", "parts", "steps"], steps);
}

function formatShares(what: string, heading: readonly string[], profiles: readonly Profile[]): string {
  const list = (each: readonly { name: string; percent: number }[]) =>
    each.map(({ name, percent }) => `${name} ${percent.toFixed(1)}`).join("; ");
  return [
    what,
    "",
    row(heading),
    row(["---", "---", "---", "---"]),
    ...profiles.map((p) => row([p.load, p.subject, list(p.parts), list(p.functions).replaceAll("|", "\\|")])),
  ].join("\n");
}

/** What people wrote around the figures stays; a page without the marks gets them at its end. */
export function intoPage(page: string, generated: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin >= 0 && end > begin) return page.slice(0, begin) + generated + page.slice(end + END.length);
  return `${page.trimEnd() === "" ? "# Performance" : page.trimEnd()}\n\n${generated}\n`;
}

/** Writes the page, and its pictures into a folder beside it that has the page's name. */
export async function writePage(page: string, files: readonly string[]): Promise<string[]> {
  const report = mergeReports(await Promise.all(files.map(readReport)));
  if (report.rows.length === 0) throw new BenchError(`${files.join(", ")}: nothing was measured there`);
  const plots = basename(page, extname(page));
  const folder = join(dirname(page), plots);
  const { text, pictures } = formatPage(report, plots, await loadScales());
  const old = await readFile(page, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw new BenchError(`${page}: ${error.code}`, { cause: error });
  });
  await mkdir(folder, { recursive: true });
  for (const [name, svg] of pictures) await writeFile(join(folder, name), svg);
  await writeFile(page, intoPage(old, text));
  return [page, ...[...pictures.keys()].map((name) => join(folder, name))];
}
