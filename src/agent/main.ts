/** `podwire agent --config FILE`: one node's data path, in the foreground, until a signal. */
import { readFileSync } from "node:fs";
import { PodwireError } from "../base/errors.ts";
import { readAgentFile } from "../control/config/read-config.ts";
import { Agent, checkPreconditions } from "./agent.ts";

/** Runs until SIGINT or SIGTERM. Throws errors that say what, where and what to do. */
export async function runAgent(configFile: string): Promise<void> {
  checkPreconditions();
  const config = readAgentFile({ file: configFile, text: readConfig(configFile) });
  const agent = new Agent(config);
  const ended = new Promise<void>((resolve, reject) => {
    agent.onFatal = reject;
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  agent.onProblem = (error) => log(error.message);
  agent.onNote = log;
  ended.catch(() => {}); // a failure before we wait for it is still reported below
  await agent.start();
  log(`node ${config.nodeName}: data plane running, API on ${config.socket}`);
  try {
    await ended;
  } finally {
    await agent.stop();
  }
}

function readConfig(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new PodwireError(`${file}: cannot be read (${code}): give an AgentConfiguration with --config`, {
      code: "AGENT_CONFIG_UNREADABLE",
      file,
    });
  }
}

function log(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}
