// podwire create -f FILE…: as apply, but nothing that is there is touched.
import type { Command } from "commander";
import { applyOptions, sendManifests } from "./apply-manifests.ts";

export function register(program: Command): void {
  applyOptions(
    program
      .command("create")
      .description(
        "create the objects of manifests in a running lab: all of them, or none when one is there",
      ),
  ).action((flags, command: Command) => sendManifests("create", flags, command));
}
