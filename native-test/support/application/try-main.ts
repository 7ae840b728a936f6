// scripts/try-application: a lab, somebody's manifests in it, and whether all of it comes up and hears its names.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Command, Option } from "commander";
import { aboveZero, atLeastOne } from "../../../src/bench/numbers.ts";
import { TestLab } from "../../../src/testing/lab/lab.ts";
import { type Result, run } from "../../../src/testing/lab/process.ts";
import "../../../src/testing/runner/end-on-signal.ts";
import { reachServices } from "./reach-services.ts";
import { awaitWorkloads } from "./workload-state.ts";

const APPLY_MS = 120_000;

interface Options {
  nodes: number;
  seconds: number;
  name: string;
  namespace?: string;
  by: string;
  keep: boolean;
}

const command = new Command("try-application")
  .description(
    "applies manifests to a lab of their own and says whether everything in them comes up (needs root)",
  )
  .argument("<files...>", "manifests; a folder means all in it")
  .option("--nodes <n>", "nodes of the lab", atLeastOne, 3)
  .option("--seconds <n>", "how long to wait until all is ready", aboveZero, 120)
  .option("--name <lab>", "of the lab: t-NAME", "try")
  .option("--namespace <name>", "of objects that name none; it is made")
  .addOption(
    new Option("--by <program>", "what applies them").choices(["kubectl", "podwire"]).default("kubectl"),
  )
  .option("--keep", "leaves the lab", false)
  .exitOverride((stop) => process.exit(stop.exitCode === 0 ? 0 : 2));

command.parse();
const options = command.opts<Options>();
const lab = await TestLab.up(options.name, {
  nodes: Array.from({ length: options.nodes }, (_, i) => ({ name: `node${i + 1}` })),
  dns: { forward: "none" },
});
try {
  process.exitCode = (await tryFiles(lab, command.args)) ? 0 : 3;
} finally {
  if (options.keep) console.log(`lab ${lab.name} is left`);
  else await lab.down();
}

async function tryFiles(lab: TestLab, files: readonly string[]): Promise<boolean> {
  const began = Date.now();
  const applied = await applyAll(lab, files);
  const said = applied.stderr.trimEnd().split("\n");
  for (const line of said.filter((line) => line !== "")) console.log(`  ${line}`);
  console.log(`applied ${applied.stdout.trim().split("\n").length} objects: status ${applied.status}`);
  const { ready, waiting } = await awaitWorkloads(lab, options.seconds * 1000);
  console.log(
    `${ready.length} workloads ready, ${waiting.length} not, ${((Date.now() - began) / 1000).toFixed(1)} s`,
  );
  for (const line of waiting) console.log(`  not ready: ${line}`);
  const reached = await reachServices(lab);
  const { pods, names, connections, failed } = reached;
  console.log(`${pods} pods asked for ${names} names, ${connections} connections: ${failed.length} failed`);
  for (const line of failed) console.log(`  ${line}`);
  return applied.status === 0 && waiting.length === 0 && failed.length === 0;
}

async function applyAll(lab: TestLab, files: readonly string[]): Promise<Result> {
  const { namespace } = options;
  const words: string[] = [
    "apply",
    ...files.flatMap((file) => ["-f", file]),
    ...(namespace === undefined ? [] : ["-n", namespace]),
  ];
  const kubeconfig = join(lab.folder, "kubeconfig");
  await writeFile(kubeconfig, await lab.output(["kubeconfig"]), { mode: 0o600 });
  const env = { KUBECONFIG: kubeconfig, HOME: lab.folder };
  if (namespace !== undefined) await run(["kubectl", "create", "namespace", namespace], { env });
  if (options.by === "podwire") return lab.podwire(words, { timeoutMs: APPLY_MS });
  // Folders of applications hold one another's files: kubectl looks into them.
  return run(["kubectl", ...words, "-R"], { env, timeoutMs: APPLY_MS });
}
