// Bars as SVG: a group a case, a bar a subject, a thin line from the lowest to the highest round. d3-scale divides the
// axis; the rest is text. No script, no style sheet: it looks the same in a browser and beside Markdown.
import { BenchError } from "../shell.ts";

/** What is used of d3-scale. It comes with the tools of development: who only runs podwire does not have it. */
export interface Scales {
  scaleLinear(domain: [number, number], range: [number, number]): LinearScale;
  scaleBand(domain: readonly string[], range: [number, number]): BandScale;
}
interface LinearScale {
  (value: number): number;
  nice(count: number): LinearScale;
  ticks(count: number): number[];
  tickFormat(count: number): (value: number) => string;
}
interface BandScale {
  (name: string): number | undefined;
  padding(share: number): BandScale;
  bandwidth(): number;
}

export async function loadScales(): Promise<Scales> {
  const library: string = "d3-scale";
  return import(library).catch((cause) => {
    throw new BenchError(`plots are drawn with ${library}, which is not installed: run npm ci`, { cause });
  });
}

export interface Bar {
  name: string;
  value: number;
  /** Of the rounds. */
  low: number;
  high: number;
}

export interface BarChart {
  title: string;
  /** What the axis counts. */
  unit: string;
  groups: { label: string; bars: Bar[] }[];
  /** A line across all groups: what they are held against. */
  mark?: number;
}

const WIDTH = 860;
const LEFT = 250; // of the axis: labels stand there
const RIGHT = 70; // behind the longest bar: its figure
const TOP = 62;
const BAR = 13; // px
const GAP = 10; // between groups
const FONT = "font-family='sans-serif' font-size='11'";
/** Told apart by brightness too. */
const COLORS = ["#1b6ca8", "#8fc1e3", "#d1495b", "#f2a65a", "#3a7d44", "#a7c957", "#6d597a", "#b5b5b5"];

const escapeXml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("'", "&apos;");
const px = (value: number): string => String(Math.round(value * 10) / 10);
const figure = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

export function drawBars(chart: BarChart, { scaleBand, scaleLinear }: Scales): string {
  const names = [...new Set(chart.groups.flatMap((group) => group.bars.map((bar) => bar.name)))];
  const color = (name: string) => COLORS[names.indexOf(name) % COLORS.length];
  const most = Math.max(chart.mark ?? 0, ...chart.groups.flatMap((g) => g.bars.map((bar) => bar.high)), 1e-9);
  const x = scaleLinear([0, most], [LEFT, WIDTH - RIGHT]).nice(6);
  const height = chart.groups.reduce((sum, group) => sum + group.bars.length * BAR + GAP, TOP + 14);
  const bottom = height - 14;
  const lines = [
    `<svg xmlns='http://www.w3.org/2000/svg' width='${WIDTH}' height='${height}' viewBox='0 0 ${WIDTH} ${height}'>`,
    `<title>${escapeXml(chart.title)}</title>`,
    `<rect width='${WIDTH}' height='${height}' fill='white'/>`,
    text(10, 18, chart.title, "font-weight='bold' font-size='13'"),
    ...drawLegend(names, color),
    ...x
      .ticks(6)
      .flatMap((tick) => [
        `<line x1='${px(x(tick))}' x2='${px(x(tick))}' y1='${TOP - 6}' y2='${bottom}' stroke='#dddddd'/>`,
        text(x(tick), TOP - 10, x.tickFormat(6)(tick), "text-anchor='middle'"),
      ]),
    text(WIDTH - RIGHT + 6, TOP - 10, chart.unit, ""),
  ];
  let top = TOP;
  for (const group of chart.groups) {
    const y = scaleBand(
      group.bars.map((bar) => bar.name),
      [top, top + group.bars.length * BAR],
    ).padding(0.12);
    lines.push(text(LEFT - 8, top + (group.bars.length * BAR) / 2 + 4, group.label, "text-anchor='end'"));
    for (const bar of group.bars)
      lines.push(...drawBar(bar, x, y(bar.name) ?? top, y.bandwidth(), color(bar.name)));
    top += group.bars.length * BAR + GAP;
  }
  if (chart.mark !== undefined)
    lines.push(
      `<line x1='${px(x(chart.mark))}' x2='${px(x(chart.mark))}' y1='${TOP - 6}' y2='${bottom}' stroke='black'/>`,
    );
  return `${[...lines, "</svg>"].join("\n")}\n`;
}

function drawBar(
  bar: Bar,
  x: (value: number) => number,
  top: number,
  height: number,
  color: string,
): string[] {
  const middle = px(top + height / 2);
  const size = `width='${px(Math.max(0, x(bar.value) - LEFT))}' height='${px(height)}'`;
  return [
    `<rect x='${LEFT}' y='${px(top)}' ${size} fill='${color}'/>`,
    `<line x1='${px(x(bar.low))}' x2='${px(x(bar.high))}' y1='${middle}' y2='${middle}' stroke='black'/>`,
    text(Math.max(x(bar.value), x(bar.high)) + 4, top + height - 1.5, figure(bar.value), ""),
  ];
}

function drawLegend(names: readonly string[], color: (name: string) => string): string[] {
  let left = 10;
  return names.flatMap((name) => {
    const at = left;
    left += 26 + name.length * 7;
    return [
      `<rect x='${at}' y='26' width='10' height='10' fill='${color(name)}'/>`,
      text(at + 14, 35, name, ""),
    ];
  });
}

function text(x: number, y: number, words: string, more: string): string {
  const font = more.includes("font-size") ? "font-family='sans-serif'" : FONT;
  return `<text x='${px(x)}' y='${px(y)}' ${font} ${more}>${escapeXml(words)}</text>`;
}
