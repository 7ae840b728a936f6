// podwire mesh --config FILE: a node's proxy of the mesh, in the foreground.
import type { Command } from "commander";
import { hasCode } from "../base/errors.ts";
import type { MeshConfig } from "../mesh/config.ts";
import { note } from "./context.ts";
import { CliError, Exit, usageError } from "./errors.ts";
import { readOne } from "./objects/manifests.ts";

interface Options {
  readonly config?: string;
  readonly nodeName?: string;
  readonly agent?: string;
}

export function register(program: Command): void {
  program
    .command("mesh")
    .description(
      "carries connections of a node's pods to other nodes by mutual TLS, in the foreground, in a pod",
    )
    .option("--config <file>", "what it follows and whom it trusts (docs/mesh.md)")
    .option("--node-name <name>", "the node that it is on, in place of the file's nodeName")
    .action(async (options: Options, command: Command) => {
      const { config, nodeName } = options;
      if (config === undefined)
        throw usageError("podwire mesh: name its configuration: --config FILE (docs/mesh.md)");
      const { readMeshFile } = await import("../mesh/config.ts"); // loaded when it runs
      const { runMesh } = await import("../mesh/main.ts");
      const source = readOne(config);
      const { agent } = command.optsWithGlobals<Options>();
      let settled: MeshConfig;
      try {
        settled = readMeshFile(source, { nodeName, agent });
      } catch (error) {
        if (!hasCode(error, "MESH_CONFIG")) throw error;
        throw new CliError((error as Error).message, Exit.USAGE, "MANIFEST_INVALID");
      }
      await runMesh(settled, note);
    });
}
