import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { figuresOf, reportOf } from "../../testing/bench/reports.ts";
import { formatPage, intoPage, writePage } from "./page.ts";
import { loadScales } from "./plot.ts";

const scales = await loadScales();
const report = reportOf([
  ...figuresOf("podwire", [5, 6, 7], { cpuMsPerGb: 812.4, load: 0.3, othersCores: 0.01, stealPercent: 2 }),
  ...figuresOf("kernel", [10, 12, 14]),
  ...figuresOf("podwire", [20_000], {
    measure: "rr",
    unit: "1/s",
    p50Us: 41,
    p99Us: 90,
    wakeP50Us: 9,
    wakeP99Us: 30,
  }),
]);

t.test("the page has the machine, a table and a picture for each kind, and what a figure cost", (t) => {
  const { text, pictures } = formatPage(report, "performance", scales);
  t.match(text, /Measured 2026-01-02 on: virtual machine, 2 cores \(Z80\).*Linux 6\.18\.0/);
  t.match(
    text,
    /\| tcp overlay pod forward \| 6\.00<br><sub>812 ms\/GB; steal 2\.0 %; load 0\.3<\/sub> \| 12\.00 \| 0\.50 \|/,
  );
  t.match(text, /p50 41, p99 90 µs; woken after 9, p99 30 µs/);
  t.same([...pictures.keys()], ["tcp.svg", "latency.svg", "ratios.svg"]);
  for (const name of pictures.keys()) t.match(text, `](performance/${name})`);
  t.match(pictures.get("latency.svg"), />41\.0</, "the median, not the rate");
  t.end();
});

t.test("what people wrote around the figures stays, however often they are made", (t) => {
  const { text } = formatPage(report, "p", scales);
  const once = intoPage("# Speed\n\nBefore.\n", text);
  t.match(once, /^# Speed\n\nBefore\.\n\n<!-- figures/);
  t.equal(intoPage(once, text), once);
  const grown = `${once}\nAfter.\n`;
  t.equal(intoPage(grown, text), grown);
  t.match(intoPage("", text), /^# Performance\n\n<!-- figures/);
  t.end();
});

t.test("files become a page and a folder of pictures beside it", async (t) => {
  const dir = t.testdir({});
  const json = join(dir, "a.json");
  writeFileSync(json, JSON.stringify(report));
  const written = await writePage(join(dir, "speed.md"), [json]);
  t.same(
    written,
    ["speed.md", "speed/tcp.svg", "speed/latency.svg", "speed/ratios.svg"].map((name) => join(dir, name)),
  );
  t.match(readFileSync(join(dir, "speed/tcp.svg"), "utf8"), /^<svg /);
  writeFileSync(json, JSON.stringify(reportOf([])));
  await t.rejects(writePage(join(dir, "other.md"), [json]), { message: /nothing was measured/ });
});
