// Ingresses and Gateways of a lab: what is written into their status, as the objects change.
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { Cluster } from "../../cluster/cluster.ts";
import { timeText } from "../../cluster/event-recorder.ts";
import { splitApiVersion } from "../../kube/api-groups.ts";
import { customKind } from "../../kube/custom-definition.ts";
import { GATEWAY_KINDS } from "../../kube/gateway/gateway-kinds.ts";
import { type KubeObject, keyOf } from "../../kube/objects.ts";
import { type Places, STATUS_KINDS, statusWrites } from "../../l7/status-writes.ts";
import { oneLine } from "../errors.ts";

/** Manifest's kind → how a store knows it. */
const STORED_AS = new Map(
  GATEWAY_KINDS.map(({ kind, apiVersion }) => [kind, customKind(kind, splitApiVersion(apiVersion)[0])]),
);
const MADE_BY_USERS = ["Ingress", "IngressClass", ...STORED_AS.values()];
const FOLLOWED = new Set([...STATUS_KINDS, ...STORED_AS.values()]);
/** Where much changes at once, so much of the time is left to others. */
const REST = 10;

export class LabGateways {
  readonly #cluster: Cluster;
  readonly #log: (line: string) => void;
  #isDue = false;
  #isAtWork = false;

  constructor(cluster: Cluster, log: (line: string) => void) {
    this.#cluster = cluster;
    this.#log = log;
  }

  /** From now on. */
  start(): void {
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
    const places: Places = { ingress: undefined, gateway: () => undefined };
    const now = timeText(Date.now());
    for (const { object, status } of statusWrites(this.#objects(), places, now)) {
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
