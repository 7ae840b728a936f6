// Text in columns as Go's text/tabwriter lays it out for kubectl (no least width, two spaces between): a cell ends with a
// tab, and a column is as wide as its widest cell in the lines that stand together and have it.

const PADDING = 2;

export class TabWriter {
  #sections: string[] = [""];

  /** A line at a depth of two spaces each. */
  line(depth: number, text: string): void {
    const safe = text.replaceAll("\x1b", "^[").replaceAll("\r", "\\r"); // as kubectl: a terminal is told nothing
    this.#sections[this.#sections.length - 1] += `${"  ".repeat(depth)}${safe}\n`;
  }

  /** What follows has columns of its own. */
  flush(): void {
    this.#sections.push("");
  }

  toString(): string {
    return this.#sections.map(layOut).join("");
  }
}

export function layOut(text: string): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const widths: number[][] = lines.map(() => []);
  widen(lines, widths, 0, lines.length);
  return lines.map((cells, i) => cells.map((cell, k) => padded(cell, widths[i][k] ?? 0)).join("")).join("\n");
}

/** Finds the blocks of lines that have a cell in the next column, and within each those of the one after. */
function widen(lines: readonly string[][], widths: number[][], from: number, to: number): void {
  const column = widths[from]?.length ?? 0;
  const hasCell = (line: number): boolean => lines[line].length - 1 > column;
  for (let start = from; start < to; start++) {
    if (!hasCell(start)) continue;
    let end = start;
    while (end < to && hasCell(end)) end++;
    const width = Math.max(...lines.slice(start, end).map((cells) => [...cells[column]].length)) + PADDING;
    for (let line = start; line < end; line++) widths[line].push(width);
    widen(lines, widths, start, end);
    start = end - 1;
  }
}

function padded(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - [...cell].length));
}
