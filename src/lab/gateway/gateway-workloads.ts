// The gateways that run in a lab, as objects: made where they are wanted, taken away where they are not any more, and
// where each is reached.
import type { Cluster } from "../../cluster/cluster.ts";
import { namespaceObject } from "../../cluster/outcome.ts";
import type { LabGatewaySettings } from "../../config/lab-gateways.ts";
import { manifestOf } from "../../kube/manifest/manifest.ts";
import { type Deployment, type KubeObject, keyOf, type Node, type Service } from "../../kube/objects.ts";
import type { Place } from "../../l7/status-writes.ts";
import { oneLine } from "../errors.ts";
import type { Topology } from "../topology.ts";
import { GATEWAY_PARTS, gatewayObjects, INGRESS_WANTED, MANAGED, type Wanted } from "./gateway-objects.ts";

export class GatewayWorkloads {
  readonly #cluster: Cluster;
  readonly #topology: Topology;
  readonly #settings: LabGatewaySettings;
  readonly #log: (line: string) => void;
  /** Of each gateway what was made last, as text. */
  readonly #made = new Map<string, string>();
  /** What was said of those that cannot run. */
  readonly #told = new Set<string>();

  constructor(
    cluster: Cluster,
    topology: Topology,
    settings: LabGatewaySettings,
    log: (line: string) => void,
  ) {
    this.#cluster = cluster;
    this.#topology = topology;
    this.#settings = settings;
    this.#log = log;
  }

  /** These run, and no others. */
  keep(wanted: readonly Wanted[]): void {
    for (const each of wanted) this.#keep(each);
    const keys = new Set(wanted.map(({ namespace, name }) => `${namespace}/${name}`));
    for (const kind of GATEWAY_PARTS)
      for (const object of this.#cluster.list(kind))
        if (isManaged(object) && !keys.has(keyOf(object))) this.#cluster.delete(object);
    for (const key of this.#made.keys()) if (!keys.has(key)) this.#made.delete(key);
  }

  /** Undefined: it is not there. */
  place({ namespace, name }: Wanted): Place | undefined {
    const key = `${namespace}/${name}`;
    const service = this.#cluster.get("Service", key) as Service | undefined;
    const deployment = this.#cluster.get("Deployment", key) as Deployment | undefined;
    if (service === undefined || !isManaged(service)) return undefined;
    const isReady = (deployment?.status?.readyReplicas ?? 0) > 0;
    return { addresses: this.#addressesOf(service), isReady };
  }

  #keep(wanted: Wanted): void {
    const objects = gatewayObjects(wanted, this.#topology, this.#settings);
    const key = `${wanted.namespace}/${wanted.name}`;
    const text = JSON.stringify(objects);
    const found = objects.map((each) => this.#cluster.get(each.kind, keyOf(each)));
    if (this.#made.get(key) === text && found.every((each) => each !== undefined)) return;
    const taken = found.find((each) => each !== undefined && !isManaged(each));
    if (taken !== undefined) {
      this.#tell(`gateway ${key} does not run: there is another ${taken.kind} of its name`);
      return;
    }
    const { namespace } = wanted;
    if (namespace === INGRESS_WANTED.namespace && this.#cluster.get("Namespace", namespace) === undefined)
      this.#cluster.update(namespaceObject(namespace));
    try {
      this.#cluster.applyManifests(objects.map((each) => manifestOf(each, "lab", { carries: true })));
      this.#made.set(key, text);
    } catch (error) {
      this.#tell(`gateway ${key} does not run: ${oneLine(error)}`); // its namespace may be about to go
    }
  }

  #tell(line: string): void {
    if (!this.#told.has(line)) this.#log(line);
    this.#told.add(line);
  }

  /** Of a load balancer its own; of node ports those of the nodes. */
  #addressesOf({ spec, status }: Service): string[] {
    if (spec.type === "LoadBalancer")
      return (status.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip ?? hostname ?? []);
    const nodes = this.#cluster.list("Node") as Node[];
    return nodes.flatMap((node) =>
      (node.status.addresses ?? []).filter(({ type }) => type === "InternalIP").map(({ address }) => address),
    );
  }
}

function isManaged({ metadata: { labels = {} } }: KubeObject): boolean {
  return Object.entries(MANAGED).every(([name, value]) => labels[name] === value);
}
