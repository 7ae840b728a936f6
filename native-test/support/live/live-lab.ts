// A lab that changes quickly: calls to its process and its agents on their sockets, without a command's start each time,
// and the word of every agent that a change is in force.
import { type ChildProcess, spawn } from "node:child_process";
import { request } from "node:http";
import { labCall } from "../../../src/lab/lab-call.ts";
import { agentSocket, labPaths } from "../../../src/lab/state-dir.ts";
import type { TestLab } from "../../../src/testing/lab/lab.ts";
import { sleep } from "../../../src/testing/lab/process.ts";
import { type Cluster, clusterOf, type Named, type PodObject } from "../../../src/testing/policy/cluster.ts";
import { ApiSource } from "../../../src/watch/api-server/api-source.ts";
import { readAccess } from "../../../src/watch/api-server/kubeconfig.ts";
import { RESOURCES } from "../../../src/watch/api-server/resources.ts";
import { LabApiClient, pathOf } from "./lab-api-client.ts";

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
  /** By kind. */
  readonly appliedVersions: Readonly<Record<string, number>>;
  readonly appliedMonotonicMs: number;
}

/** What has changed, by the lab's API. An agent hears of each kind by a way of its own, as this does. */
class Changes {
  readonly versions: Record<string, number> = {};
  readonly begun: Promise<void>;

  constructor(socketPath: string) {
    const source = new ApiSource({
      ...{ access: readAccess({ servers: [`unix:${socketPath}`] }), nodeName: "", stateFile: "" },
      resources: RESOURCES.filter(({ info }) => KINDS.includes(info.plural)),
    });
    this.begun = new Promise((resolve) => {
      source.start({
        events: (events, synced) => {
          for (const { object } of events) this.#saw(object.kind, Number(object.metadata.resourceVersion));
          if (synced) resolve();
        },
        problem: () => source.close(), // the lab is gone
      });
    });
  }

  #saw(kind: string, version: number): void {
    this.versions[kind] = Math.max(this.versions[kind] ?? 0, version);
  }

  async until(kind: string, version: number): Promise<void> {
    for (const end = Date.now() + IN_FORCE_MS; Date.now() < end; await sleep(POLL_MS))
      if ((this.versions[kind] ?? 0) >= version) {
        await sleep(POLL_MS); // what was told of other kinds before lies in their sockets, and is read by then
        return;
      }
    throw new Error(`the lab has not told of a change within ${IN_FORCE_MS} ms`);
  }
}

export class LiveLab {
  readonly lab: TestLab;
  readonly #changes: Changes;
  readonly #api: LabApiClient;

  constructor(lab: TestLab) {
    this.lab = lab;
    this.#api = new LabApiClient(labPaths(lab.name).kubeconfig);
    this.#changes = new Changes(labPaths(lab.name).apiSocket);
  }

  /** As one change. */
  async apply(...objects: object[]): Promise<unknown> {
    await this.#changes.begun;
    const text = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    const body = { manifests: [{ file: "live", text }] };
    return labCall(labPaths(this.lab.name), { method: "POST", path: "/apply", body });
  }

  remove(kind: string, name: string, namespace = "default"): Promise<unknown> {
    return this.#call("DELETE", pathOf(kind, { name, namespace }), {
      ...{ kind: "DeleteOptions", apiVersion: "v1", gracePeriodSeconds: 0 },
    });
  }

  /** These labels and no others. */
  relabel({ kind, metadata }: Named, labels: Readonly<Record<string, string>>): Promise<unknown> {
    const gone = Object.keys(metadata.labels ?? {}).filter(
      (key) => !(key in labels) && !key.startsWith("kubernetes.io/"),
    );
    const changed = { ...Object.fromEntries(gone.map((key) => [key, null])), ...labels };
    return this.#call("PATCH", pathOf(kind, metadata), { metadata: { labels: changed } });
  }

  async objects<T extends Stored = Stored>(kind: string): Promise<T[]> {
    return (await this.#call<{ items: T[] }>("GET", pathOf(kind))).items;
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
    const { kind, metadata } = object ?? (await this.#mark());
    const version = Number(metadata.resourceVersion);
    await this.#changes.until(kind, version);
    const wanted = object === undefined ? { ...this.#changes.versions } : { [kind]: version };
    return Math.max(...(await Promise.all(NODES.map((node) => this.#applied(node, wanted)))));
  }

  #mark(): Promise<Stored> {
    const annotations = { "podwire.dev/marker": String(process.hrtime.bigint()) };
    return this.#call("PATCH", pathOf("Namespace", { name: "default" }), { metadata: { annotations } });
  }

  async #applied(node: string, wanted: Readonly<Record<string, number>>): Promise<number> {
    for (const end = Date.now() + IN_FORCE_MS; Date.now() < end; await sleep(POLL_MS)) {
      const status = await this.status(node).catch(() => undefined);
      const applied = status?.appliedVersions ?? {};
      const isInForce = Object.entries(wanted).every(([kind, version]) => (applied[kind] ?? 0) >= version);
      if (status !== undefined && isInForce) return status.appliedMonotonicMs;
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

  async #call<T>(method: string, path: string, body?: object): Promise<T> {
    await this.#changes.begun;
    return this.#api.call<T>(method, path, body);
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
