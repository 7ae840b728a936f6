// podwire uninstall --print: the manifests that take podwire off the nodes of a cluster.
import type { Command } from "commander";
import { print } from "../context.ts";

import { addPlace, checkPrint, type PlaceFlags } from "./options.ts";
import { uninstallManifests } from "./uninstall-manifests.ts";

export function register(program: Command): void {
  addPlace(program.command("uninstall").description("manifests that take podwire off a cluster's nodes"))
    .addHelpText("after", "\nGive it what install was given. What comes before and after: docs/install.md.")
    .action(async (flags: PlaceFlags) => {
      checkPrint(flags, "uninstall");
      await print(uninstallManifests(flags));
    });
}
