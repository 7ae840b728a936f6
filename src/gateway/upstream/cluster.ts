// A Service's port: its endpoints as they are now, one after the other, without those that fail too often; and how much
// it may be asked at once. Settings are annotations of the Service.
import type { Backend } from "../../l7/backends.ts";
import type { Sweep } from "../sweep.ts";
import { Endpoint } from "./endpoint.ts";
import type { UpstreamSettings } from "./settings.ts";

export interface ClusterGauges {
  readonly name: string;
  readonly endpoints: number;
  readonly ejected: number;
  readonly active: number;
  readonly connections: number;
}

export class Cluster {
  readonly name: string;
  readonly #backend: () => Backend;
  readonly #sweep: Sweep;
  readonly #settings: () => UpstreamSettings;
  #texts: readonly string[] = [];
  #endpoints: Endpoint[] = [];
  #turn = 0;
  active = 0;
  connections = 0;
  /** When somebody last asked for an endpoint, by performance.now(). */
  usedMs = performance.now();

  /** `backend`: as it is now; its endpoints are another list when they change. */
  constructor(name: string, backend: () => Backend, settings: () => UpstreamSettings, sweep: Sweep) {
    this.name = name;
    this.#backend = backend;
    this.#settings = settings;
    this.#sweep = sweep;
  }

  get gauges(): ClusterGauges {
    const now = performance.now();
    const ejected = this.#endpoints.filter((each) => each.ejectedUntilMs > now).length;
    return {
      ...{ name: this.name, endpoints: this.#endpoints.length, ejected },
      ...{ active: this.active, connections: this.connections },
    };
  }

  /** "": it may be asked; otherwise why not. */
  get refusal(): string {
    const { maxRequests, maxConnections } = this.#settings();
    if (maxRequests > 0 && this.active >= maxRequests)
      return `${this.name} has ${maxRequests} requests under way (podwire.dev/max-requests)`;
    return maxConnections > 0 && this.connections >= maxConnections && this.active >= maxConnections
      ? `${this.name} has ${maxConnections} connections (podwire.dev/max-connections)`
      : "";
  }

  get size(): number {
    this.follow();
    return this.#endpoints.length;
  }

  find(text: string): Endpoint | undefined {
    this.follow();
    return this.#endpoints.find((each) => each.text === text);
  }

  get texts(): readonly string[] {
    return this.#backend().endpoints;
  }

  /** The next whose turn it is, of those that were not tried; where all were, whoever it is. Undefined: there is none. */
  next(tried: readonly Endpoint[]): Endpoint | undefined {
    this.follow();
    const endpoints = this.#endpoints;
    const count = endpoints.length;
    const now = performance.now();
    this.usedMs = now;
    if (count === 0) return undefined;
    let other: Endpoint | undefined;
    for (let i = 0; i < count; i++) {
      const at = this.#turn < count ? this.#turn : 0;
      this.#turn = at + 1;
      const each = endpoints[at];
      if (tried.length > 0 && tried.includes(each)) continue;
      if (each.ejectedUntilMs <= now) return each;
      other ??= each;
    }
    return other ?? endpoints[this.#turn % count];
  }

  succeeded(endpoint: Endpoint): void {
    endpoint.failures = 0;
  }

  /** Whoever fails so often, without an answer in between, is left alone for a while; most of them never are. */
  failed(endpoint: Endpoint): void {
    const { ejectAfter, ejectSec, ejectMaxShare } = this.#settings();
    endpoint.failures++;
    if (ejectAfter === 0 || endpoint.failures < ejectAfter) return;
    const now = performance.now();
    const ejected = this.#endpoints.filter((each) => each.ejectedUntilMs > now).length;
    if ((ejected + 1) / this.#endpoints.length > ejectMaxShare) return;
    endpoint.ejectedUntilMs = now + ejectSec * 1000;
    endpoint.failures = 0;
  }

  close(): void {
    for (const each of this.#endpoints) each.close();
  }

  /** A list that has changed: who stays keeps its connections. */
  follow(): void {
    const { endpoints: texts } = this.#backend();
    if (texts === this.#texts) return;
    const before = new Map(this.#endpoints.map((each) => [each.text, each]));
    this.#endpoints = texts.map((text) => {
      const known = before.get(text);
      before.delete(text);
      return known ?? new Endpoint(text, this.#sweep, (change) => (this.connections += change));
    });
    this.#texts = texts;
    for (const each of before.values()) each.close();
  }
}
