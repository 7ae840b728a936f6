// podwire agent --config FILE: the data path of one node, in the foreground.
import type { Command } from "commander";

interface AgentModule {
  runAgent(configFile: string): Promise<void>;
}

export function register(program: Command): void {
  program
    .command("agent")
    .description("the data path of one node, in the foreground, for systemd or a container")
    .requiredOption("--config <file>", "AgentConfiguration (podwire.dev/v1alpha1)")
    .action(async (flags: { config: string }) => {
      const url = new URL("../agent/main.js", import.meta.url); // a program of its own, loaded when it runs
      const { runAgent } = (await import(url.href)) as AgentModule;
      await runAgent(flags.config);
    });
}
