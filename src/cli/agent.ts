// podwire agent --config FILE: the data path of one node, in the foreground.
import type { Command } from "commander";

export function register(program: Command): void {
  program
    .command("agent")
    .description("the data path of one node, in the foreground, for systemd or a container")
    .requiredOption("--config <file>", "AgentConfiguration (podwire.dev/v1alpha1)")
    .option(
      "--node-name <name>",
      "which Node object this is (default: its nodeName, else the machine's name)",
    )
    .option("--cleanup", "take away what agents left on this machine, say what, and end")
    .action(async (flags: { config: string; nodeName?: string; cleanup?: boolean }) => {
      const { runAgent, runCleanup } = await import("../agent/main.ts"); // loaded when it runs
      await (flags.cleanup === true ? runCleanup : runAgent)(flags.config, flags.nodeName);
    });
}
