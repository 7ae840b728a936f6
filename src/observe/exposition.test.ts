import * as fc from "fast-check";
import t from "tap";
import { lintExposition, parseExposition } from "../testing/exposition-checker.ts";
import { Exposition, exponentialBounds, Histogram, linearBounds } from "./exposition.ts";

t.test("a counter, a gauge and a histogram are written as Prometheus reads them", async (t) => {
  const histogram = new Histogram([0.5, 1]);
  for (const value of [0.25, 0.5, 0.75, 4]) histogram.observe(value);
  const text = new Exposition()
    .counter("a_total", 'Help with \\ and\nline "feed".', [
      { labels: { reason: 'x"y\\z\n', other: "" }, value: 3 },
      { labels: { reason: "b", other: "" }, value: 1e21 },
    ])
    .gauge("b_ratio", "A gauge.", [{ value: -0.5 }])
    .histogram("c_seconds", "Times.", [{ labels: { family: "IPv4" }, histogram }])
    .toString();
  t.equal(
    text,
    `# HELP a_total Help with \\\\ and\\nline "feed".
# TYPE a_total counter
a_total{reason="x\\"y\\\\z\\n",other=""} 3
a_total{reason="b",other=""} 1e+21
# HELP b_ratio A gauge.
# TYPE b_ratio gauge
b_ratio -0.5
# HELP c_seconds Times.
# TYPE c_seconds histogram
c_seconds_bucket{family="IPv4",le="0.5"} 2
c_seconds_bucket{family="IPv4",le="1"} 3
c_seconds_bucket{family="IPv4",le="+Inf"} 4
c_seconds_sum{family="IPv4"} 5.5
c_seconds_count{family="IPv4"} 4
`,
  );
  t.same(lintExposition(parseExposition(text)), []);
  t.equal(histogram.count, 4);
});

t.test("bounds are those of Prometheus' client", async (t) => {
  t.same(exponentialBounds(0.001, 2, 15).slice(-2), [8.192, 16.384]);
  t.same(linearBounds(0.25, 0.25, 2), [0.25, 0.5]);
});

t.test("any label text comes back as it was", async () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.double({ noNaN: true }), (text, value) => {
      const written = new Exposition().gauge("g", "Help.", [{ labels: { text }, value }]).toString();
      const samples = parseExposition(written).get("g")?.samples ?? new Map();
      return samples.get(`g{text=${JSON.stringify(text)}}`) === (Object.is(value, -0) ? 0 : value);
    }),
  );
});

const HEAD = "# HELP x_total Help.\n# TYPE x_total counter\n";
const refused: [name: string, text: string][] = [
  ["no line feed at the end", `${HEAD}x_total 1`],
  ["a sample before its type", "x_total 1\n"],
  ["a sample of another family", `${HEAD}y_total 1\n`],
  ["a family twice", `${HEAD}${HEAD}`],
  ["a sample twice", `${HEAD}x_total{a="1"} 1\nx_total{a="1"} 2\n`],
  ["a label twice", `${HEAD}x_total{a="1",a="2"} 1\n`],
  ["a label without quotes", `${HEAD}x_total{a=1} 1\n`],
  ["a bad label name", `${HEAD}x_total{a-b="1"} 1\n`],
  ["an unknown escape", `${HEAD}x_total{a="\\t"} 1\n`],
  ["no number", `${HEAD}x_total one\n`],
  ["an unknown type", "# TYPE x_total summary2\n"],
];
for (const [name, text] of refused) {
  t.test(`provoked: ${name} is refused`, async (t) => {
    t.throws(() => parseExposition(text));
  });
}

const linted: [text: string, what: RegExp][] = [
  ["# TYPE x_total counter\n", /no HELP/],
  ["# HELP x Help.\n# TYPE x counter\n", /must end in _total/],
  ["# HELP x_total Help.\n# TYPE x_total gauge\n", /must not end in _total/],
  ["# HELP xY Help.\n# TYPE xY gauge\n", /snake_case/],
  ["# HELP x_ms Help.\n# TYPE x_ms gauge\n", /base unit/],
  [`${HEAD}x_total -1\n`, /is -1/],
  ['# HELP h Help.\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n', /no bucket \+Inf/],
  ['# HELP h Help.\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n', /count is not/],
  ['# HELP h Help.\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_count 1\n', /no sum/],
  ['# HELP h Help.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\n', /do not ascend/],
];
for (const [text, what] of linted) {
  t.test(`provoked: ${what.source}`, async (t) => {
    t.match(lintExposition(parseExposition(text)).join("\n"), what);
  });
}
