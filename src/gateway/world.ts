// The objects as they are, and what they say of requests. A slice that changes is taken in at once, at the cost of its
// Service alone; anything else makes the evaluator anew, at most so often that it takes a fifth of the time.
import type { Gateway } from "../kube/gateway/gateway-objects.ts";
import type { EndpointSlice, KubeObject, Secret, Service } from "../kube/objects.ts";
import { Evaluator } from "../l7/evaluator.ts";
import { ownClasses, ownGateways } from "../l7/gateway/own-gateways.ts";
import type { ObjectEvent } from "../watch/desired-state.ts";
import { ObjectSet } from "../watch/object-set.ts";
import { readUpstreamSettings, type UpstreamSettings } from "./upstream/settings.ts";

export interface WorldOptions {
  readonly nodeName: string;
  readonly zone: string;
  /** Ingresses are served here; and these Gateways, "namespace/name". */
  readonly isIngress: boolean;
  readonly gateways: readonly string[] | "all";
  readonly onNote: (line: string) => void;
  /** The rules, the endpoints or what else is looked up here have changed. */
  readonly onChange: (what: "endpoints" | "all") => void;
}

const SHARE = 5; // so many times what the last making took is waited for before the next
const WAIT_MAX_MS = 1000;

export class World {
  readonly #options: WorldOptions;
  readonly #set = new ObjectSet();
  #evaluator: Evaluator;
  #pods: Map<string, string> | undefined;
  #settings = new Map<string, UpstreamSettings>();
  #notes: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #madeMs = 0;
  #tookMs = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#evaluator = new Evaluator([], options);
  }

  get evaluator(): Evaluator {
    return this.#evaluator;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** Everything is told in one call at first, and a change at a time then. */
  take(events: readonly ObjectEvent[]): void {
    let isAll = false;
    let isAny = false;
    for (const event of events) {
      const before = this.#set.get(event.object);
      const applied = this.#set.apply(event);
      if (applied === undefined) continue;
      isAny = true;
      if (applied.object.kind !== "EndpointSlice") isAll = true;
      else {
        const now = applied.type === "DELETED" ? undefined : (applied.object as EndpointSlice);
        this.#evaluator.replaceSlice(before as EndpointSlice | undefined, now);
      }
    }
    if (!isAny) return;
    this.#pods = undefined;
    if (isAll) this.#makeSoon();
    else this.#options.onChange("endpoints");
  }

  /** Of kind, namespace and name. */
  get<T extends KubeObject>(kind: T["kind"], key: string): T | undefined {
    const [namespace, name] = key.split("/", 2);
    return this.#set.get({ apiVersion: "", kind, metadata: { namespace, name } } as KubeObject) as
      | T
      | undefined;
  }

  secret(key: string): Secret | undefined {
    return this.get<Secret>("Secret", key);
  }

  *objects(kind: string): Iterable<KubeObject> {
    for (const object of this.#set.objects()) if (object.kind === kind) yield object;
  }

  /** Of podwire's classes; where there is none of these, all. */
  gateways(): readonly Gateway[] {
    const classes = [...this.objects("GatewayClass")];
    const all = [...this.objects("Gateway")] as Gateway[];
    return ownClasses(classes).length === 0 ? all : ownGateways([...classes, ...all]);
  }

  /** "namespace/name" of the pod at "ip:port"; "": no slice tells. */
  podAt(endpoint: string): string {
    this.#pods ??= this.#readPods();
    return this.#pods.get(endpoint.slice(0, endpoint.lastIndexOf(":")).replace(/^\[|\]$/g, "")) ?? "";
  }

  /** Of a Service's port, "namespace/name:port". */
  settingsOf(port: string): UpstreamSettings {
    let settings = this.#settings.get(port);
    if (settings === undefined) {
      const key = port.slice(0, port.lastIndexOf(":"));
      const { metadata } = this.get<Service>("Service", key) ?? {};
      settings = readUpstreamSettings(metadata?.annotations, (line) =>
        this.#options.onNote(`Service ${key}: ${line}`),
      );
      this.#settings.set(port, settings);
    }
    return settings;
  }

  #makeSoon(): void {
    if (this.#timer !== undefined) return;
    const waitMs = Math.min(WAIT_MAX_MS, this.#madeMs + this.#tookMs * SHARE - performance.now());
    if (waitMs <= 0) this.#make();
    else
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#make();
      }, waitMs);
  }

  #make(): void {
    const start = performance.now();
    this.#evaluator = new Evaluator(
      [...this.#set.objects()].filter((each) => this.#isServed(each)),
      { ...this.#options, nowMs: Date.now() }, // certificates' dates are told of
    );
    this.#settings.clear();
    this.#madeMs = performance.now();
    this.#tookMs = this.#madeMs - start;
    for (const line of this.#evaluator.notes) if (!this.#notes.includes(line)) this.#options.onNote(line);
    this.#notes = this.#evaluator.notes;
    this.#options.onChange("all");
  }

  #isServed({ kind, metadata }: KubeObject): boolean {
    const { isIngress, gateways } = this.#options;
    if (kind === "Ingress") return isIngress;
    return (
      kind !== "Gateway" || gateways === "all" || gateways.includes(`${metadata.namespace}/${metadata.name}`)
    );
  }

  #readPods(): Map<string, string> {
    const pods = new Map<string, string>();
    for (const slice of this.objects("EndpointSlice")) {
      for (const { addresses, targetRef } of (slice as EndpointSlice).endpoints ?? []) {
        const ref = targetRef as
          | { readonly kind?: string; readonly namespace?: string; readonly name?: string }
          | undefined;
        if (ref?.kind !== "Pod" || ref.name === undefined) continue;
        for (const address of addresses)
          pods.set(address, `${ref.namespace ?? slice.metadata.namespace}/${ref.name}`);
      }
    }
    return pods;
  }
}
