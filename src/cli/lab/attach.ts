// podwire attach WORKLOAD [-c CONTAINER] [-i] [-t]: what a container's own program says from now on, and input for it.
import type { Command } from "commander";
import { addCluster, openApi } from "../api/open-api.ts";
import { globals } from "../context.ts";
import { ownTerminal, runInCluster } from "./exec.ts";

interface Flags {
  namespace?: string;
  container?: string;
  stdin?: boolean;
  tty?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command("attach <workload>")
    .description("what a container's program says from now on, and input for it where it has one")
    .usage("POD | KIND/NAME [-n NAMESPACE] [-c CONTAINER] [-i] [-t]")
    .option("-n, --namespace <namespace>", "namespace of the pod", "default")
    .option("-c, --container <container>", "default: the first")
    .option("-i, --stdin", "this standard input goes to the program, where its container has stdin")
    .option("-t, --tty", "this terminal is the other end of the container's; goes with -i")
    .addHelpText("after", "\nExamples:\n  podwire attach web-1\n  podwire attach -it shell");
  addCluster(command).action(async (workload: string, flags: Flags, self: Command) => {
    globals(self); // output forms: none of attach's own
    const tty = ownTerminal(flags);
    process.exitCode = await runInCluster(await openApi(self), workload, { ...flags, tty }, []);
  });
}
