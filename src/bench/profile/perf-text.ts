// What `perf report` says, by whose it is. Pure.
import type { Profile } from "../figures/report.ts";

interface Line {
  percent: number;
  command: string;
  /** File that the function is in. */
  object: string;
  symbol: string;
}

/** A core that does nothing is no part of what a load costs. */
const IDLE =
  /^(\[k\] )?(pv_native_safe_halt|native_safe_halt|\w*_idle|\w*_idle_\w+|intel_idle\w*|cpuidle_\w+|cpu_startup_entry)$/;
const FUNCTIONS = 10;

/** text: of `perf report --stdio -F overhead,comm,dso,sym -t '|'`. */
function parseLines(text: string): Line[] {
  const lines: Line[] = [];
  for (const line of text.split("\n")) {
    const [percent, command, object, ...rest] = line.split("|").map((cell) => cell.trim());
    const value = /^([\d.]+)%?$/.exec(percent)?.[1];
    if (line.startsWith("#") || value === undefined || rest.length === 0) continue;
    lines.push({ percent: Number(value), command, object, symbol: rest.join("|").trim() });
  }
  return lines;
}

function partOf({ command, object, symbol }: Line): string {
  if (object.startsWith("[kernel") || symbol.startsWith("[k]")) return "kernel";
  if (object.endsWith("podwire.node")) return "addon";
  if (
    /^(perf-\d+\.map|\[JIT\].*|\/\/anon|memfd:.*|\[unknown\])$/.test(object) &&
    /^(node|podwire)/i.test(command)
  )
    return "JavaScript";
  if (/^node$/.test(object)) return "V8 and Node.js";
  return "sender and receiver";
}

/** Names without what says nothing: perf's mark, V8's tier, the file's whole path. */
function nameOf({ symbol }: Line): string {
  return symbol
    .replace(/^\[[.k]\] /, "")
    .replace(/^(LazyCompile|Function|JS):/, "")
    .replace(/(file:\/\/)?\/\S*\/(build\/src|src)\//, "")
    .trim();
}

/** Shares of all that was not idle. */
export function profileOf(load: string, subject: string, text: string): Profile {
  const busy = parseLines(text).filter((line) => !IDLE.test(line.symbol));
  const all = busy.reduce((sum, line) => sum + line.percent, 0);
  const sums = (nameEach: (line: Line) => string) => {
    const found = new Map<string, number>();
    for (const line of busy) found.set(nameEach(line), (found.get(nameEach(line)) ?? 0) + line.percent);
    return [...found]
      .map(([name, percent]) => ({ name, percent: (100 * percent) / Math.max(all, 1e-9) }))
      .sort((a, b) => b.percent - a.percent);
  };
  return { load, subject, parts: sums(partOf), functions: sums(nameOf).slice(0, FUNCTIONS) };
}
