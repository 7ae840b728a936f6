// scripts/fuzz: arguments in, seed and result out. Exit code 0: nothing found, 1: a finding, 2: wrong
// arguments.
import { parseArgs } from "node:util";
import { toHex } from "./bytes.ts";
import { fuzz, targets } from "./fuzz.ts";

const USAGE = `usage: scripts/fuzz [--seconds N] [--seed N] [--target ${[...targets.keys()].join("|")}]`;
const MAX_SECONDS = 86_400;

function main(): number {
  let values: { seconds?: string; seed?: string; target?: string; help?: boolean };
  try {
    const text = { type: "string" } as const;
    const options = { seconds: text, seed: text, target: text, help: { type: "boolean" } } as const;
    ({ values } = parseArgs({ options }));
  } catch (error) {
    return refuse(String(error instanceof Error ? error.message : error));
  }
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const seconds = Number(values.seconds ?? 10);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const target = values.target ?? "wire";
  const subject = targets.get(target);
  if (!(seconds > 0 && seconds <= MAX_SECONDS)) return refuse(`--seconds is 1 to ${MAX_SECONDS}`);
  if (!Number.isSafeInteger(seed)) return refuse("--seed is an integer");
  if (subject === undefined) return refuse(`there is no target ${target}`);
  console.log(`fuzz: target ${target}, seed ${seed}, ${seconds} s`);
  const { runs, finding } = fuzz({ ...subject, seed, seconds });
  if (finding === undefined) {
    console.log(`fuzz: ${runs} frames, nothing found`);
    return 0;
  }
  console.log(
    `fuzz: frame ${finding.run}: ${finding.error instanceof Error ? finding.error.stack : finding.error}`,
  );
  console.log(`fuzz: ${toHex(finding.frame)}`);
  return 1;
}

function refuse(reason: string): number {
  console.error(`fuzz: ${reason}\n${USAGE}`);
  return 2;
}

process.exitCode = main();
