// A matrix for people: a row for sources, a column for destinations; with -o wide, or where that is too broad, a line for
// each pair, with the reason. For programs: a cell a line.
import { portText } from "../../offline/policy/ends.ts";
import {
  type Asked,
  type Cell,
  type Column,
  cellsOf,
  type Grouped,
  grouped,
  namesOf,
  type Row,
} from "../../offline/policy/matrix.ts";
import type { Answer, Reach } from "../../offline/policy/reach.ts";
import { print, yamlText } from "../context.ts";
import { formatTable, type Column as TableColumn } from "../table.ts";

/** More is no table that one reads. */
const COLUMNS_MAX = 10;
const CHUNK_CHARS = 1 << 20;

const word = ({ allowed }: Answer): string => (allowed ? "yes" : "no");

/** Rows and columns with the same answers are one. */
export function matrixTable(reach: Reach, asked: Asked, wide: boolean): string {
  if (!wide) {
    const found = grouped(reach, asked, word);
    if (found.columns.length <= COLUMNS_MAX) return squareTable(found);
    return listTable(found, false);
  }
  return listTable(
    grouped(reach, asked, ({ allowed, reason }) => `${allowed} ${reason}`),
    true,
  );
}

function squareTable({ rows, columns, answers }: Grouped<Answer>): string {
  const title = (column: Column): string => `${namesOf(column.ends)} ${portText(column.port)}`;
  const table: TableColumn<number>[] = [
    { header: "FROM \\ TO", value: (row) => namesOf(rows[row].ends) },
    ...columns.map((column, i) => ({
      header: title(column),
      value: (row: number) => cellWord(answers[row][i], rows[row], column),
    })),
  ];
  return formatTable(table, [...rows.keys()]);
}

function cellWord(answer: Answer | undefined, row: Row, column: Column): string {
  if (answer !== undefined) return word(answer);
  const isOne = row.ends.length === 1 && column.ends.length === 1;
  return isOne && row.ends[0].name === column.ends[0].name ? "self" : "-";
}

interface Pair {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly answer: Answer;
}

function listTable({ rows, columns, answers }: Grouped<Answer>, wide: boolean): string {
  const pairs = rows.flatMap((row, r) =>
    columns.flatMap((column, c): Pair[] => {
      const answer = answers[r][c];
      const names = { from: namesOf(row.ends), to: namesOf(column.ends), port: portText(column.port) };
      return answer === undefined ? [] : [{ ...names, answer }];
    }),
  );
  const table: TableColumn<Pair>[] = [
    { header: "FROM", value: ({ from }) => from },
    { header: "TO", value: ({ to }) => to },
    { header: "PORT", value: ({ port }) => port },
    { header: "ALLOWED", value: ({ answer }) => word(answer) },
    { header: "POLICIES", value: ({ answer }) => answer.policies.join(","), wide: true },
    { header: "REASON", value: ({ answer }) => answer.reason, wide: true },
  ];
  return formatTable(table, pairs, wide);
}

export type Lines = "json" | "csv" | "yaml";

/** A pipe that is full holds this up, so a thousand pods' cells are never in memory at once. */
export async function printCells(reach: Reach, asked: Asked, form: Lines): Promise<void> {
  const textOf = form === "csv" ? csvLine : jsonLine;
  let chunk = form === "csv" ? `${CSV_HEADER}\n` : "";
  for (const cell of cellsOf(reach, asked)) {
    chunk += form === "yaml" ? `---\n${await yamlText(plain(cell))}` : `${textOf(cell)}\n`;
    if (chunk.length < CHUNK_CHARS) continue;
    await print(chunk);
    chunk = "";
  }
  if (chunk !== "") await print(chunk);
}

/** A public contract: fields are only ever added. */
function plain({ from, to, port, protocol, answer }: Cell<Answer>) {
  const { allowed, policies, reason } = answer;
  return { from, to, port, protocol, allowed, policies, reason };
}

function jsonLine(cell: Cell<Answer>): string {
  return JSON.stringify(plain(cell));
}

const CSV_HEADER = "from,to,port,protocol,allowed,policies,reason";

function csvLine(cell: Cell<Answer>): string {
  const { from, to, port, protocol, allowed, policies, reason } = plain(cell);
  return [from, to, port, protocol, allowed, policies.join(" "), reason].map(csvField).join(",");
}

/** RFC 4180. */
function csvField(value: string | number | boolean): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
