// Reads V8's --trace-gc lines: how often each isolate (thread) collected garbage and how long it stood still.
export interface Collections {
  isolate: string;
  count: number;
  maxPauseMs: number;
}

// [2563:0x7f5c38000b70]     4123 ms: Scavenge 5.6 (6.8) -> 4.9 (7.8) MB, pooled: 0 MB, 0.52 / 0.00 ms
// (average …
const LINE = /\[\d+:(0x[0-9a-f]+)\] +\d+ ms: (?:Scavenge|.*Mark-Compact).*? MB,.*? (\d+\.\d+) \/ \d+\.\d+ ms/;

/** In the order in which the isolates first appear: an agent's main thread starts before its worker. */
export function readGcLog(text: string): Collections[] {
  const found = new Map<string, Collections>();
  for (const line of text.split("\n")) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, isolate, pause] = match;
    const entry = found.get(isolate) ?? { isolate, count: 0, maxPauseMs: 0 };
    entry.count++;
    entry.maxPauseMs = Math.max(entry.maxPauseMs, Number(pause));
    found.set(isolate, entry);
  }
  return [...found.values()];
}

/** Value below which `fraction` of the values lie. */
export function percentile(values: readonly number[], fraction: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))];
}
