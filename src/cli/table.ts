// Tables and ages in kubectl's look.
export interface Column<T> {
  header: string;
  value(row: T): string | number | undefined;
  /** Only with -o wide. */
  wide?: boolean;
}

const GAP = "   ";

/**
 * Header in capitals, columns left-aligned, three spaces between, nothing after the last. Empty cells are <none>.
 * `least`: widths of a table above, which this one goes on with; it is filled with those of this one.
 */
export function formatTable<T>(columns: Column<T>[], rows: T[], wide = false, least: number[] = []): string {
  const shown = columns.filter((column) => wide || column.wide !== true);
  const cells = [
    shown.map((column) => column.header),
    ...rows.map((row) => shown.map((column) => cellText(column.value(row)))),
  ];
  const widths = shown.map((_, i) => Math.max(least[i] ?? 0, ...cells.map((line) => line[i].length)));
  least.splice(0, least.length, ...widths);
  return cells
    .map((line) => line.map((cell, i) => (i < line.length - 1 ? cell.padEnd(widths[i]) : cell)).join(GAP))
    .join("\n");
}

function cellText(value: string | number | undefined): string {
  return value === undefined || value === "" ? "<none>" : String(value);
}

/** kubectl's HumanDuration: 41s, 5m2s, 17m, 3h5m, 26h, 4d2h, 12d. */
export function formatAge(ms: number): string {
  const s = Math.floor(ms / 1000);
  if (s < 0) return s >= -1 ? "0s" : "<invalid>";
  if (s < 120) return `${s}s`;
  const m = Math.floor(s / 60);
  if (m < 10) return withRest(m, "m", s % 60, "s");
  if (m < 180) return `${m}m`;
  const h = Math.floor(m / 60);
  if (h < 8) return withRest(h, "h", m % 60, "m");
  if (h < 48) return `${h}h`;
  const d = Math.floor(h / 24);
  if (d < 8) return withRest(d, "d", h % 24, "h");
  if (d < 730) return `${d}d`;
  const y = Math.floor(d / 365);
  return y < 8 ? withRest(y, "y", d % 365, "d") : `${y}y`;
}

export function ageOf(timestamp: string | undefined, nowMs: number = Date.now()): string {
  return timestamp === undefined ? "<unknown>" : formatAge(nowMs - Date.parse(timestamp));
}

function withRest(value: number, unit: string, rest: number, restUnit: string): string {
  return rest === 0 ? `${value}${unit}` : `${value}${unit}${rest}${restUnit}`;
}
