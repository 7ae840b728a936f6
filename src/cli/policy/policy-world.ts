// What policy asks about: objects of files, with the addresses that a cluster would give to pods that have none, or those
// of nodes that run here; and whom a word means among them.
import { type Cidr, parseIp } from "../../base/ip.ts";
import { isFinished } from "../../cluster/controller/scheduler.ts";
import { WORKLOADS } from "../../kube/kinds.ts";
import type { Manifest, ManifestText } from "../../kube/manifest/manifest.ts";
import type { KubeObject, Pod } from "../../kube/objects.ts";
import { PassedOver } from "../../kube/passed-over.ts";
import { addressEnd, type End, nodeEnds, ownAddresses, podEnds } from "../../offline/policy/ends.ts";
import {
  addressKey,
  prefixesOf,
  type RangeWord,
  rangeEnds,
  readRange,
  WORLD,
} from "../../offline/policy/ranges.ts";
import { type Globals, note } from "../context.ts";
import { CliError } from "../errors.ts";
import { openNodes } from "../nodes/open-nodes.ts";
import { labelMatcher } from "../objects/get/selector.ts";
import { rawObjects } from "../offline/explain-world.ts";
import { clusterObjects, offlineCluster } from "../offline/offline-cluster.ts";

export interface PolicyObjects {
  readonly objects: readonly KubeObject[];
  /** Undefined: files do not say. */
  readonly hasOverlay: boolean | undefined;
}

export async function policyObjects(
  flags: Globals,
  texts: readonly ManifestText[] | undefined,
  look?: (manifests: readonly Manifest[]) => void,
): Promise<PolicyObjects> {
  if (texts === undefined) {
    const nodes = await openNodes(flags);
    return { objects: await clusterObjects(nodes), hasOverlay: nodes.vxlanPort !== undefined };
  }
  const objects = await fileObjects(flags, texts, look);
  return { objects, hasOverlay: undefined };
}

async function fileObjects(
  flags: Globals,
  texts: readonly ManifestText[],
  look?: (manifests: readonly Manifest[]) => void,
): Promise<readonly KubeObject[]> {
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

export interface FinderOptions {
  /** Are nodes behind an overlay? Undefined: nobody knows. */
  readonly hasOverlay?: boolean | undefined;
  /** Objects whose policies cut ranges into pieces: these and, where two states are compared, the other ones. */
  readonly cutBy?: readonly KubeObject[];
}

/** NAMESPACE/POD, a namespace, labels, an address or a range, nodes. */
export class EndFinder {
  readonly pods: readonly End[];
  readonly nodes: readonly End[];
  readonly #byName: ReadonlyMap<string, End>;
  readonly #nodesByName: ReadonlyMap<string, End>;
  readonly #prefixes: readonly Cidr[];
  /** Addresses of pods and nodes, in all the states that are compared. */
  readonly #taken: ReadonlySet<string>;
  readonly #namespaces: ReadonlySet<string>;
  readonly #others: ReadonlyMap<string, Pod>;

  constructor(objects: readonly KubeObject[], { hasOverlay, cutBy = objects }: FinderOptions = {}) {
    this.pods = podEnds(objects);
    this.nodes = nodeEnds(objects, hasOverlay);
    this.#nodesByName = new Map(this.nodes.map((end) => [end.name, end]));
    this.#prefixes = prefixesOf(cutBy);
    this.#taken = new Set(ownAddresses(cutBy).map(addressKey));
    this.#byName = new Map(this.pods.map((end) => [end.name, end]));
    const pods = objects.filter((object): object is Pod => object.kind === "Pod");
    const nameOf = ({ metadata }: Pod): string => `${metadata.namespace ?? "default"}/${metadata.name}`;
    this.#others = new Map(pods.map((pod) => [nameOf(pod), pod]));
    const spaces = objects.filter(({ kind }) => kind === "Namespace").map(({ metadata }) => metadata.name);
    this.#namespaces = new Set([...spaces, ...pods.map(({ metadata }) => metadata.namespace ?? "default")]);
  }

  /** Whoever is no pod: nodes, and addresses outside. */
  get others(): readonly End[] {
    return [...this.nodes, ...this.world];
  }

  /** All of several words, each end once. */
  all(flag: string, words: readonly string[]): readonly End[] {
    return [...new Set(words.flatMap((word) => this.find(flag, word)))];
  }

  find(flag: string, word: string): readonly End[] {
    if (parseIp(word) !== null) return [this.#byName.get(word) ?? (addressEnd(word) as End)];
    const range = readRange(word);
    if (range !== undefined) return this.#pieces(flag, word, range);
    if (/[=!(,]/.test(word)) return this.#selected(flag, word);
    if (word.includes("/")) return [this.#pod(flag, word)];
    if (!this.#namespaces.has(word)) {
      if (word === "nodes" && this.nodes.length > 0) return this.nodes;
      if (word === "world") return this.world;
    }
    const found = this.pods.filter(({ pod }) => (pod?.metadata.namespace ?? "default") === word);
    if (found.length > 0) return found;
    const isThere = this.#namespaces.has(word);
    const why = isThere ? "the namespace has no pods with addresses of their own" : "no such namespace";
    if (isThere) throw new CliError(`${flag} ${word}: ${why}`);
    const meant = this.pods.map(({ name }) => name).filter((name) => name.endsWith(`/${word}`));
    const advice = meant.length > 0 ? `; the pod is ${listed(meant)}` : "";
    const known = listed([...this.#namespaces].sort());
    throw new CliError(`${flag} ${word}: ${why}: there is ${known}${advice}`);
  }

  /** Everybody who is neither pod nor node, in the families that pods have. */
  get world(): readonly End[] {
    const families = new Set(this.pods.flatMap((end) => end.families));
    return [...families].sort().flatMap((family) => this.find("", WORLD[family]));
  }

  #pieces(flag: string, word: string, range: RangeWord): readonly End[] {
    const found = rangeEnds(range, this.#prefixes, this.#taken);
    if (found.length > 0) return found;
    throw new CliError(`${flag} ${word}: it has no address that is no pod's and no node's`);
  }

  #selected(flag: string, word: string): readonly End[] {
    const matches = labelMatcher(word, flag);
    const found = this.pods.filter(({ pod }) => pod !== undefined && matches(pod));
    if (found.length > 0) return found;
    throw new CliError(`${flag} ${word}: no pod with an address of its own has these labels`);
  }

  /** As other commands write it, too: pod/NAME, pod/NAMESPACE/NAME. */
  #pod(flag: string, given: string): End {
    const [first, ...rest] = given.split("/");
    const isPrefixed = first === "pod" && (rest.length === 2 || !this.#namespaces.has("pod"));
    const word = isPrefixed ? [...(rest.length === 1 ? ["default"] : []), ...rest].join("/") : given;
    const found = this.#byName.get(word) ?? this.#nodesByName.get(word);
    if (found !== undefined) return found;
    if (word.startsWith("node/") && !this.#namespaces.has("node")) {
      const names = listed(this.nodes.map(({ name }) => name));
      throw new CliError(`${flag} ${word}: no such node with an address: there is ${names || "none"}`);
    }
    if (/^[\d.]+\/|:/.test(word)) throw new CliError(`${flag} ${word}: is no CIDR such as 192.0.2.0/24`);
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
