// scripts/kubectl-verbs: a lab, several kubectls, and what becomes of each verb by each of them.
import { Command } from "commander";
import { TestLab } from "../../../src/testing/lab/lab.ts";
import "../../../src/testing/runner/end-on-signal.ts";
import { Kubectl } from "./kubectl.ts";
import { MACHINE_TRIALS, makePods } from "./machine-trials.ts";
import { makeWeb, OBJECT_TRIALS } from "./object-trials.ts";
import { type Cell, tableText, tryVerb } from "./trial.ts";

interface Options {
  name: string;
  only?: string;
}

const command = new Command("kubectl-verbs")
  .description("tries kubectl's verbs on a lab and prints what became of each as a table (needs root)")
  .argument("<programs...>", "kubectls")
  .option("--name <lab>", "of the lab: t-NAME", "verbs")
  .option("--only <text>", "the verbs that have this text in their names")
  .exitOverride((stop) => process.exit(stop.exitCode === 0 ? 0 : 2));

command.parse();
const { name, only = "" } = command.opts<Options>();
const trials = [...OBJECT_TRIALS, ...MACHINE_TRIALS].filter(({ verb }) => verb.includes(only));
const lab = await TestLab.up(name, { dns: { forward: "none" } });
try {
  process.exitCode = (await tryAll(command.args)) ? 0 : 3;
} finally {
  await lab.down();
}

/** One kubectl after another: some of what they do is to nodes, which they share. */
async function tryAll(programs: readonly string[]): Promise<boolean> {
  const columns: { version: string; cells: Cell[] }[] = [];
  for (const program of programs) {
    const kubectl = await Kubectl.open(program, lab);
    await makeWeb(kubectl);
    await makePods(kubectl);
    const cells: Cell[] = [];
    for (const trial of trials) {
      const cell = await tryVerb(trial, kubectl);
      if (cell.is === "failed") console.error(`kubectl ${kubectl.version}: ${trial.verb}: ${cell.why}`);
      cells.push(cell);
    }
    columns.push({ version: kubectl.version, cells });
    await lab.podwire(["delete", "namespace", kubectl.namespace, "--grace-period", "1"], {
      timeoutMs: 120_000,
    });
  }
  const rows = trials.map(({ verb }, i) => [verb, columns.map(({ cells }) => cells[i])] as const);
  console.log(
    tableText(
      columns.map(({ version }) => version),
      rows,
    ),
  );
  return columns.every(({ cells }) => cells.every(({ is }) => is !== "failed"));
}
