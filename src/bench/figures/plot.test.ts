import t from "tap";
import { type BarChart, drawBars as draw, loadScales } from "./plot.ts";

const scales = await loadScales();
const drawBars = (chart: BarChart) => draw(chart, scales);

const bar = (name: string, value: number) => ({ name, value, low: value * 0.9, high: value * 1.1 });
const chart = (over: Partial<BarChart> = {}): BarChart => ({
  title: "TCP",
  unit: "Gbit/s",
  groups: [
    { label: "tcp same-node", bars: [bar("podwire", 10), bar("kernel", 20)] },
    { label: "tcp overlay", bars: [bar("podwire", 5)] },
  ],
  ...over,
});
/** Widths of the bars; the first two rectangles of a colour are the legend's. */
const widths = (svg: string) =>
  [...svg.matchAll(/<rect x='250' y='[\d.]+' width='([\d.]+)'/g)].map((match) => Number(match[1]));

t.test("bars are as long as their values, from one zero", (t) => {
  const [podwire, kernel, overlay] = widths(drawBars(chart()));
  t.ok(Math.abs(kernel / podwire - 2) < 0.01);
  t.ok(Math.abs(podwire / overlay - 2) < 0.01);
  t.end();
});

t.test("a subject has one colour everywhere, and stands in the legend once", (t) => {
  const svg = drawBars(chart());
  const colours = [...svg.matchAll(/<rect x='250'.*fill='(#\w+)'/g)].map((match) => match[1]);
  t.equal(colours[0], colours[2]);
  t.not(colours[0], colours[1]);
  t.equal(svg.match(/>podwire</g)?.length, 1);
  t.end();
});

t.test("it is well-formed: names are escaped, elements closed, no number is none", (t) => {
  const odd = chart({ title: "a<b> & 'c'", mark: 1, groups: [{ label: "none", bars: [bar("x&y", 0)] }] });
  const svg = drawBars(odd);
  t.match(svg, /a&lt;b&gt; &amp; &apos;c&apos;/);
  t.match(svg, />x&amp;y</);
  t.notMatch(svg, /NaN|undefined|Infinity/);
  t.notMatch(drawBars(chart({ groups: [] })), /NaN|undefined|Infinity/);
  const opened = svg.match(/<(svg|title|text)\b/g)?.length;
  t.equal(opened, svg.match(/<\/(svg|title|text)>/g)?.length);
  t.end();
});
