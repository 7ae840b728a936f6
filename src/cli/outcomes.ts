// What apply and delete answer, in kubectl's words: service/web created.
import type { Outcome } from "../control/cluster.ts";
import { type Globals, print, printData } from "./context.ts";

export async function printOutcomes(flags: Globals, items: Outcome[]): Promise<void> {
  if (flags.output === "json" || flags.output === "yaml") return printData(flags.output, { items }, [], []);
  await print(items.map((item) => `${item.resource} ${item.action}`).join("\n"));
}
