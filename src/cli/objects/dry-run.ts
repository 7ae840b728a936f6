// --dry-run[=none|client|server], as kubectl has it. Both do all that the lab would do but storing; they differ in what
// is said of it.
import type { Command } from "commander";
import { usageError } from "../errors.ts";

const STRATEGIES = ["none", "client", "server"] as const;
export type DryRun = (typeof STRATEGIES)[number];

export function addDryRun(command: Command): Command {
  const text = "everything but storing: client (without a word), server, none";
  return command.addOption(command.createOption("--dry-run [strategy]", text).preset("client"));
}

export function strategyOf(given: string | undefined): DryRun {
  if (given === undefined) return "none";
  const strategy = STRATEGIES.find((each) => each === given);
  if (strategy !== undefined) return strategy;
  throw usageError(`invalid dry-run value (${given}): it must be "none", "server", or "client"`);
}

/** What stands behind "pod/x created". */
export function dryRunSuffix(strategy: DryRun): string {
  return strategy === "none" ? "" : strategy === "server" ? " (server dry run)" : " (dry run)";
}
