// A lab that changes quickly: calls to its process and its agents on their sockets, without a command's start each time,
// and the word of every agent that a change is in force.
import { type ChildProcess, spawn } from "node:child_process";
import { request } from "node:http";
import { labCall } from "../../../src/lab/lab-call.ts";
import { agentSocket, labPaths } from "../../../src/lab/state-dir.ts";
import type { TestLab } from "../../../src/testing/lab/lab.ts";
import { sleep } from "../../../src/testing/lab/process.ts";
import { type Cluster, clusterOf, type Named, type PodObject } from "../../../src/testing/policy/cluster.ts";

export interface Stored extends Named {
  readonly metadata: Named["metadata"] & {
    readonly resourceVersion: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}
export type StoredPod = Stored & PodObject;

/** Which objects of the lab those it changes are: the first words are kinds. */
const KINDS = ["namespaces", "nodes", "pods", "networkpolicies", "clusternetworkpolicies"];
const NODES = ["node1", "node2"];
const IN_FORCE_MS = 10_000;
const POLL_MS = 2;

interface AgentStatus {
  readonly appliedVersion: number;
  readonly appliedMonotonicMs: number;
}

export class LiveLab {
  readonly lab: TestLab;

  constructor(lab: TestLab) {
    this.lab = lab;
  }

  apply(...objects: object[]): Promise<unknown> {
    const text = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    return this.#call("/apply", { manifests: [{ file: "live", text }] });
  }

  remove(kind: string, name: string, namespace = "default"): Promise<unknown> {
    return this.#call("/delete", { kind, namespace, names: [name], graceSeconds: 0 });
  }

  /** These labels and no others. */
  relabel(object: Named, labels: Readonly<Record<string, string>>): Promise<unknown> {
    const { name, namespace = "" } = object.metadata;
    const remove = Object.keys(object.metadata.labels ?? {}).filter(
      (key) => !(key in labels) && !key.startsWith("kubernetes.io/"),
    );
    return this.#call("/metadata", {
      ...{ kind: object.kind, name, namespace, field: "labels", set: labels, remove, overwrite: true },
    });
  }

  async objects<T extends Stored = Stored>(kind: string): Promise<T[]> {
    const { items } = await labCall<{ items: T[] }>(labPaths(this.lab.name), { path: `/objects/${kind}` });
    return items;
  }

  async pod(name: string, namespace = "default"): Promise<StoredPod> {
    const pods = await this.objects<StoredPod>("pods");
    const pod = pods.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace);
    if (pod === undefined) throw new Error(`no pod ${namespace}/${name}`);
    return pod;
  }

  /**
   * Waits until every agent's plane works with this object, or with all that was changed so far: behind a change without
   * an object, a removal, one is made that has. Tells when the last plane began to (monotonic).
   */
  async inForce(object?: Stored): Promise<number> {
    const version = Number((object ?? (await this.#mark())).metadata.resourceVersion);
    return Math.max(...(await Promise.all(NODES.map((node) => this.#applied(node, version)))));
  }

  async #mark(): Promise<Stored> {
    const marked = await this.#call<{ object: Stored }>("/metadata", {
      ...{ kind: "Namespace", name: "default", namespace: "", field: "annotations", remove: [] },
      ...{ set: { "podwire.dev/marker": String(process.hrtime.bigint()) }, overwrite: true },
    });
    return marked.object;
  }

  async #applied(node: string, version: number): Promise<number> {
    for (const end = Date.now() + IN_FORCE_MS; Date.now() < end; await sleep(POLL_MS)) {
      const status = await this.status(node).catch(() => undefined);
      if (status !== undefined && status.appliedVersion >= version) return status.appliedMonotonicMs;
    }
    throw new Error(`${node}: a change is not in force after ${IN_FORCE_MS} ms`);
  }

  async cluster(): Promise<Cluster> {
    return clusterOf((await Promise.all(KINDS.map((kind) => this.objects(kind)))).flat());
  }

  status(node: string): Promise<AgentStatus> {
    return getJson(agentSocket(this.lab.name, node), "/status") as Promise<AgentStatus>;
  }

  /** A program in a pod's network, without what `podwire exec` looks up first. */
  spawn(pod: StoredPod, command: readonly string[]): ChildProcess {
    return spawn("ip", ["netns", "exec", netnsOf(pod), ...command], { stdio: ["pipe", "pipe", "inherit"] });
  }

  #call<T>(path: string, body: object): Promise<T> {
    return labCall<T>(labPaths(this.lab.name), { method: "POST", path, body });
  }
}

export function netnsOf(pod: StoredPod): string {
  const path = pod.metadata.annotations?.["podwire.dev/netns"] ?? "";
  return path.slice(path.lastIndexOf("/") + 1);
}

export function addressesOfPod({ status }: StoredPod): string[] {
  return (status?.podIPs ?? []).flatMap(({ ip }) => ip ?? []);
}

export function isReady({ status }: StoredPod): boolean {
  return (status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");
}

function getJson(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, agent: false, timeout: 5000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        try {
          resolve(JSON.parse(text));
        } catch (error) {
          reject(error);
        }
      });
    });
    call.on("timeout", () => call.destroy(new Error("no answer in time")));
    call.on("error", reject);
    call.end();
  });
}
