// What apply and delete answer, in kubectl's words: service/web created.
import type { Outcome } from "../control/cluster.ts";
import { type Globals, note, print, printData } from "./context.ts";

/** The answer to apply and delete. */
export interface Outcomes {
  items: Outcome[];
  /** Whole lines for whoever called: what was passed over, and what was done although it may be a mistake. */
  notes: string[];
}

export async function printOutcomes(flags: Globals, { items, notes }: Outcomes): Promise<void> {
  for (const line of notes) note(line);
  if (flags.output === "json" || flags.output === "yaml") return printData(flags.output, { items }, [], []);
  if (items.length > 0) await print(items.map((item) => `${item.resource} ${item.action}`).join("\n"));
}
