// Prometheus' text format (version 0.0.4): families of samples in, text out. Names and units are the caller's: counters
// end in _total, seconds and bytes are written out, and a family is written once.
// Deliberately missing: summaries, exemplars, timestamps.

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
}

export interface HistogramSample {
  readonly labels?: Labels;
  readonly histogram: HistogramCounts;
}

/** Counts of observations by size. `bounds` ascend; what is larger than all of them is counted too. */
/** A histogram as it is shown. */
export interface HistogramCounts {
  readonly bounds: readonly number[];
  /** One a bound, the last for the rest. Not cumulative. */
  readonly counts: Float64Array;
  readonly sum: number;
}

export class Histogram implements HistogramCounts {
  readonly bounds: readonly number[];
  /** One a bound, the last for the rest. Not cumulative. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let at = 0;
    while (at < bounds.length && value > bounds[at]) at++;
    this.counts[at]++;
    this.sum += value;
  }

  get count(): number {
    return this.counts.reduce((sum, n) => sum + n, 0);
  }
}

/** `count` bounds: start, start × factor, … */
export function exponentialBounds(start: number, factor: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => start * factor ** i);
}

/** `count` bounds: start, start + step, … */
export function linearBounds(start: number, step: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => start + step * i);
}

export class Exposition {
  readonly #lines: string[] = [];

  counter(name: string, help: string, samples: Iterable<Sample>): this {
    return this.#scalars(name, "counter", help, samples);
  }

  gauge(name: string, help: string, samples: Iterable<Sample>): this {
    return this.#scalars(name, "gauge", help, samples);
  }

  histogram(name: string, help: string, samples: Iterable<HistogramSample>): this {
    this.#head(name, "histogram", help);
    for (const { labels = {}, histogram } of samples) {
      let total = 0;
      for (const [i, n] of histogram.counts.entries()) {
        total += n;
        const le = i < histogram.bounds.length ? formatNumber(histogram.bounds[i]) : "+Inf";
        this.#sample(`${name}_bucket`, { ...labels, le }, total);
      }
      this.#sample(`${name}_sum`, labels, histogram.sum);
      this.#sample(`${name}_count`, labels, total);
    }
    return this;
  }

  toString(): string {
    return this.#lines.length === 0 ? "" : `${this.#lines.join("\n")}\n`;
  }

  #scalars(name: string, type: string, help: string, samples: Iterable<Sample>): this {
    this.#head(name, type, help);
    for (const { labels = {}, value } of samples) this.#sample(name, labels, value);
    return this;
  }

  #head(name: string, type: string, help: string): void {
    const text = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    this.#lines.push(`# HELP ${name} ${text}`, `# TYPE ${name} ${type}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const list = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    this.#lines.push(`${name}${list.length === 0 ? "" : `{${list.join(",")}}`} ${formatNumber(value)}`);
  }
}

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function formatNumber(n: number): string {
  if (n === Infinity) return "+Inf";
  return n === -Infinity ? "-Inf" : String(n);
}
