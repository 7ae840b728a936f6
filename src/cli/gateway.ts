// podwire gateway --config FILE: Ingresses and Gateways served, in the foreground.
import type { Command } from "commander";
import { hasCode } from "../base/errors.ts";
import type { GatewayConfig } from "../gateway/config.ts";
import { note } from "./context.ts";
import { CliError, Exit, usageError } from "./errors.ts";
import { readOne } from "./objects/manifests.ts";

export function register(program: Command): void {
  program
    .command("gateway")
    .description("serves Ingresses and Gateways, in the foreground, for systemd or a container")
    .option("--config <file>", "what it serves where (docs/gateway.md)")
    .action(async ({ config }: { config?: string }) => {
      if (config === undefined)
        throw usageError(
          "podwire gateway: what is it to serve? Name its configuration: --config FILE (docs/gateway.md)",
        );
      const { readGatewayFile } = await import("../gateway/config.ts"); // loaded when it runs
      const { runGateway } = await import("../gateway/main.ts");
      const source = readOne(config);
      let settled: GatewayConfig;
      try {
        settled = readGatewayFile(source);
      } catch (error) {
        if (!hasCode(error, "GATEWAY_CONFIG")) throw error;
        throw new CliError((error as Error).message, Exit.USAGE, "MANIFEST_INVALID");
      }
      await runGateway(settled, note);
    });
}
