// podwire kubeconfig: how every Kubernetes client reaches a lab's API.
import { existsSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { labPaths } from "../../lab/state-dir.ts";
import { globals, print } from "../context.ts";
import { CliError } from "../errors.ts";
import { runningLab } from "../running-lab.ts";

export function register(program: Command): void {
  program
    .command("kubeconfig")
    .description("print the kubeconfig of a lab: its Kubernetes API for kubectl and every other client")
    .addHelpText(
      "after",
      "\nExample:\n  podwire kubeconfig > lab.kubeconfig && kubectl --kubeconfig lab.kubeconfig get pods",
    )
    .action(async (_: unknown, command: Command) => {
      const { name } = runningLab(globals(command));
      const file = labPaths(name).kubeconfig;
      if (!existsSync(file))
        throw new CliError(
          `lab ${name}: it serves no Kubernetes API: podwire lab up --lab ${name} repairs it`,
        );
      await print(readFileSync(file, "utf8").trimEnd());
    });
}
