// scripts/policy-live: policies under change, for as long as one has time for. Exit status 3 when something is not as
// promised.
import { spawnSync } from "node:child_process";
import { PODWIRE } from "../../../src/testing/lab/lab.ts";
import { judgeOptions, number, SEED } from "../judge-options.ts";
import { type GateReports, Gates, gateFaults } from "./gates.ts";
import { liveChanges, liveFaults } from "./live-changes.ts";
import { cutFaults, recheckCuts } from "./recheck.ts";

const SHOWN = 20;
const LAB = "policy-live";
const PARTS = ["changes", "recheck", "pods", "restarts"] as const;

const { values } = judgeOptions(
  "policy-live",
  {
    changes: number("1000"),
    "per-sec": number("200"),
    pause: number("100"),
    rounds: number("10"),
    pods: number("200"),
    restarts: number("3"),
    seed: SEED,
    only: {
      value: "all",
      pattern: /^(all|changes|recheck|pods|restarts)$/,
      what: `one of ${PARTS.join(", ")}`,
    },
  },
  { name: "verbose", short: "v" },
);

// A lab outlives who made it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    spawnSync(PODWIRE, ["--lab", `t-${LAB}`, "lab", "down"]);
    process.exit(1);
  });
}

const faults: string[] = [];
const progress = (text: string): void => console.error(`policy-live: ${text}`);
const wants = (part: (typeof PARTS)[number]): boolean => values.only === "all" || values.only === part;

async function changes(): Promise<void> {
  const report = await liveChanges(LAB, {
    changes: Number(values.changes),
    seed: Number(values.seed),
    perSec: Number(values["per-sec"]),
    pauseMs: Number(values.pause),
    progress,
  });
  const { verdict, stream, inForceMs } = report;
  const kinds = Object.entries(report.changes).map(([what, count]) => `${count} ${what}`);
  console.log(
    `changes (seed ${values.seed}): ${values.changes} in ${report.seconds.toFixed(0)} s: ${kinds.join(", ")}`,
  );
  console.log(
    `  in force on both nodes after ${inForceMs.map((ms) => ms.toFixed(1)).join(" ms (median), ")} ms (longest)`,
  );
  console.log(
    `  ${report.questions} questions, ${report.passed} passed: ${(report.questions / report.seconds).toFixed(0)}/s`,
  );
  console.log(
    `  allowed by every state: ${verdict.allowed}; denied by every state: ${verdict.denied}; either: ${verdict.either}`,
  );
  console.log(`  wrong: ${verdict.wrong.length}`);
  console.log(`  the stream: ${stream.mbits.toFixed(0)} Mbit/s, ${stream.stalls} seconds without a byte`);
  faults.push(...liveFaults(report));
}

async function recheck(): Promise<void> {
  const cuts = await recheckCuts(LAB, Number(values.rounds));
  const after = cuts.map(({ afterMs }) => afterMs).sort((a, b) => a - b);
  const [median, longest] = [after[after.length >> 1], after[after.length - 1]];
  console.log(
    `recheck: ${cuts.length} streams cut; the last packet that passed was sent, after the change was in the planes: ` +
      `${median.toFixed(2)} ms (median), ${longest.toFixed(2)} ms (longest)`,
  );
  faults.push(...cutFaults(cuts));
}

function tellGates(what: string, { closed, open }: GateReports): void {
  console.log(`${what}:`);
  for (const [name, gate] of Object.entries({ closed, open })) {
    const { pods, knocks, cameIn, sent, cameOut } = gate;
    console.log(
      `  ${pods} ${name} pods: ${knocks} knocks at them, ${cameIn} came in; ${sent} by them, ${cameOut} came out`,
    );
  }
  faults.push(...gateFaults({ closed, open }).map((fault) => `${what}: ${fault}`));
}

async function gates(): Promise<void> {
  const gates = await Gates.up(LAB);
  try {
    if (wants("pods")) tellGates("pod starts", await gates.podStarts(Number(values.pods), progress));
    if (wants("restarts")) await restarts(gates);
  } finally {
    await gates.down();
  }
}

async function restarts(gates: Gates): Promise<void> {
  const count = Number(values.restarts);
  const reports = await gates.agentRestarts(count);
  tellGates(`${count} restarts of each node's agent`, reports);
  const { open, openAfter } = reports;
  console.log(`  a second later: ${openAfter.cameIn - open.cameIn} more came into open pods`);
  if (openAfter.cameIn <= open.cameIn) faults.push("restarts: open pods are not reached any more");
}

if (wants("changes")) await changes();
if (wants("recheck")) await recheck();
if (wants("pods") || wants("restarts")) await gates();
for (const fault of faults.slice(0, SHOWN)) console.log(`broken: ${fault}`);
console.log(faults.length === 0 ? "all as promised" : `${faults.length} things are not as promised`);
process.exitCode = faults.length === 0 ? 0 : 3;
