// Reads Prometheus' text format as strictly as its own parser and lints it as `promtool check metrics` does. Written
// from the format's description, not from our writer: the two must not be wrong together.

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** Sample name and labels in the order they stand, as text → value. */
  readonly samples: Map<string, number>;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s;
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|NaN|[+-]Inf)$/i;
const TYPES = ["counter", "gauge", "histogram", "untyped"];
const UNITS = /_(?:milliseconds|ms|minutes|hours|days|kilobytes|kb|megabytes|mb|bits|percent)(?:_total)?$/;

/** The families of a text. Throws at the first line that Prometheus would refuse. */
export function parseExposition(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let family: Family | undefined;
  let help: { name: string; text: string } | undefined;
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no line feed");
  for (const line of text.split("\n").slice(0, -1)) {
    const [, keyword, name, rest = ""] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? [];
    if (keyword === "HELP") {
      help = { name, text: rest };
    } else if (keyword === "TYPE") {
      if (!NAME.test(name) || !TYPES.includes(rest)) throw new Error(`no type: ${line}`);
      if (families.has(name)) throw new Error(`${name}: a second family of this name`);
      family = { name, type: rest, help: help?.name === name ? help.text : "", samples: new Map() };
      families.set(name, family);
    } else if (line !== "" && !line.startsWith("#")) {
      addSample(family, line);
    }
  }
  return families;
}

function addSample(family: Family | undefined, line: string): void {
  const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || !NUMBER.test(value)) throw new Error(`no sample: ${line}`);
  const suffix = family?.type === "histogram" ? "(?:_bucket|_sum|_count)" : "";
  if (family === undefined || !new RegExp(`^${family.name}${suffix}$`).test(name)) {
    throw new Error(`${name}: stands below ${family?.name ?? "nothing"}`);
  }
  const key = `${name}{${parseLabels(labels)
    .map(([label, text]) => `${label}=${JSON.stringify(text)}`)
    .join(",")}}`;
  if (family.samples.has(key)) throw new Error(`${key}: twice`);
  family.samples.set(key, Number(value.replace(/inf$/i, "Infinity")));
}

function parseLabels(text: string): [string, string][] {
  const labels: [string, string][] = [];
  let at = 0;
  while (at < text.length) {
    const part = /^([^=]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/.exec(text.slice(at));
    if (part === null || !LABEL.test(part[1])) throw new Error(`no labels: {${text}}`);
    if (labels.some(([label]) => label === part[1])) throw new Error(`label ${part[1]} twice: {${text}}`);
    labels.push([part[1], part[2].replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c))]);
    at += part[0].length;
  }
  return labels;
}

/** What a reviewer of metrics would say, one line each; nothing: all is well. */
export function lintExposition(families: ReadonlyMap<string, Family>): string[] {
  return [...families.values()].flatMap(lintFamily);
}

function lintFamily(family: Family): string[] {
  const { name, type, help, samples } = family;
  const found: string[] = [];
  if (help === "") found.push("no HELP");
  // kube-proxy has a gauge that ends in _total; its names are kept as they are.
  if ((type === "counter") !== name.endsWith("_total") && !name.startsWith("kubeproxy_")) {
    found.push(`a ${type} ${type === "counter" ? "must" : "must not"} end in _total`);
  }
  if (type !== "histogram" && /_(?:bucket|sum|count)$/.test(name)) found.push("the suffix is a histogram's");
  if (/[A-Z]/.test(name) || name.includes(":")) found.push("not snake_case");
  if (UNITS.test(name)) found.push("not a base unit");
  if (name.includes(`_${type}`)) found.push("the type stands in the name");
  for (const [key, value] of samples) {
    if (type !== "gauge" && !(value >= 0)) found.push(`${key} is ${value}`);
  }
  if (type === "histogram") found.push(...lintHistogram(family));
  return found.map((what) => `${name}: ${what}`);
}

function lintHistogram({ name, samples }: Family): string[] {
  const found: string[] = [];
  const last = new Map<string, { le: number; n: number }>();
  for (const [key, n] of samples) {
    const bucket = /^(.*)_bucket\{(.*?),?le="([^"]+)"\}$/.exec(key);
    if (bucket === null) continue;
    const le = Number(bucket[3].replace("Inf", "Infinity"));
    const before = last.get(bucket[2]) ?? { le: -Infinity, n: 0 };
    if (le <= before.le || n < before.n) found.push(`${key}: buckets do not ascend`);
    last.set(bucket[2], { le, n });
  }
  for (const [labels, { le, n }] of last) {
    if (le !== Infinity) found.push(`{${labels}}: no bucket +Inf`);
    if (samples.get(`${name}_count{${labels}}`) !== n) found.push(`{${labels}}: count is not bucket +Inf`);
    if (!samples.has(`${name}_sum{${labels}}`)) found.push(`{${labels}}: no sum`);
  }
  return found;
}
