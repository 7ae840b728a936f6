// What apply, create and delete answer, in kubectl's words: service/web created.
import type { Command } from "commander";
import type { Outcome } from "../../cluster/outcome.ts";
import { type Globals, globals, globalsButOutput, note, print, printData } from "../context.ts";
import { type DryRun, dryRunSuffix } from "./dry-run.ts";

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
  if (form.output === "json" || form.output === "yaml")
    return printData(form.output, { items, ...(dryRun === "none" ? {} : { dryRun }) }, [], []);
  const suffix = dryRunSuffix(dryRun);
  const lines = items.map(({ resource, action }) =>
    form.namesOnly ? resource : `${resource} ${action}${suffix}`,
  );
  if (lines.length > 0) await print(lines.join("\n"));
}
