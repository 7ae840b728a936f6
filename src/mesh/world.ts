// The objects as they are, and what they say of connections: whose an address is, which node's proxy speaks for it, which
// Services a port is of, and which policies mean a pod. Each event is taken in at its own cost.
import { formatIp, parseIp } from "../base/ip.ts";
import type { AuthorizationPolicy } from "../kube/mesh/authorization-policy.ts";
import { isMeshed, MESH_LABELS, MESH_NAMESPACE } from "../kube/mesh/mesh-names.ts";
import { spiffeId } from "../kube/mesh/spiffe.ts";
import { type KubeObject, keyOf, type Pod } from "../kube/objects.ts";
import type { Identity } from "../l7/mesh/asked.ts";
import { Authorization, type WorkloadPolicies } from "../l7/mesh/authorization.ts";
import type { ObjectEvent } from "../watch/desired-state.ts";
import { ServicePorts } from "./service-ports.ts";

export interface MeshPod {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly identity: Identity;
  /** "spiffe://cluster.local/ns/shop/sa/web" */
  readonly id: string;
  readonly addresses: readonly string[];
}

export interface WorldOptions {
  readonly nodeName: string;
  readonly trustDomain: string;
  readonly onNote: (line: string) => void;
  /** Identities of this node's pods in the mesh. */
  readonly onIdentities: (ids: ReadonlySet<string>) => void;
  /** Policies that cannot even be read, "namespace/name", and why. */
  readonly refusedPolicies: () => ReadonlyMap<string, string>;
}

const OVER = ["Succeeded", "Failed"];
const DEFAULT_ACCOUNT = "default";

export class MeshWorld {
  readonly services = new ServicePorts();
  readonly #options: WorldOptions;
  readonly #namespaces = new Map<string, KubeObject>();
  readonly #pods = new Map<string, MeshPod>();
  readonly #byAddress = new Map<string, MeshPod>();
  /** Nodes → the proxy's address; by the proxy's pod. */
  readonly #proxies = new Map<string, { readonly node: string; readonly address: string }>();
  readonly #policies = new Map<string, AuthorizationPolicy>();
  readonly #waiting = new Map<string, Set<(pod: MeshPod) => void>>();
  #authorization: Authorization | undefined;
  #ofPod = new WeakMap<MeshPod, WorkloadPolicies>();
  #refused = "";
  #notes: readonly string[] = [];
  #ids: ReadonlySet<string> = new Set();

  constructor(options: WorldOptions) {
    this.#options = options;
  }

  take(events: readonly ObjectEvent[]): void {
    for (const event of events) this.#takeOne(event);
    this.#tellIdentities();
  }

  /** `address`: as formatIp writes it. Undefined: no pod that runs has it. */
  podAt(address: string): MeshPod | undefined {
    return this.#byAddress.get(address);
  }

  /** The same, where word of a new pod may still be on its way. */
  whenPodAt(address: string, ms: number): Promise<MeshPod | undefined> {
    const known = this.podAt(address);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(address) ?? new Set();
      this.#waiting.set(address, waiting);
      const done = (pod: MeshPod | undefined): void => {
        clearTimeout(timer);
        waiting.delete(done);
        if (waiting.size === 0 && this.#waiting.get(address) === waiting) this.#waiting.delete(address);
        resolve(pod);
      };
      const timer = setTimeout(() => done(undefined), ms);
      waiting.add(done);
    });
  }

  isLocal({ node }: MeshPod): boolean {
    return node === this.#options.nodeName;
  }

  isMeshed({ namespace }: MeshPod): boolean {
    return isMeshed(this.#namespaces.get(namespace)?.metadata.labels);
  }

  /** Undefined: that node has none. */
  proxyOf(node: string): string | undefined {
    for (const proxy of this.#proxies.values()) if (proxy.node === node) return proxy.address;
    return undefined;
  }

  /** Whether a pod of this node in the mesh has it. */
  isOwnId(id: string): boolean {
    return this.#ids.has(id);
  }

  policiesOf(pod: MeshPod): WorkloadPolicies {
    this.#followRefused();
    let policies = this.#ofPod.get(pod);
    if (policies === undefined) {
      this.#authorization ??= this.#authorize();
      policies = this.#authorization.of(pod);
      this.#ofPod.set(pod, policies);
    }
    return policies;
  }

  #takeOne({ type, object }: ObjectEvent): void {
    const isGone = type === "DELETED";
    switch (object.kind) {
      case "Namespace":
        if (isGone) this.#namespaces.delete(object.metadata.name);
        else this.#namespaces.set(object.metadata.name, object);
        break;
      case "Pod":
        this.#takePod(object as Pod, isGone);
        break;
      case "AuthorizationPolicy":
        if (isGone) this.#policies.delete(keyOf(object));
        else this.#policies.set(keyOf(object), object as AuthorizationPolicy);
        this.#forgetPolicies();
        break;
      default:
        this.services.take(object, isGone);
    }
  }

  #takePod(pod: Pod, isGone: boolean): void {
    const key = keyOf(pod);
    const before = this.#pods.get(key);
    if (before !== undefined) {
      this.#pods.delete(key);
      this.#proxies.delete(key);
      for (const each of before.addresses)
        if (this.#byAddress.get(each) === before) this.#byAddress.delete(each);
    }
    const isOver = OVER.includes(pod.status?.phase ?? "");
    // A node's own address says nothing of who is behind it.
    if (isGone || isOver || pod.spec.hostNetwork === true || pod.spec.nodeName === undefined) return;
    const now = this.#made(pod, pod.spec.nodeName);
    this.#pods.set(key, now);
    for (const each of now.addresses) {
      this.#byAddress.set(each, now);
      for (const done of [...(this.#waiting.get(each) ?? [])]) done(now);
    }
    const [address] = now.addresses;
    if (address !== undefined && isProxy(now)) this.#proxies.set(key, { node: now.node, address });
  }

  #made({ metadata, spec, status }: Pod, node: string): MeshPod {
    const { trustDomain } = this.#options;
    const { namespace = "", name, labels = {} } = metadata;
    const serviceAccount = spec.serviceAccountName || DEFAULT_ACCOUNT;
    const texts = status?.podIPs?.map(({ ip = "" }) => ip) ?? [status?.podIP ?? ""];
    const addresses = texts.map(parseIp).filter((each) => each !== null);
    return {
      ...{ namespace, name, node, labels },
      identity: { trustDomain, namespace, serviceAccount },
      id: spiffeId({ namespace, serviceAccount }, trustDomain),
      addresses: addresses.map(formatIp),
    };
  }

  #tellIdentities(): void {
    const ids = new Set<string>();
    for (const pod of this.#pods.values()) if (this.isLocal(pod) && this.isMeshed(pod)) ids.add(pod.id);
    if (ids.size === this.#ids.size && [...ids].every((id) => this.#ids.has(id))) return;
    this.#ids = ids;
    this.#options.onIdentities(ids);
  }

  /** A source says of what it cannot read without an event. */
  #followRefused(): void {
    const text = [...this.#options.refusedPolicies()].join(" ");
    if (text === this.#refused) return;
    this.#refused = text;
    this.#forgetPolicies();
  }

  #forgetPolicies(): void {
    this.#authorization = undefined;
    this.#ofPod = new WeakMap();
  }

  #authorize(): Authorization {
    const made = new Authorization([...this.#policies.values()], this.#options.refusedPolicies());
    for (const line of made.notes) if (!this.#notes.includes(line)) this.#options.onNote(line);
    this.#notes = made.notes;
    return made;
  }
}

function isProxy({ namespace, labels }: MeshPod): boolean {
  return (
    namespace === MESH_NAMESPACE && Object.entries(MESH_LABELS).every(([key, value]) => labels[key] === value)
  );
}
