// podwire policy matrix: who can reach whom, by policies alone, and whether that is what somebody expects.
import type { Command } from "commander";
import { type End, type Port, portText } from "../../offline/policy/ends.ts";
import {
  type Expectation,
  failuresOf,
  readExpectations,
  readPort,
} from "../../offline/policy/expectations.ts";
import type { Asked } from "../../offline/policy/matrix.ts";
import { Reach } from "../../offline/policy/reach.ts";
import { refuseTwice } from "../../watch/input.ts";
import { globalsButOutput, note, print } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { named, readObjects, readOne } from "../objects/manifests.ts";
import { refuseAgentAndFiles } from "../offline/offline-cluster.ts";
import { type Lines, matrixTable, printCells } from "./matrix-output.ts";
import { EndFinder, policyObjects } from "./policy-world.ts";

export interface MatrixOptions {
  file?: string[];
  port?: string[];
  from?: string[];
  to?: string[];
  expect?: string;
  world?: boolean;
}

const MATRIX_FORMS = ["table", "wide", "json", "csv", "yaml"] as const;
type Form = (typeof MATRIX_FORMS)[number];

export async function matrix(options: MatrixOptions, command: Command): Promise<void> {
  const form = formOf(command);
  const flags = globalsButOutput(command);
  const { file: files, expect } = options;
  refuseAgentAndFiles(command, files);
  refuseTwice([...named("-f", files), ...named("--expect", expect)]);
  const ports = portsOf(options.port);
  const texts = files === undefined ? undefined : readObjects(files);
  const expected = expect === undefined ? undefined : expectationsOf(expect);
  const { objects, hasOverlay } = await policyObjects(flags, texts);
  const finder = new EndFinder(objects, { hasOverlay });
  const everybody = options.world === true ? [...finder.pods, ...finder.others] : finder.pods;
  const asked: Asked = {
    from: options.from === undefined ? everybody : finder.all("--from", options.from),
    to: options.to === undefined ? everybody : finder.all("--to", options.to),
    ports,
    ofPods: options.world === true,
  };
  const reach = new Reach(objects, hasOverlay);
  if (expected === undefined || form !== undefined) await printMatrix(reach, asked, form ?? "table");
  if (expected !== undefined) await judge(reach, finder, { file: expect as string, expected });
}

function formOf(command: Command): Form | undefined {
  const { output } = command.optsWithGlobals() as { output?: string };
  if (output === undefined || MATRIX_FORMS.includes(output as Form)) return output as Form | undefined;
  throw usageError(`-o ${output}: unknown output form: use one of ${MATRIX_FORMS.join(", ")}`);
}

/** Each once. */
export function portsOf(texts: readonly string[] = []): Port[] {
  const ports = texts.map((text) => {
    const port = readPort(text);
    if (port === undefined)
      throw usageError(`--port ${text}: use NUMBER/TCP, NUMBER/UDP, NUMBER/SCTP or ICMP`);
    return port;
  });
  return [...new Map(ports.map((port) => [portText(port), port])).values()];
}

async function printMatrix(reach: Reach, asked: Asked, form: Form): Promise<void> {
  if (asked.from.length === 0 || asked.to.length === 0) note("note: no pods with addresses of their own");
  if (form === "table" || form === "wide") await print(matrixTable(reach, asked, form === "wide"));
  else await printCells(reach, asked, form satisfies Lines);
}

/** All of the file, or nothing: a line that is not understood would be one that holds. */
function expectationsOf(file: string): Expectation[] {
  const { expectations, problems } = readExpectations(readOne(file).text);
  refuseAll(problems.map((problem) => `${file}:${problem}`));
  if (expectations.length > 0) return expectations;
  throw new CliError(`--expect ${file}: no expectations in it: give JSON objects, one a line`);
}

function refuseAll(problems: readonly string[]): void {
  if (problems.length === 0) return;
  for (const text of problems.slice(0, -1)) process.stderr.write(`error: ${text}\n`);
  throw new CliError(problems.at(-1) as string, Exit.FAILED, "POLICY_EXPECTATIONS");
}

async function judge(
  reach: Reach,
  finder: EndFinder,
  { file, expected }: { file: string; expected: readonly Expectation[] },
): Promise<void> {
  const problems: string[] = [];
  const find = ({ line, ...words }: Expectation, field: "from" | "to"): readonly End[] => {
    try {
      return finder.find(`${field}:`, words[field]);
    } catch (error) {
      problems.push(`${file}:${line}: ${(error as Error).message}`);
      return [];
    }
  };
  const failures = failuresOf(reach, expected, find);
  refuseAll(problems);
  for (const { line, text } of failures) process.stderr.write(`${file}:${line}: ${text}\n`);
  const hold = expected.length - failures.length;
  note(`${hold} of ${expected.length} expectations hold`);
  if (failures.length > 0) process.exitCode = Exit.NO;
}
