/** `podwire agent --config FILE`: one node's data path, in the foreground, until a signal. */
import { hostname } from "node:os";
import { hasCode, PodwireError } from "../base/errors.ts";
import { type AgentConfig, HOST_DEVICE } from "../config/agent.ts";
import { AGENT_SOCKET } from "../config/agent-socket.ts";
import { readAgentFile } from "../config/read-config.ts";
import type { ManifestText } from "../kube/manifest/manifest.ts";
import { loadNative } from "../native/binding.ts";
import { refuseReadOnce } from "../watch/files-source.ts";
import { readInput } from "../watch/input.ts";
import { Agent } from "./agent.ts";
import { lockAgent } from "./machine/agent-lock.ts";
import { cleanUp, type Left } from "./machine/clean-up.ts";
import { readNetwork, UPLINK_ELSEWHERE } from "./machine/node-network.ts";
import { readRecord } from "./machine/record.ts";
import { settleUplink } from "./machine/settle-uplink.ts";

/** Runs until SIGINT or SIGTERM. Throws errors that say what, where and what to do. */
export async function runAgent(configFile: string, nodeName?: string): Promise<void> {
  checkPreconditions();
  const file = fileOf(configFile);
  const configured = readConfigured(file, nodeName);
  if ("files" in configured.source) refuseReadOnce(configured.source.files);
  // A second agent would take the first one's socket from it, and with that every container's network, before it fails.
  const advice = " already: end it first, or give this one another socket";
  const unlock = await lockAgent(loadNative(), configured.socket, { advice, code: "AGENT_RUNS" });
  try {
    await runOnce(configured, file).catch((error) => {
      if (!hasCode(error, UPLINK_ELSEWHERE)) throw error;
      log((error as Error).message);
      return runOnce(configured, file);
    });
  } finally {
    unlock();
  }
}

async function runOnce(configured: AgentConfig, file: ManifestText): Promise<void> {
  const { config, note } = settled(configured);
  const agent = new Agent(config, file);
  const ended = new Promise<void>((resolve, reject) => {
    agent.onFatal = reject;
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  agent.onProblem = (error) => log(error.message);
  agent.onNote = log;
  if (note !== undefined) log(note);
  ended.catch(() => {}); // a failure before we wait for it is still reported below
  try {
    await agent.start();
    log(`node ${config.nodeName}: data plane running, API on ${config.socket}`);
    await ended;
  } finally {
    await agent.stop(); // also what started only half: its worker would keep the process alive
  }
}

/** What kubelet calls its node where nobody says otherwise. */
function machineName(): string {
  return hostname().trim().toLowerCase();
}

function readConfigured(file: ManifestText, nodeName: string | undefined): AgentConfig {
  return readAgentFile(file, (lines) => lines.forEach(log), { told: nodeName, machine: machineName() });
}

/**
 * Takes away what agents with this configuration left, and says so on standard output. Without one: what those leave
 * whose configuration says nothing of where they are.
 */
export async function runCleanup(configFile?: string): Promise<void> {
  checkPreconditions();
  const left = configFile === undefined ? UNSAID : readConfigured(fileOf(configFile), undefined);
  const taken = await cleanUp(loadNative(), left);
  const nothing = `nothing was left by an agent with the socket ${left.socket}`;
  const lines = taken.length > 0 ? taken.map((what) => `removed ${what}`) : [nothing];
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

const UNSAID: Left = { netns: "", socket: AGENT_SOCKET, host: { interface: HOST_DEVICE } };

function fileOf(file: string): ManifestText {
  return { file, text: readConfig(file) };
}

/** Which device is the uplink, and whose; for people where that was not said. */
function settled(config: AgentConfig): { config: AgentConfig; note?: string } {
  if (config.uplink.mode === "exclusive" || config.uplink.driver === "pcap")
    return { config: { ...config, uplink: { ...config.uplink, mode: "exclusive" } } };
  const known = readRecord(config.socket).uplink;
  return settleUplink(config, readNetwork(loadNative(), config.netns), known);
}

function readConfig(file: string): string {
  try {
    return readInput(file);
  } catch (cause) {
    const message = `${(cause as Error).message}: give an AgentConfiguration with --config`;
    throw new PodwireError(message, { code: "AGENT_CONFIG_UNREADABLE", cause, file });
  }
}

function log(text: string): void {
  process.stderr.write(`${new Date().toISOString()} ${text}\n`);
}

/** What cannot be had without root, said before anything is opened. */
function checkPreconditions(): void {
  if (process.getuid?.() !== 0) {
    throw new PodwireError(
      "agent: needs root (CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN): run it with sudo",
      {
        code: "AGENT_NOT_ROOT",
      },
    );
  }
}
