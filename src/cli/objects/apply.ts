// podwire apply -f FILE…
import type { Command } from "commander";
import { applyOptions, sendManifests } from "./apply-manifests.ts";

export function register(program: Command): void {
  applyOptions(
    program
      .command("apply")
      .description("create or change the objects of manifests in a running lab; all of them or none"),
  ).action((flags, command: Command) => sendManifests("apply", flags, command));
}
