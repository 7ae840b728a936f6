// Tables in kubectl's look.
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
