// Statuses of what `podwire gateway` serves, kept in a cluster: by one of several processes, which has their Lease. It
// follows the objects for itself, with their statuses, so that what is written here makes nobody look for other rules.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { type KubeObject, keyOf, type Service } from "../../kube/objects.ts";
import { ownGateways } from "../../l7/gateway/own-gateways.ts";
import { type Place, type Places, STATUS_KINDS, statusWrites } from "../../l7/status-writes.ts";
import { ApiSource } from "../../watch/api-server/api-source.ts";
import { ApiConnection } from "../../watch/api-server/connection.ts";
import type { Access } from "../../watch/api-server/kubeconfig.ts";
import { statusResources } from "../../watch/api-server/resources.ts";
import { ObjectSet } from "../../watch/object-set.ts";
import type { GatewayConfig } from "../config.ts";
import { Lease, type LeaseTimes } from "./lease.ts";
import { StatusWriter } from "./status-writer.ts";

export interface StatusKeeperOptions extends Pick<GatewayConfig, "ingress" | "gateways"> {
  readonly status: NonNullable<GatewayConfig["status"]>;
  /** As it is now. */
  readonly access: () => Access;
  /** Requests are taken. */
  readonly isReady: () => boolean;
  readonly tell: (line: string) => void;
  readonly times?: LeaseTimes;
}

/** Where much changes at once, so much of the time is left to who serves requests. */
const REST = 10;
const REST_LEAST_MS = 50;
const READY_MS = 500;
const OWN_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
const LEASE = "podwire-gateway";

export class StatusKeeper {
  readonly #options: StatusKeeperOptions;
  readonly #connection: ApiConnection;
  readonly #lease: Lease;
  #term: Term | undefined;
  #isClosed = false;

  constructor(options: StatusKeeperOptions) {
    this.#options = options;
    const { status, access, tell } = options;
    this.#connection = new ApiConnection(access(), access);
    const [namespace, name] = leaseOf(status).split("/", 2);
    this.#lease = new Lease({
      ...{ connection: this.#connection, namespace, name, identity: `${hostname()}_${randomUUID()}` },
      ...(options.times !== undefined && { times: options.times }),
      onChange: (isHeld) => this.#turn(isHeld),
      onRefused: (why) => tell(`statuses are not written: Lease ${namespace}/${name}: ${why}`),
    });
  }

  start(): void {
    this.#lease.start();
  }

  /** Lets others go on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#term?.close();
    await this.#lease.close();
    this.#connection.close();
  }

  #turn(isHeld: boolean): void {
    if (this.#isClosed) return;
    this.#term?.close();
    this.#term = isHeld ? new Term(this.#options, this.#connection) : undefined;
    if (isHeld) this.#options.tell("gateway: this process writes the statuses");
  }
}

/** As long as the Lease is held. */
class Term {
  readonly #options: StatusKeeperOptions;
  readonly #source: ApiSource;
  readonly #writer: StatusWriter;
  readonly #set = new ObjectSet();
  readonly #watch: NodeJS.Timeout;
  #isSynced = false;
  #wasReady = false;
  #timer: NodeJS.Timeout | undefined;
  #restUntilMs = 0;

  constructor(options: StatusKeeperOptions, connection: ApiConnection) {
    this.#options = options;
    const { access, tell } = options;
    const source = new ApiSource({
      ...{ access: access(), readAgain: access, nodeName: hostname(), stateFile: "" },
      resources: statusResources(STATUS_KINDS),
    });
    this.#source = source;
    this.#writer = new StatusWriter({
      connection,
      pathOf: (kind) => source.pathOf(kind),
      onRefused: (why) => tell(`the status of ${why}`),
    });
    source.start({
      events: (events, isSynced) => {
        let isAny = isSynced && !this.#isSynced;
        this.#isSynced ||= isSynced;
        for (const event of events) isAny = this.#set.apply(event) !== undefined || isAny;
        if (isAny) this.#lookSoon();
      },
      problem: () => {}, // who serves has told it
    });
    this.#watch = setInterval(() => {
      const isReady = options.isReady();
      if (isReady !== this.#wasReady) this.#lookSoon();
      this.#wasReady = isReady;
    }, READY_MS);
    this.#watch.unref();
  }

  close(): void {
    clearInterval(this.#watch);
    clearTimeout(this.#timer);
    this.#writer.close();
    this.#source.close();
  }

  #lookSoon(): void {
    if (!this.#isSynced || this.#timer !== undefined) return;
    const waitMs = Math.max(0, this.#restUntilMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const beforeMs = performance.now();
      this.#look();
      const nowMs = performance.now();
      this.#restUntilMs = nowMs + Math.max(REST_LEAST_MS, REST * (nowMs - beforeMs));
    }, waitMs);
  }

  #look(): void {
    const objects = [...this.#set.objects()];
    const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    this.#writer.write(statusWrites(objects, this.#places(objects), now));
  }

  #places(objects: readonly KubeObject[]): Places {
    const { ingress, gateways, isReady } = this.#options;
    const place: Place = { addresses: this.#addresses(objects), isReady: isReady() };
    const own = new Set(ownGateways(objects).map(keyOf));
    return {
      ingress: place,
      gateway: () => place,
      others: {
        areIngresses: ingress === undefined,
        // One that is gone is everybody's to forget.
        isGateway: (key) => gateways !== "all" && !gateways.includes(key) && own.has(key),
      },
    };
  }

  /** Those that the configuration says, or of the Service: its load balancer's, else those by which it is reached. */
  #addresses(objects: readonly KubeObject[]): readonly string[] {
    const { status } = this.#options;
    if ("addresses" in status) return status.addresses;
    const found = objects.find((each) => each.kind === "Service" && keyOf(each) === status.service);
    if (found === undefined) return [];
    const { spec, status: stored } = found as Service & { status?: Partial<Service["status"]> };
    if (spec.type === "LoadBalancer")
      return (stored?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname: name }) => ip ?? name ?? []);
    const { externalIPs = [], clusterIPs = [] } = spec;
    return externalIPs.length > 0 ? externalIPs : clusterIPs.filter((each) => each !== "None");
  }
}

/** "namespace/name" */
function leaseOf({ lease, ...status }: StatusKeeperOptions["status"]): string {
  if (lease !== undefined) return lease;
  const [namespace] = "service" in status ? status.service.split("/", 1) : [ownNamespace()];
  return `${namespace}/${LEASE}`;
}

/** Of the pod that this is; else the one that everybody has. */
function ownNamespace(): string {
  try {
    return readFileSync(OWN_NAMESPACE, "utf8").trim();
  } catch {
    return "default";
  }
}
