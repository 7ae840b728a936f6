// The policy benchmark: what policies cost whoever compiles them, whoever waits for a change, and a packet; and what is
// promised of that. Each part runs in a process of its own; one that misses a promise is tried three times.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { asInstalled } from "../programs.ts";
import { BenchError } from "../shell.ts";
import { CLUSTER, type LoadResult } from "./policy-load.ts";
import { type PacketResult, SIZES } from "./policy-packets.ts";

const PROMISED = {
  ...{ compileMs: 3000, memoryMiB: 100, changeMs: 5, acrossMs: 50, heldMs: 0.5, cutMs: 5 },
  ...{ firstNs: 60, knownNs: 10 }, // 10: what two runs of the same differ by
};
const TRIES = 3;

export interface PolicyFigure {
  readonly what: string;
  readonly unit: "ms" | "MiB" | "ns";
  readonly value: number;
  readonly promised: number | undefined;
}

async function run<T>(part: string): Promise<T> {
  const program = asInstalled("bench/policy/policy-main.js");
  try {
    const args = ["--expose-gc", program, part];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 600_000 });
    return JSON.parse(stdout) as T;
  } catch (cause) {
    throw new BenchError(`policy ${part}: ${(cause as Error).message}`, { cause });
  }
}

const PARTS: Readonly<Record<string, () => Promise<PolicyFigure[]>>> = {
  all: async () => loadFigures("all nodes' pods", await run<LoadResult>("all"), false),
  one: async () => loadFigures("one node's pods", await run<LoadResult>("one"), true),
  packets: async () => packetFigures(await run<PacketResult>("packets")),
};

/** All of them; with `check`, a part whose promises do not hold again, and its best counts. */
export async function measurePolicy(
  check: boolean,
  progress: (text: string) => void,
): Promise<PolicyFigure[]> {
  const figures: PolicyFigure[] = [];
  for (const [name, measure] of Object.entries(PARTS)) {
    progress(`policy: ${name}`);
    let found = await measure();
    for (let n = 1; check && n < TRIES && brokenPolicy(found).length > 0; n++) {
      const again = await measure();
      found = found.map((one, i) => (again[i].value < one.value ? again[i] : one));
    }
    figures.push(...found);
  }
  return figures;
}

/** `isPromised`: a plane decides for the pods of one node; who asks about all has no packets that wait. */
export function loadFigures(who: string, load: LoadResult, isPromised: boolean): PolicyFigure[] {
  const held = isPromised ? PROMISED.heldMs : undefined;
  const promisedMs = isPromised ? PROMISED.changeMs : undefined;
  const change = (
    what: string,
    { ms, longestMs, cpuMs, heldMs, heldCpuMs }: LoadResult["pod"],
    promised = promisedMs,
  ) => [
    figure(`${who}: ${what}, until the plane works with it, median`, "ms", ms),
    figure(`${who}: ${what}, longest`, "ms", longestMs),
    figure(`${who}: ${what}, processor time`, "ms", cpuMs, promised),
    figure(`${who}: ${what}, packets wait`, "ms", heldMs),
    figure(`${who}: ${what}, packets wait, processor time`, "ms", heldCpuMs, held),
  ];
  return [
    figure(`${who}: compile, processor time`, "ms", load.compileCpuMs, PROMISED.compileMs),
    figure(`${who}: memory`, "MiB", load.memoryMiB, PROMISED.memoryMiB),
    figure(`${who}: longest step of the main thread`, "ms", load.stepMs),
    figure(`${who}: the same, processor time`, "ms", load.stepCpuMs),
    figure(`${who}: packets wait for the load`, "ms", load.heldMs),
    figure(`${who}: the same, processor time`, "ms", load.heldCpuMs, held),
    ...change("one pod's label", load.pod),
    ...change("one policy", load.policy),
    ...change("one namespace's label", load.namespace),
    ...change("a block of outside", load.blockOutside),
    ...change("a block of all pods", load.blockAround),
    ...change("a block of some pods", load.blockAcross, isPromised ? PROMISED.acrossMs : undefined),
  ];
}

export function packetFigures({ first, known, firstMore, knownMore, cutMs }: PacketResult): PolicyFigure[] {
  const of = (what: string, all: readonly number[], more: readonly number[], promised: number) =>
    SIZES.flatMap((count, i) => [
      figure(`${what}, ${count} policies`, "ns", all[i]),
      ...(i === 0
        ? []
        : [figure(`${what}, ${count} policies, more than without`, "ns", more[i - 1], promised)]),
    ]);
  return [
    ...of("first packet of a connection", first, firstMore, PROMISED.firstNs),
    ...of("packet of a known connection", known, knownMore, PROMISED.knownNs),
    figure("recheck: from a policy to the cut, median", "ms", cutMs[0], PROMISED.cutMs),
    figure("recheck: from a policy to the cut, longest", "ms", cutMs[1]),
  ];
}

function figure(what: string, unit: PolicyFigure["unit"], value: number, promised?: number): PolicyFigure {
  return { what, unit, value, promised };
}

/** One sentence for every promise that does not hold. */
export function brokenPolicy(figures: readonly PolicyFigure[]): string[] {
  return figures.flatMap(({ what, unit, value, promised }) =>
    promised !== undefined && value > promised
      ? [`policy ${what}: ${value.toFixed(2)} ${unit}, promised ${promised}`]
      : [],
  );
}

export function formatPolicy(figures: readonly PolicyFigure[]): string {
  const { policies, pods, classes } = CLUSTER;
  const lines = figures.map(({ what, unit, value, promised }) => {
    const text = `${value.toFixed(2).padStart(9)} ${unit.padEnd(3)}`;
    return `${what.padEnd(72)} ${text}${promised === undefined ? "" : `  promised ${promised}`}`;
  });
  return [`${policies} policies, ${pods} pods in ${classes} classes`, ...lines].join("\n");
}
