// podwire install --print: the manifests that make podwire the network of a cluster; with --gateway those that make it
// the proxy of its Ingresses and Gateways.
import type { Command } from "commander";
import { print } from "../context.ts";
import { gatewayManifests } from "./gateway-manifests.ts";
import {
  addGateway,
  type GatewayFlags,
  gatewayInstallation,
  refuseGatewayOptions,
  refuseOthers,
} from "./gateway-options.ts";
import { installManifests } from "./manifests.ts";
import { meshManifests } from "./mesh-manifests.ts";
import { addPlace, addSettings, checkPrint, installation } from "./options.ts";

const HELP = `
Without options, and without a kubeconfig at hand, it is deploy/podwire.yaml; with --gateway alone deploy/gateway.yaml.
What comes before and after, the end of kube-proxy among it: docs/install.md.`;

export function register(program: Command): void {
  const command = program
    .command("install")
    .description("manifests that make podwire the network of a cluster, its gateway, or its mesh");
  addGateway(addSettings(addPlace(command)))
    .option("--mesh", "the mesh's proxies instead: a DaemonSet beside it, in podwire-system (docs/mesh.md)")
    .addHelpText("after", HELP)
    .action(async (flags: GatewayFlags & { mesh?: boolean }, own: Command) => {
      checkPrint(flags, "install");
      if (flags.mesh === true) {
        refuseGatewayOptions(own);
        refuseOthers(own, "mesh", ["print", "image"]);
        await print(meshManifests(flags.image));
      } else if (flags.gateway === true) await print(gatewayManifests(gatewayInstallation(flags, own)));
      else {
        refuseGatewayOptions(own);
        await print(installManifests(installation(flags)));
      }
    });
}
