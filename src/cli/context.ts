// What every command has in common: global flags, printing in the wanted form, progress on a terminal.
import type { Command } from "commander";
import { checkLabName } from "../lab/net/names.ts";
import { usageError } from "./errors.ts";
import { type Column, formatTable } from "./table.ts";

export type OutputForm = "table" | "wide" | "json" | "yaml";
export const OUTPUT_FORMS: readonly OutputForm[] = ["table", "wide", "json", "yaml"];
export const DEFAULT_LAB = "default";

export interface Globals {
  output: OutputForm;
  /** The lab of --lab or $PODWIRE_LAB; undefined when neither is given. */
  lab: string | undefined;
  /** The agent's socket of --agent or $PODWIRE_AGENT; undefined when neither is given, or a lab is. */
  agent: string | undefined;
  verbose: boolean;
}

/** The global flags, wherever they stood on the command line. */
export function globals(command: Command): Globals {
  const { output } = command.optsWithGlobals() as Record<string, unknown>;
  if (output !== undefined && !OUTPUT_FORMS.includes(output as OutputForm)) {
    throw usageError(`-o ${String(output)}: unknown output form: use one of ${OUTPUT_FORMS.join(", ")}`);
  }
  return {
    ...globalsButOutput(command),
    output: (output as OutputForm | undefined) ?? "table",
  };
}

/** For commands that have output forms of their own, which the check of `globals` must not see. */
export function globalsButOutput(command: Command): Globals {
  const { lab, agent, verbose } = command.optsWithGlobals() as Record<string, unknown>;
  if (lab !== undefined) checkLabName(String(lab));
  if (agent === "") throw usageError("--agent: no socket is named: leave it out, or name one");
  return { output: "table", ...whereFrom(lab, agent), verbose: verbose === true };
}

/** Whom to ask: what the command line says, else what the environment says; a lab before an agent. */
export function whereFrom(
  lab: unknown,
  agent: unknown,
  env: NodeJS.ProcessEnv = process.env,
): Pick<Globals, "lab" | "agent"> {
  if (lab !== undefined && agent !== undefined)
    throw usageError("--lab and --agent name two places to ask: leave one of them out");
  if (lab !== undefined) return { lab: lab as string, agent: undefined };
  if (agent !== undefined) return { lab: undefined, agent: agent as string };
  const named = env.PODWIRE_LAB || undefined;
  return { lab: named, agent: named === undefined ? env.PODWIRE_AGENT || undefined : undefined };
}

/** Prints to stdout; resolves when it is written, so that a pipe that is full holds the command up. */
export function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text.endsWith("\n") ? text : `${text}\n`, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

/** What YAML 1.1 wants escaped, or takes for the end of a line. */
const ESCAPED = /[\u007f-\u009f\u2028\u2029\ufeff]/g;

/**
 * Texts that readers of YAML 1.1, kubectl among them, would take for something else (yes, 0644, 12:30) are quoted, and
 * what they would refuse is escaped.
 */
export async function yamlText(data: unknown): Promise<string> {
  return (await yamlWriter())(data);
}

/** The same for many, one after the other. */
async function yamlWriter(): Promise<(data: unknown) => string> {
  const { Document, visit } = await import("yaml");
  const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return (data) => {
    const document = new Document(data, { aliasDuplicateObjects: false, compat: "yaml-1.1" });
    visit(document, {
      Scalar: (_, node) => {
        if (typeof node.value === "string" && node.value.search(ESCAPED) >= 0) node.type = "QUOTE_DOUBLE";
      },
    });
    return document.toString({ lineWidth: 0 }).replace(ESCAPED, escaped);
  };
}

/** One record of a stream: a line of JSON, a YAML document, or the lines for people. */
export async function recordText<T>(
  form: OutputForm,
  record: (one: T) => unknown,
  lines: (one: T) => string,
): Promise<(one: T) => string> {
  if (form === "json") return (one) => JSON.stringify(record(one));
  if (form !== "yaml") return lines;
  const yaml = await yamlWriter();
  return (one) => `---\n${yaml(record(one)).trimEnd()}`;
}

/** The same data as JSON or YAML, or as a table of these rows. */
export async function printData<T>(
  form: OutputForm,
  data: unknown,
  columns: Column<T>[],
  rows: T[],
): Promise<void> {
  if (form === "json") return print(JSON.stringify(data, null, 2));
  if (form === "yaml") {
    return print(await yamlText(data));
  }
  await print(formatTable(columns, rows, form === "wide"));
}

/** One line of progress that rewrites itself, on a terminal only. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** A line for people: stderr, above the progress line. */
export function note(text: string): void {
  progress("");
  process.stderr.write(`${text}\n`);
}

const said = new Set<string>();

/** A command line begins: nothing has been said. */
export function forgetNotes(): void {
  said.clear();
}

/** For lines that several readings of the same files come to. */
export function noteOnce(lines: readonly string[]): void {
  for (const line of lines) {
    if (said.has(line)) continue;
    said.add(line);
    note(line);
  }
}
