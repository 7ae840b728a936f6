// podwire show TABLE [--node NODE]: the live tables of the agents.
import { Argument, type Command } from "commander";
import { SHOW_TABLES } from "../../api/show-tables.ts";
import { globals, note, printData } from "../context.ts";
import { askAgent, chooseAgents } from "../nodes/nodes.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import type { Column } from "../table.ts";

type Row = Record<string, unknown>;

/** What of a table fits a terminal; the rest comes with -o wide. Tables that are not named are narrow enough. */
const NARROW: Readonly<Record<string, readonly string[]>> = {
  ports: ["node", "name", "mtu", "state", "rxPackets", "rxDrops", "txPackets", "txDrops", "error"],
};

export function register(program: Command): void {
  program
    .command("show")
    .description("the live tables of a node")
    .addArgument(new Argument("<table>", "which one").choices(SHOW_TABLES))
    .option("--node <name>", "only this node (default: all)")
    .action(async (table: string, flags: { node?: string }, command: Command) => {
      const agents = chooseAgents(await openNodes(globals(command)), flags.node, "show");
      const answers = await Promise.all(
        agents.map(async (agent) => {
          const { items } = await askAgent<{ items: Row[] }>(agent, `/show/${table}`);
          return items.map((item): Row => ({ node: agent.name, ...item }));
        }),
      );
      const rows = answers.flat();
      const { output } = globals(command);
      if (rows.length === 0 && (output === "table" || output === "wide")) return note(`No ${table}.`);
      await printData(output, { kind: table, items: rows }, columnsOf(rows, table), rows);
    });
}

/**
 * One column a field, in the order in which fields first appear, some of them with -o wide alone. A structure
 * inside is written as JSON.
 */
export function columnsOf(rows: Row[], table: string): Column<Row>[] {
  const narrow = NARROW[table];
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return keys.map((key) => ({
    header: headerOf(key),
    value: (row) => cell(row[key]),
    wide: narrow !== undefined && !narrow.includes(key),
  }));
}

/** expiresInSec → EXPIRES-IN-SEC. */
function headerOf(key: string): string {
  return key.replaceAll(/([a-z0-9])([A-Z])/g, "$1-$2").toUpperCase();
}

function cell(value: unknown): string | number | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "number" || typeof value === "string") return value;
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) return value.join(",");
  return typeof value === "boolean" ? String(value) : JSON.stringify(value);
}
