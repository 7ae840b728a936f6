// podwire agent --config FILE: the data path of one node, in the foreground.
import type { Command } from "commander";
import { CliError } from "./errors.ts";

interface AgentModule {
  runAgent(configFile: string): Promise<void>;
}

export function register(program: Command): void {
  program
    .command("agent")
    .description("the data path of one node, in the foreground, for systemd or a container")
    .requiredOption("--config <file>", "AgentConfiguration (podwire.dev/v1alpha1)")
    .action(async (flags: { config: string }) => {
      const { runAgent } = await loadAgent();
      await runAgent(flags.config);
    });
}

async function loadAgent(): Promise<AgentModule> {
  const url = new URL("../agent/main.js", import.meta.url);
  try {
    return (await import(url.href)) as AgentModule;
  } catch (error) {
    const { code, url: missing } = error as { code?: string; url?: string };
    if (code !== "ERR_MODULE_NOT_FOUND" || missing !== url.href) throw error;
    throw new CliError("agent: not part of this version");
  }
}
