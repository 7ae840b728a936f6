// The mesh as one node's plane has to know it: which addresses are pods of meshed namespaces, on whatever node, and which
// pod of this node is its proxy. A change looks at the pods that changed, and at a namespace's when its label did;
// while no namespace is meshed, at none. The proxies themselves are of no mesh: what they send and get is carried by
// nobody.
import { formatIp, type Ip, parseIp } from "../base/ip.ts";
import type { MeshUpdate } from "../dataplane/spec/mesh.ts";
import { isMeshed, isMeshProxy, MESH_NAMESPACE } from "../kube/mesh/mesh-names.ts";
import type { Changes, DesiredState, Pod } from "../watch/desired-state.ts";
import { hasEnded } from "./local-pods.ts";
import { namespaceOf } from "./policy/policy-input.ts";

interface MeshProxy {
  readonly addresses: readonly Ip[];
  readonly isReady: boolean;
}

interface Held {
  readonly address: Ip;
  /** Pods that have it: one may come before another's end is told. */
  count: number;
}

export class MeshCompiler {
  readonly #nodeName: string;
  readonly #namespaces = new Set<string>();
  readonly #pods = new Map<string, readonly Ip[]>();
  /** By text. */
  readonly #held = new Map<string, Held>();
  /** By text: before this change. */
  readonly #touched = new Map<string, boolean>();
  #proxy: MeshProxy | undefined;
  /** There has been a mesh: connections of it may be left when there is none. */
  #isFollowed = false;

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  /** What these changes make of it; undefined when they make no difference. */
  update(state: DesiredState, changes: Changes): MeshUpdate | undefined {
    const wasOn = this.#namespaces.size > 0;
    const turned = this.#turn(state, changes.namespaces);
    const isOn = this.#namespaces.size > 0;
    const isFirst = isOn && !this.#isFollowed;
    this.#isFollowed ||= isOn;
    if (!this.#isFollowed) return undefined;
    for (const key of turned.size > 0 ? this.#podsIn(state, turned) : []) this.#look(state, key);
    for (const key of changes.pods) this.#look(state, key);
    const before = this.#proxy;
    if (isFirst || [...changes.pods].some(isSystem)) this.#proxy = this.#find(state);
    const { set, remove } = this.#difference();
    const isSame = isOn === wasOn && set.length + remove.length === 0 && sameProxy(before, this.#proxy);
    return isSame ? undefined : { isOn, proxy: this.#proxy, set, remove };
  }

  /** Namespaces whose label says something else now. */
  #turn(state: DesiredState, changed: ReadonlySet<string>): Set<string> {
    const turned = new Set<string>();
    for (const name of changed) {
      const is = isMeshed(state.namespaces.get(name)?.metadata.labels);
      if (is === this.#namespaces.has(name)) continue;
      if (is) this.#namespaces.add(name);
      else this.#namespaces.delete(name);
      turned.add(name);
    }
    return turned;
  }

  #podsIn(state: DesiredState, namespaces: ReadonlySet<string>): string[] {
    return [...state.pods.keys()].filter((key) => namespaces.has(namespaceOf(key)));
  }

  #look(state: DesiredState, key: string): void {
    const pod = this.#namespaces.has(namespaceOf(key)) ? state.pods.get(key) : undefined;
    const after = pod === undefined || isMeshProxy(pod.metadata) ? [] : ownAddresses(pod);
    for (const address of this.#pods.get(key) ?? []) this.#hold(address, -1);
    for (const address of after) this.#hold(address, 1);
    if (after.length === 0) this.#pods.delete(key);
    else this.#pods.set(key, after);
  }

  #hold(address: Ip, by: number): void {
    const text = formatIp(address);
    const held = this.#held.get(text) ?? { address, count: 0 };
    if (!this.#touched.has(text)) this.#touched.set(text, held.count > 0);
    held.count += by;
    this.#held.set(text, held);
  }

  #difference(): { set: Ip[]; remove: Ip[] } {
    const [set, remove]: [Ip[], Ip[]] = [[], []];
    for (const [text, was] of this.#touched) {
      const { address, count } = this.#held.get(text) as Held;
      if (count === 0) this.#held.delete(text);
      if (was !== count > 0) (was ? remove : set).push(address);
    }
    this.#touched.clear();
    return { set, remove };
  }

  /** A DaemonSet's next pod may be there before the last one is gone. */
  #find(state: DesiredState): MeshProxy | undefined {
    const found = [...state.podsOn(this.#nodeName)]
      .filter(([, pod]) => isMeshProxy(pod.metadata) && ownAddresses(pod).length > 0)
      .map(([key, pod]) => ({ pod, rank: `${rankOf(pod)} ${pod.metadata.creationTimestamp ?? ""} ${key}` }))
      .sort((a, b) => (a.rank > b.rank ? -1 : 1));
    if (found.length === 0) return undefined;
    const [{ pod }] = found;
    return { addresses: ownAddresses(pod), isReady: isReady(pod) };
  }
}

/** Who takes new connections comes first, then who still has old ones, then who is to come; of two the younger one. */
function rankOf(pod: Pod): number {
  if (isReady(pod)) return 2;
  return isLeaving(pod) ? 1 : 0;
}

function isSystem(key: string): boolean {
  return namespaceOf(key) === MESH_NAMESPACE;
}

function isLeaving({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** Of a pod of which nobody says whether it is ready, its being there says it. */
function isReady(pod: Pod): boolean {
  if (isLeaving(pod)) return false;
  const told = pod.status.conditions?.find(({ type }) => type === "Ready");
  return told === undefined || told.status === "True";
}

/** None of a pod that has its node's, or that has ended. */
function ownAddresses(pod: Pod): Ip[] {
  if (pod.spec.hostNetwork === true || hasEnded(pod)) return [];
  return (pod.status.podIPs ?? []).flatMap(({ ip }) => parseIp(ip ?? "") ?? []);
}

function sameProxy(a: MeshProxy | undefined, b: MeshProxy | undefined): boolean {
  const text = (proxy: MeshProxy | undefined): string =>
    proxy === undefined ? "" : [proxy.isReady, ...proxy.addresses.map(formatIp)].join();
  return text(a) === text(b);
}
