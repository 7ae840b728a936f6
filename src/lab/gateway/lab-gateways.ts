// Ingresses and Gateways of a lab: which gateways run for them, and what is written into their status, as the objects
// change.
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { Cluster } from "../../cluster/cluster.ts";
import { timeText } from "../../cluster/event-recorder.ts";
import type { LabGatewaySettings } from "../../config/lab-gateways.ts";
import { splitApiVersion } from "../../kube/api-groups.ts";
import { customKind } from "../../kube/custom-definition.ts";
import { GATEWAY_KINDS } from "../../kube/gateway/gateway-kinds.ts";
import { type KubeObject, keyOf } from "../../kube/objects.ts";
import { ownClasses, ownGateways } from "../../l7/gateway/own-gateways.ts";
import { gatewayRefusal } from "../../l7/gateway/refusal.ts";
import { ownIngresses } from "../../l7/ingress/class.ts";
import { type Place, STATUS_KINDS, statusWrites } from "../../l7/status-writes.ts";
import { oneLine } from "../errors.ts";
import type { Topology } from "../topology.ts";
import { GATEWAY_PARTS, INGRESS_WANTED, type Wanted, wantedBy } from "./gateway-objects.ts";
import { GatewayWorkloads } from "./gateway-workloads.ts";

/** Manifest's kind → how a store knows it. */
const STORED_AS = new Map(
  GATEWAY_KINDS.map(({ kind, apiVersion }) => [kind, customKind(kind, splitApiVersion(apiVersion)[0])]),
);
const MADE_BY_USERS = ["Ingress", "IngressClass", ...STORED_AS.values()];
const FOLLOWED = new Set([...STATUS_KINDS, ...STORED_AS.values(), ...GATEWAY_PARTS, "Node"]);
/** Where much changes at once, so much of the time is left to others. */
const REST = 10;

export class LabGateways {
  readonly #cluster: Cluster;
  readonly #settings: LabGatewaySettings;
  readonly #workloads: GatewayWorkloads;
  readonly #log: (line: string) => void;
  #isDue = false;
  #isAtWork = false;

  constructor(cluster: Cluster, topology: Topology, log: (line: string) => void) {
    this.#cluster = cluster;
    this.#settings = topology.gateways ?? {};
    this.#workloads = new GatewayWorkloads(cluster, topology, this.#settings, log);
    this.#log = log;
  }

  /** From now on. */
  start(): void {
    if (this.#settings.enabled === false) return;
    this.#cluster.onChange(({ object: { kind } }) => {
      if (FOLLOWED.has(kind) && (MADE_BY_USERS.includes(kind) || this.#isNeeded())) void this.#look();
    });
    void this.#look();
  }

  #isNeeded(): boolean {
    return MADE_BY_USERS.some((kind) => this.#cluster.store.count(kind) > 0 && !kind.includes("Class"));
  }

  /** In a turn of its own, not in the middle of the change that is told. */
  async #look(): Promise<void> {
    this.#isDue = true;
    if (this.#isAtWork) return;
    this.#isAtWork = true;
    while (this.#isDue) {
      await turn();
      this.#isDue = false;
      const before = performance.now();
      try {
        this.#settle();
      } catch (error) {
        this.#log(`gateways: ${oneLine(error)}`);
      }
      await sleep(REST * (performance.now() - before), undefined, { ref: false });
    }
    this.#isAtWork = false;
  }

  #settle(): void {
    const objects = this.#objects();
    const isServed = ownIngresses(objects).own.length > 0 || this.#settings.ingress === true;
    const classes = ownClasses(objects);
    const accepted = ownGateways(objects).filter((each) => gatewayRefusal(each, classes) === undefined);
    const gateways = new Map(accepted.map((each) => [keyOf(each), wantedBy(each)]));
    const wanted = [...(isServed ? [INGRESS_WANTED] : []), ...gateways.values()];
    this.#workloads.keep(wanted.filter(({ ports }) => ports.length > 0));
    const place = (each: Wanted | undefined): Place | undefined =>
      each === undefined ? undefined : this.#workloads.place(each);
    const places = { ingress: place(INGRESS_WANTED), gateway: (key: string) => place(gateways.get(key)) };
    for (const { object, status } of statusWrites(objects, places, timeText(Date.now()))) {
      const stored = this.#cluster.get(STORED_AS.get(object.kind) ?? object.kind, keyOf(object));
      if (stored !== undefined) this.#cluster.update({ ...stored, status } as KubeObject);
    }
  }

  #objects(): KubeObject[] {
    const gateways = [...STORED_AS].flatMap(([kind, stored]) =>
      this.#cluster.list(stored).map((each) => ({ ...each, kind })),
    );
    return [...STATUS_KINDS.flatMap((kind) => this.#cluster.list(kind)), ...gateways];
  }
}
