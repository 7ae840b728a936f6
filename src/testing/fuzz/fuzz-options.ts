// The command line of scripts/fuzz: which target, from which seed, for how long; or why it is refused.
import { parseArgs } from "node:util";
import { targets } from "./fuzz.ts";

export const USAGE = `\
usage: scripts/fuzz [--target TARGET] [--seed N] [--seconds N | --frames N] [--offload c|ts] [--sanitize]

Feeds frames gone wrong to parsers and data plane until the time is up or something is found. The seed is printed; the
same seed makes the same frames. Exit 0: nothing found, 1: a finding, with the frame in hexadecimal, 2: wrong arguments.

targets:
  wire       every parser, one frame at a time (default)
  pipeline   one node; what good frames become is checked
  overlay    two nodes on one switch, frames in bursts
  fast       two clusters that get the same frames and changes, one without the fast path: whatever leaves, and all
             tables and counters, must be the same
  workers    two clusters that get the same frames and changes, one with four engines a node on one set of tables
  hostile    --frames N (default 1000000) through one node's whole pipeline at the speed of the plane: random bytes,
             changed captures, fragments, every length cut, lengths that lie, options, extension headers, loops,
             tunnels in tunnels, superframes that are none. Fails on an exception, a write outside a packet slot,
             a frame without a fate or a reason, a good frame that leaves wrong, memory that grows, slots that do
             not come back, and a node that does not work afterwards. Prints frames/s and the drops by reason.
  tap        --frames N (default 1000000) of the same frames from a pod's network namespace over its TAP into a
             running agent (needs root): the agent must live, count no internal error, and forward as before.
  hello, proxy-header
             what connections to a gateway begin with: ClientHellos of TLS, PROXY headers
  gateway    a running gateway, attacked by each of what clients can do to it, while others ask it on: floods by HTTP/2,
             slow clients, heads and TLS gone wrong, requests that hide others. Fails where others get what is not
             theirs, or late, where a request gets through that should not, where memory grows or connections stay.

options:
  --seconds N   how long (default 10); for gateway: each attack; not for hostile and tap
  --offload c   for hostile: sums and cutting by the addon (default), or ts: by its twin in TypeScript
  --sanitize    for hostile: the addon is built and run under AddressSanitizer and UBSan (slower: use fewer frames)`;
const MAX_SECONDS = 86_400;
const MAX_FRAMES = 10_000_000_000;
const FRAMES = 1_000_000;

export type FuzzCommand =
  | { readonly what: "help" }
  | { readonly what: "refused"; readonly reason: string }
  | { readonly what: "attacks"; readonly seed: number; readonly seconds: number }
  | { readonly what: "timed"; readonly target: string; readonly seed: number; readonly seconds: number }
  | {
      readonly what: "counted";
      readonly target: "hostile" | "tap";
      readonly seed: number;
      readonly frames: number;
      readonly offload: "c" | "ts";
      readonly sanitize: boolean;
    };

interface Values {
  readonly seconds?: string;
  readonly frames?: string;
  readonly seed?: string;
  readonly target?: string;
  readonly offload?: string;
  readonly sanitize?: boolean;
  readonly help?: boolean;
}

const refused = (reason: string): FuzzCommand => ({ what: "refused", reason });

export function readCommand(args: readonly string[]): FuzzCommand {
  let values: Values;
  try {
    const text = { type: "string" } as const;
    const flag = { type: "boolean" } as const;
    const options = { seconds: text, frames: text, seed: text, target: text, offload: text } as const;
    ({ values } = parseArgs({ args: [...args], options: { ...options, sanitize: flag, help: flag } }));
  } catch (error) {
    return refused(String(error instanceof Error ? error.message : error));
  }
  if (values.help) return { what: "help" };
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  if (!Number.isSafeInteger(seed)) return refused("--seed is an integer");
  const target = values.target ?? "wire";
  if (target === "hostile" || target === "tap") return counted(target, seed, values);
  return timed(target, seed, values);
}

function timed(target: string, seed: number, values: Values): FuzzCommand {
  const seconds = Number(values.seconds ?? 10);
  if (!(seconds > 0 && seconds <= MAX_SECONDS)) return refused(`--seconds is 1 to ${MAX_SECONDS}`);
  if (target !== "gateway" && !targets.has(target)) return refused(`there is no target ${target}`);
  if (values.frames !== undefined || values.offload !== undefined || values.sanitize)
    return refused(`target ${target} takes --seconds and --seed only`);
  return target === "gateway" ? { what: "attacks", seed, seconds } : { what: "timed", target, seed, seconds };
}

function counted(target: "hostile" | "tap", seed: number, values: Values): FuzzCommand {
  const frames = Number(values.frames ?? FRAMES);
  const offload = values.offload ?? "c";
  if (!(Number.isSafeInteger(frames) && frames > 0 && frames <= MAX_FRAMES))
    return refused(`--frames is 1 to ${MAX_FRAMES}`);
  if (offload !== "c" && offload !== "ts") return refused("--offload is c or ts");
  if (values.seconds !== undefined) return refused(`target ${target} takes --frames, not --seconds`);
  return { what: "counted", target, seed, frames, offload, sanitize: values.sanitize === true };
}
