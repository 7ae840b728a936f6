// podwire bench: the benchmark is a program of its own (src/bench); this verb only starts it, options and all.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { CliError } from "./errors.ts";

const PROGRAM = fileURLToPath(new URL("../bench/main.js", import.meta.url));
const SIGNAL_BASE = 128;

export function register(program: Command): void {
  program
    .command("bench [options...]")
    .description("measure podwire beside the kernel and a C copy loop, in one run")
    .addHelpText("after", "\nIts options: podwire bench -- --help")
    .allowUnknownOption()
    .action(async (options: string[]) => {
      process.exitCode = await runBench(options);
    });
}

function runBench(options: string[]): Promise<number> {
  if (!existsSync(PROGRAM))
    throw new CliError("bench: it is no part of podwire's packages: run scripts/bench in a checkout");
  const child = spawn(process.execPath, [PROGRAM, ...options], { stdio: "inherit" });
  // It undoes what it made before it ends; a terminal has told it already.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", (error) => reject(new CliError(`bench: ${error.message}`)));
    child.on("exit", (code, signal) => resolve(code ?? SIGNAL_BASE + constants.signals[signal ?? "SIGTERM"]));
  });
}
