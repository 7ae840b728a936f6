// podwire logs POD [-n NS] [-c CONTAINER]: what its programs have printed.
import type { Command } from "commander";
import { labPaths } from "../lab/state-dir.ts";
import { callStream } from "./client.ts";
import { globals, print } from "./context.ts";
import { CliError } from "./errors.ts";
import { runningLab } from "./running-lab.ts";
import { findPod } from "./workload.ts";

export function register(program: Command): void {
  program
    .command("logs <pod>")
    .description("what a pod's containers printed")
    .option("-n, --namespace <namespace>", "namespace of the pod", "default")
    .option("-c, --container <container>", "default: the first")
    .action(async (name: string, flags: { namespace: string; container?: string }, command: Command) => {
      const lab = runningLab(globals(command));
      const pod = await findPod(lab, name, flags.namespace);
      const containers = pod.spec.containers.map((each) => each.name);
      const container = flags.container ?? containers[0];
      if (!containers.includes(container)) {
        throw new CliError(`logs ${name}: no container "${container}": it has ${containers.join(", ")}`);
      }
      const query = new URLSearchParams({ namespace: flags.namespace, pod: pod.metadata.name, container });
      const stream = await callStream(labPaths(lab.name).socket, `lab ${lab.name}`, {
        path: `/logs?${query}`,
      });
      let text = "";
      for await (const chunk of stream.setEncoding("utf8")) text += chunk;
      if (text !== "") await print(text);
    });
}
