// scripts/fuzz: arguments in, seed and result out. Exit code 0: nothing found, 1: a finding, 2: wrong
// arguments.
import { loadNative } from "../../native/binding.ts";
import * as offloadTwin from "../../wire/bytes/offload.ts";
import { toHex } from "../frames/bytes.ts";
import { type FuzzSubject, fuzz, targets } from "./fuzz.ts";
import { runGatewayFuzz } from "./fuzz-gateway.ts";
import { runHostile } from "./fuzz-hostile.ts";
import { type FuzzCommand, readCommand, USAGE } from "./fuzz-options.ts";
import { hostileText } from "./fuzz-report.ts";
import { runTap } from "./fuzz-tap.ts";

async function main(): Promise<number> {
  const command = readCommand(process.argv.slice(2));
  switch (command.what) {
    case "help":
      console.log(USAGE);
      return 0;
    case "refused":
      console.error(`fuzz: ${command.reason}\n${USAGE}`);
      return 2;
    case "timed":
      return timed(command);
    case "attacks":
      return attacks(command);
    default:
      return counted(command);
  }
}

function timed({ target, seed, seconds }: Extract<FuzzCommand, { what: "timed" }>): number {
  console.log(`fuzz: target ${target}, seed ${seed}, ${seconds} s`);
  const { runs, finding } = fuzz({ ...(targets.get(target) as FuzzSubject), seed, seconds });
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

async function counted(command: Extract<FuzzCommand, { what: "counted" }>): Promise<number> {
  const { target, seed, frames, offload, sanitize } = command;
  const variant = target === "tap" ? "" : sanitize ? ", addon under sanitizers" : `, offload ${offload}`;
  console.log(`fuzz: target ${target}, seed ${seed}, ${frames} frames${variant}`);
  const { lines, findings } =
    target === "tap" ? await runTap({ seed, frames }) : hostile(seed, frames, offload === "c");
  for (const line of lines) console.log(`fuzz: ${line}`);
  return told(findings);
}

function told(findings: readonly string[]): number {
  for (const finding of findings) console.log(`fuzz: FOUND: ${finding}`);
  if (findings.length === 0) console.log("fuzz: nothing found");
  return findings.length === 0 ? 0 : 1;
}

async function attacks({ seed, seconds }: Extract<FuzzCommand, { what: "attacks" }>): Promise<number> {
  console.log(`fuzz: target gateway, seed ${seed}, ${seconds} s each`);
  const { findings } = await runGatewayFuzz({ seed, seconds, tell: (line) => console.log(`fuzz: ${line}`) });
  return told(findings);
}

function hostile(
  seed: number,
  frames: number,
  inC: boolean,
): { lines: string[]; findings: readonly string[] } {
  const report = runHostile({ seed, frames, offload: inC ? loadNative() : offloadTwin });
  return { lines: hostileText(report), findings: report.findings };
}

process.exitCode = await main();
