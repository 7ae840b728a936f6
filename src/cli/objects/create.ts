// podwire create -f FILE…: as apply, but nothing that is there is touched. podwire create KIND NAME …: from words.
import type { Command } from "commander";
import { applyOptions, sendManifests } from "./apply-manifests.ts";
import { registerGenerators } from "./create/commands.ts";

const EXAMPLES = `
Examples:
  podwire create -f app.yaml
  podwire create deployment web --image=podwire/echo --port=8080 --replicas=2
  podwire create service clusterip web --tcp=80:8080
  podwire create configmap web --from-literal=colour=blue --from-file=page.html --dry-run=client -o yaml`;

export function register(program: Command): void {
  const create = applyOptions(
    program
      .command("create")
      .description(
        "create the objects of manifests in a running lab: all of them, or none when one is there; or one from words",
      )
      .usage("-f FILE… | KIND NAME … [-n NAMESPACE] [--dry-run=client|server] [-o FORM]"),
  )
    .addHelpText("after", EXAMPLES)
    .action((flags, command: Command) => sendManifests("create", flags, command));
  registerGenerators(create);
}
