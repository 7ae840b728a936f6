// podwire install --print: the manifests that make podwire the network of a cluster.
import type { Command } from "commander";
import { print } from "../context.ts";
import { installManifests } from "./manifests.ts";
import { addPlace, addSettings, checkPrint, type InstallFlags, installation } from "./options.ts";

const HELP = `
Without options, and without a kubeconfig at hand, it is deploy/podwire.yaml. What comes before and after, the end of
kube-proxy among it: docs/install.md.`;

export function register(program: Command): void {
  const command = program
    .command("install")
    .description("manifests that make podwire the network of a cluster");
  addSettings(addPlace(command))
    .addHelpText("after", HELP)
    .action(async (flags: InstallFlags) => {
      checkPrint(flags, "install");
      await print(installManifests(installation(flags)));
    });
}
