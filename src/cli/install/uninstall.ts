// podwire uninstall --print: the manifests that take podwire off the nodes of a cluster.
import type { Command } from "commander";
import { print } from "../context.ts";
import { addPlace, checkPrint, type PlaceFlags } from "./options.ts";
import { uninstallManifests } from "./uninstall-manifests.ts";

const HELP = `
On each node a pod takes away the network and the plug-in, what agents changed of the machine, and their state; it is
ready when its node is as it was. Give it what install was given, and go on in this order:

  kubectl -n podwire delete daemonset podwire
  podwire uninstall --print | kubectl apply -f -
  kubectl -n podwire rollout status daemonset/podwire-uninstall
  podwire uninstall --print | kubectl delete -f -
  podwire install --print | kubectl delete --ignore-not-found -f -

What becomes of pods that have their network by podwire, and what Nodes' objects keep: docs/install.md.
A machine that is no cluster's: podwire cni remove, podwire agent --cleanup.`;

export function register(program: Command): void {
  addPlace(program.command("uninstall").description("manifests that take podwire off a cluster's nodes"))
    .addHelpText("after", HELP)
    .action(async (flags: PlaceFlags) => {
      checkPrint(flags, "uninstall");
      await print(uninstallManifests(flags));
    });
}
