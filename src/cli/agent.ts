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
    .action(async (flags: { config: string; nodeName?: string }) => {
      const { runAgent } = await import("../agent/main.ts"); // loaded when it runs
      await runAgent(flags.config, flags.nodeName);
    });
}
