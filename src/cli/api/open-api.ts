// Whose API a command asks: that of a kubeconfig, where one is named, else that of the lab.
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { isAlive, type ProcessId } from "../../lab/process/process-table.ts";
import { labPaths, readJson } from "../../lab/state-dir.ts";
import { globalsButOutput } from "../context.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { runningLab } from "../running-lab.ts";
import { ApiClient } from "./api-client.ts";
import type { ClusterFlags } from "./cluster-transport.ts";
import {
  type ApiRequest,
  type ApiResponse,
  SocketTransport,
  type Transport,
  type Upgrade,
} from "./transport.ts";

/** Options of commands that work on clusters, too. */
export function addCluster(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "the cluster of this kubeconfig instead of a lab")
    .option("--context <name>", "this context of the kubeconfig (default: the current one)");
}

/** The API that a command line names; a lab's where it names none. */
export async function openApi(command: Command): Promise<ApiClient> {
  return (await clusterApi(command)) ?? labApi(runningLab(globalsButOutput(command)).name);
}

/** Undefined: no cluster is named. */
export async function clusterApi(command: Command): Promise<ApiClient | undefined> {
  const { kubeconfig, context, lab, agent } = command.optsWithGlobals() as Named;
  if (kubeconfig === undefined && context === undefined) return undefined;
  const flag = kubeconfig === undefined ? "--context" : "--kubeconfig";
  if (kubeconfig === "" || context === "") throw usageError(`${flag}: nothing is named: leave it out`);
  const other = lab !== undefined ? "--lab" : agent !== undefined ? "--agent" : undefined;
  if (other !== undefined)
    throw usageError(`${other} and ${flag} name two places to ask: leave one of them out`);
  const { clusterTransport } = await import("./cluster-transport.ts");
  return new ApiClient(clusterTransport({ kubeconfig, context }), false);
}

interface Named extends ClusterFlags {
  readonly lab?: string;
  readonly agent?: string;
}

export function labApi(lab: string): ApiClient {
  return new ApiClient(new LabTransport(lab), true);
}

const START_MS = 5000;
const AGAIN_MS = 20;

/** A lab that is coming up serves its API a moment later than it answers at all. */
class LabTransport implements Transport {
  readonly label: string;
  readonly #lab: string;
  readonly #inner: SocketTransport;

  constructor(lab: string) {
    this.#lab = lab;
    this.label = `lab ${lab}`;
    this.#inner = new SocketTransport(this.label, labPaths(lab).apiSocket);
  }

  async send(request: ApiRequest): Promise<ApiResponse> {
    const until = Date.now() + START_MS;
    for (;;) {
      try {
        return await this.#inner.send(request);
      } catch (error) {
        if ((error as { code?: string }).code !== "CLI_NOT_RUNNING") throw error;
        if (Date.now() > until || !this.#isRunning()) throw this.#missing();
      }
      await sleep(AGAIN_MS);
    }
  }

  upgrade(path: string): Promise<Upgrade> {
    return this.#inner.upgrade(path);
  }

  #isRunning(): boolean {
    const pid = readJson<ProcessId>(labPaths(this.#lab).pid);
    return pid !== undefined && isAlive(pid);
  }

  #missing(): CliError {
    const lab = this.#lab;
    const why = this.#isRunning()
      ? `it serves no Kubernetes API: ${labPaths(lab).log} says why; podwire lab down, then lab up, makes it anew`
      : `its process is gone: podwire lab up --lab ${lab} starts it again`;
    return new CliError(`lab ${lab}: ${why}`, Exit.FAILED, "CLI_NOT_RUNNING");
  }
}
