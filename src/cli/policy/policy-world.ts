// What policy asks about: objects of files, with the addresses that a cluster would give to pods that have none, or those
// of nodes that run here; and whom a word means among them.
import { parseIp } from "../../base/ip.ts";
import { isFinished } from "../../cluster/controller/scheduler.ts";
import { WORKLOADS } from "../../kube/kinds.ts";
import type { Manifest, ManifestText } from "../../kube/manifest/manifest.ts";
import type { KubeObject, Pod } from "../../kube/objects.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import { addressEnd, type End, podEnds } from "../../offline/policy/ends.ts";
import { type Globals, note } from "../context.ts";
import { CliError } from "../errors.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { labelMatcher } from "../objects/get/selector.ts";
import { rawObjects } from "../offline/explain-world.ts";
import { clusterObjects, offlineCluster } from "../offline/offline-cluster.ts";

export async function policyObjects(
  flags: Globals,
  texts: readonly ManifestText[] | undefined,
  look?: (manifests: readonly Manifest[]) => void,
): Promise<readonly KubeObject[]> {
  if (texts === undefined) return clusterObjects(await openNodes(flags));
  const passed = new PassedOver();
  const objects = rawObjects(texts, passed, look);
  if (needAddresses(objects)) return (await offlineCluster(flags, { texts })).objects; // tells what it passed over
  for (const line of passed.notes()) note(line);
  return objects;
}

/** Manifests of pods that no cluster has taken in, or of workloads whose pods are still to be made. */
export function needAddresses(objects: readonly KubeObject[]): boolean {
  const pods = objects.filter((object): object is Pod => object.kind === "Pod");
  const isWaiting = (pod: Pod): boolean =>
    (pod.status.podIPs ?? []).length === 0 && pod.spec.hostNetwork !== true && !isFinished(pod);
  const isMade = pods.some(({ metadata }) => (metadata.ownerReferences ?? []).length > 0);
  return pods.some(isWaiting) || (!isMade && objects.some(({ kind }) => WORKLOADS.includes(kind)));
}

/** NAMESPACE/POD, a namespace, labels, an address. */
export class EndFinder {
  readonly pods: readonly End[];
  readonly #byName: ReadonlyMap<string, End>;
  readonly #namespaces: ReadonlySet<string>;
  readonly #others: ReadonlyMap<string, Pod>;

  constructor(objects: readonly KubeObject[]) {
    this.pods = podEnds(objects);
    this.#byName = new Map(this.pods.map((end) => [end.name, end]));
    const pods = objects.filter((object): object is Pod => object.kind === "Pod");
    const nameOf = ({ metadata }: Pod): string => `${metadata.namespace ?? "default"}/${metadata.name}`;
    this.#others = new Map(pods.map((pod) => [nameOf(pod), pod]));
    const spaces = objects.filter(({ kind }) => kind === "Namespace").map(({ metadata }) => metadata.name);
    this.#namespaces = new Set([...spaces, ...pods.map(({ metadata }) => metadata.namespace ?? "default")]);
  }

  /** All of several words, each end once; all pods where there is none. */
  all(flag: string, words: readonly string[] | undefined): readonly End[] {
    if (words === undefined) return this.pods;
    return [...new Set(words.flatMap((word) => this.find(flag, word)))];
  }

  find(flag: string, word: string): readonly End[] {
    if (parseIp(word) !== null) return [this.#byName.get(word) ?? (addressEnd(word) as End)];
    if (/[=!(,]/.test(word)) return this.#selected(flag, word);
    if (word.includes("/")) return [this.#pod(flag, word)];
    const found = this.pods.filter(({ pod }) => (pod?.metadata.namespace ?? "default") === word);
    if (found.length > 0) return found;
    const isThere = this.#namespaces.has(word);
    const why = isThere ? "the namespace has no pods with addresses of their own" : "no such namespace";
    const known = listed([...this.#namespaces].sort());
    throw new CliError(`${flag} ${word}: ${why}${isThere ? "" : `: there is ${known}`}`);
  }

  #selected(flag: string, word: string): readonly End[] {
    const matches = labelMatcher(word);
    const found = this.pods.filter(({ pod }) => pod !== undefined && matches(pod));
    if (found.length > 0) return found;
    throw new CliError(`${flag} ${word}: no pod with an address of its own has these labels`);
  }

  #pod(flag: string, word: string): End {
    const found = this.#byName.get(word);
    if (found !== undefined) return found;
    const other = this.#others.get(word);
    if (other?.spec.hostNetwork === true)
      throw new CliError(`${flag} ${word}: is on its node's network: give the node's address`);
    if (other !== undefined)
      throw new CliError(`${flag} ${word}: the pod has no address (ended, or not placed)`);
    const namespace = word.split("/")[0];
    const near = this.pods.map(({ name }) => name).filter((name) => name.startsWith(`${namespace}/`));
    const known = near.length > 0 ? listed(near) : listed(this.pods.map(({ name }) => name));
    throw new CliError(`${flag} ${word}: no such pod: there is ${known || "none"}`);
  }
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, 10).join(", ")}${names.length > 10 ? ", …" : ""}`;
}
