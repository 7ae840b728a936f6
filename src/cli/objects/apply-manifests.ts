// What apply and create have in common.
import type { Command } from "commander";
import { CliError, usageError } from "../errors.ts";
import { runningLab } from "../running-lab.ts";
import { addDryRun, strategyOf } from "./dry-run.ts";
import { collect, namespaceBody, readAll } from "./manifests.ts";
import { type Outcomes, outcomeForm, printOutcomes } from "./outcomes.ts";

interface Flags {
  filename?: string[];
  namespace?: string;
  dryRun?: string;
}

export function applyOptions(command: Command): Command {
  command
    .option("-f, --filename <file>", "file, directory, or - for standard input; may be repeated", collect)
    .option("-n, --namespace <namespace>", "namespace of the objects (default: their own, or default)");
  return addDryRun(command);
}

export async function sendManifests(verb: "apply" | "create", flags: Flags, command: Command): Promise<void> {
  const { filename, namespace } = flags;
  if (filename === undefined) throw usageError(`${verb}: which manifests? podwire ${verb} -f FILE`);
  const dryRun = strategyOf(flags.dryRun);
  const form = outcomeForm(command);
  const lab = runningLab(form);
  const body = {
    manifests: readAll(filename),
    ...namespaceBody(namespace),
    create: verb === "create",
    dryRun: dryRun !== "none",
  };
  const answer = await lab.call<Outcomes>({ method: "POST", path: "/apply", body });
  if (answer.items.length + answer.notes.length === 0)
    throw new CliError(`${verb}: no objects in ${filename.join(", ")}: nothing was applied`);
  await printOutcomes(form, answer, dryRun);
}
