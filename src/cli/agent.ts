// podwire agent --config FILE: the data path of one node, in the foreground.
import type { Command } from "commander";
import { usageError } from "./errors.ts";

interface Flags {
  config?: string;
  nodeName?: string;
  cleanup?: boolean;
}

export function register(program: Command): void {
  program
    .command("agent")
    .description("the data path of one node, in the foreground, for systemd or a container")
    .option("--config <file>", "AgentConfiguration (podwire.dev/v1alpha1)")
    .option(
      "--node-name <name>",
      "which Node object this is (default: its nodeName, else the machine's name)",
    )
    .option(
      "--cleanup",
      "take away what agents left on this machine, say what, and end; without --config: what one without `netns`, " +
        "`socket` and `host` leaves",
    )
    .action(async ({ config, nodeName, cleanup }: Flags) => {
      const { runAgent, runCleanup } = await import("../agent/main.ts"); // loaded when it runs
      if (cleanup === true) return runCleanup(config);
      if (config === undefined)
        throw usageError(
          "podwire agent: what is it to do? Name its AgentConfiguration: --config FILE (docs/agent.md)",
        );
      return runAgent(config, nodeName);
    });
}
