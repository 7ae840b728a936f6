// What apply, create and delete answer, in kubectl's words: service/web created. Of a dry run with -o yaml or json it
// the objects themselves, as they would have been stored.
import type { Command } from "commander";
import type { Outcome } from "../../cluster/outcome.ts";
import { type Globals, globals, globalsButOutput, note, print, printData } from "../context.ts";
import { type DryRun, dryRunSuffix } from "./dry-run.ts";
import { document, withoutManagers } from "./get/output.ts";

/** The answer to apply and delete. */
export interface Outcomes {
  items: Outcome[];
  /** Whole lines for whoever called: what was passed over, and what was done although it may be a mistake. */
  notes: string[];
}

export interface OutcomeForm extends Globals {
  /** -o name: names alone. */
  namesOnly: boolean;
}

export function outcomeForm(command: Command): OutcomeForm {
  const { output } = command.optsWithGlobals() as { output?: string };
  if (output !== "name") return { ...globals(command), namesOnly: false };
  return { ...globalsButOutput(command), namesOnly: true };
}

export async function printOutcomes(
  form: OutcomeForm,
  { items, notes }: Outcomes,
  dryRun: DryRun = "none",
): Promise<void> {
  for (const line of notes) note(line);
  const made = items.flatMap(({ object }) => (object === undefined ? [] : withoutManagers(object)));
  if (made.length > 0 && (form.output === "json" || form.output === "yaml"))
    return printData(form.output, document(made, items.length === 1), [], []);
  if (form.output === "json" || form.output === "yaml")
    return printData(form.output, { items, ...(dryRun === "none" ? {} : { dryRun }) }, [], []);
  const suffix = dryRunSuffix(dryRun);
  const lines = items.map((item) => (form.namesOnly ? item.resource : `${outcomeText(item)}${suffix}`));
  if (lines.length > 0) await print(lines.join("\n"));
}

/** service/web created, but, as kubectl has it, service "web" deleted. */
export function outcomeText({
  resource,
  name,
  action,
}: Pick<Outcome, "resource" | "name" | "action">): string {
  return action === "deleted" ? `${resource.split("/")[0]} "${name}" deleted` : `${resource} ${action}`;
}
