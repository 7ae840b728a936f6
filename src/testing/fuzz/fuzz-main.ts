// scripts/fuzz: arguments in, seed and result out. Exit code 0: nothing found, 1: a finding, 2: wrong
// arguments.
import { parseArgs } from "node:util";
import { loadNative } from "../../native/binding.ts";
import * as offloadTwin from "../../wire/bytes/offload.ts";
import { toHex } from "../frames/bytes.ts";
import { fuzz, targets } from "./fuzz.ts";
import { runHostile } from "./fuzz-hostile.ts";
import { hostileText } from "./fuzz-report.ts";
import { runTap } from "./fuzz-tap.ts";

const USAGE = `usage: scripts/fuzz [--target TARGET] [--seed N] [--seconds N | --frames N] [--offload c|ts] [--sanitize]

Feeds frames gone wrong to parsers and data plane until the time is up or something is found. The seed is printed; the
same seed makes the same frames. Exit 0: nothing found, 1: a finding, with the frame in hexadecimal, 2: wrong arguments.

targets:
  wire       every parser, one frame at a time (default)
  pipeline   one node; what good frames become is checked
  overlay    two nodes on one switch, frames in bursts
  hostile    --frames N (default 1000000) through one node's whole pipeline at the speed of the plane: random bytes,
             changed captures, fragments, every length cut, lengths that lie, options, extension headers, loops,
             tunnels in tunnels, superframes that are none. Fails on an exception, a write outside a packet slot,
             a frame without a fate or a reason, a good frame that leaves wrong, memory that grows, slots that do
             not come back, and a node that does not work afterwards. Prints frames/s and the drops by reason.
  tap        --frames N (default 1000000) of the same frames from a pod's network namespace over its TAP into a
             running agent (needs root): the agent must live, count no internal error, and forward as before.

options:
  --seconds N   for wire, pipeline, overlay: how long (default 10)
  --offload c   for hostile: sums and cutting by the addon (default), or ts: by its twin in TypeScript
  --sanitize    for hostile: the addon is built and run under AddressSanitizer and UBSan (slower: use fewer frames)`;
const MAX_SECONDS = 86_400;
const MAX_FRAMES = 10_000_000_000;
const FRAMES = 1_000_000;

interface Values {
  readonly seconds?: string;
  readonly frames?: string;
  readonly seed?: string;
  readonly target?: string;
  readonly offload?: string;
  readonly sanitize?: boolean;
  readonly help?: boolean;
}

async function main(): Promise<number> {
  let values: Values;
  try {
    const text = { type: "string" } as const;
    const flag = { type: "boolean" } as const;
    const options = { seconds: text, frames: text, seed: text, target: text, offload: text } as const;
    ({ values } = parseArgs({ options: { ...options, sanitize: flag, help: flag } }));
  } catch (error) {
    return refuse(String(error instanceof Error ? error.message : error));
  }
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  if (!Number.isSafeInteger(seed)) return refuse("--seed is an integer");
  const target = values.target ?? "wire";
  if (target === "hostile" || target === "tap") return counted(target, seed, values);
  return timed(target, seed, values);
}

function timed(target: string, seed: number, values: Values): number {
  const seconds = Number(values.seconds ?? 10);
  const subject = targets.get(target);
  if (!(seconds > 0 && seconds <= MAX_SECONDS)) return refuse(`--seconds is 1 to ${MAX_SECONDS}`);
  if (subject === undefined) return refuse(`there is no target ${target}`);
  if (values.frames !== undefined || values.offload !== undefined || values.sanitize)
    return refuse(`target ${target} takes --seconds and --seed only`);
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

async function counted(target: "hostile" | "tap", seed: number, values: Values): Promise<number> {
  const frames = Number(values.frames ?? FRAMES);
  const offload = values.offload ?? "c";
  if (!(Number.isSafeInteger(frames) && frames > 0 && frames <= MAX_FRAMES))
    return refuse(`--frames is 1 to ${MAX_FRAMES}`);
  if (offload !== "c" && offload !== "ts") return refuse("--offload is c or ts");
  if (values.seconds !== undefined) return refuse(`target ${target} takes --frames, not --seconds`);
  const variant =
    target === "tap" ? "" : values.sanitize ? ", addon under sanitizers" : `, offload ${offload}`;
  console.log(`fuzz: target ${target}, seed ${seed}, ${frames} frames${variant}`);
  const { lines, findings } =
    target === "tap" ? await runTap({ seed, frames }) : hostile(seed, frames, offload === "c");
  for (const line of lines) console.log(`fuzz: ${line}`);
  for (const finding of findings) console.log(`fuzz: FOUND: ${finding}`);
  if (findings.length === 0) console.log("fuzz: nothing found");
  return findings.length === 0 ? 0 : 1;
}

function hostile(
  seed: number,
  frames: number,
  inC: boolean,
): { lines: string[]; findings: readonly string[] } {
  const report = runHostile({ seed, frames, offload: inC ? loadNative() : offloadTwin });
  return { lines: hostileText(report), findings: report.findings };
}

function refuse(reason: string): number {
  console.error(`fuzz: ${reason}\n${USAGE}`);
  return 2;
}

process.exitCode = await main();
