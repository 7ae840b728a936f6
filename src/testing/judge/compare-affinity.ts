// How long a client with session affinity is remembered: connections one after the other, some within the time-out of
// the last one, one after it. The kernel's side takes its time, podwire's clock is set on. Where a client
// goes after its time-out is chance, so what is compared is whether all clients of a service port together ever change.
import type { Service } from "../../kube/objects.ts";
import type { Difference, Numbers } from "./compare.ts";
import { type Flow, flowsOf } from "./flows.ts";
import type { Seen } from "./outcome.ts";
import type { Shot } from "./plane.ts";
import type { Scenario } from "./scenario.ts";

export interface TimedSide {
  /** The cluster with these time-outs, nobody remembered. */
  begin(): void | Promise<void>;
  shoot(shots: readonly Shot[]): Seen | Promise<Seen>;
  /** Lets time go by. */
  wait(ms: number): void | Promise<void>;
}

const TIMEOUT_MS = 1000;
/** Before each connection but the first. The second one within the time-out shows that the first made it begin again. */
const WAITS_MS = [600, 600, 1400];
const MARGIN_MS = 150; // a machine that was busy may have let the time-out go by
const ROUNDS_MIN = 3;
const ROUNDS_MAX = 8;
const ATTEMPTS = 16; // a round with a step that came too late is no round

/** The scenario with time-outs as short as the API allows. */
export function withShortAffinity(s: Scenario): Scenario {
  const short = (service: Service): Service =>
    service.spec.sessionAffinity === "ClientIP"
      ? {
          ...service,
          spec: {
            ...service.spec,
            sessionAffinityConfig: { clientIP: { timeoutSeconds: TIMEOUT_MS / 1000 } },
          },
        }
      : service;
  return {
    ...s,
    services: s.services.map(short),
    objects: s.objects.map((object) => (object.kind === "Service" ? short(object as Service) : object)),
  };
}

type Who = "kernel" | "podwire";

export class AffinityComparison {
  readonly #seed: number;
  readonly #flows: readonly Flow[];
  readonly #sides: Readonly<Record<Who, TimedSide>>;
  readonly #numbers: Numbers;
  /** "svc0 TCP, 600 ms after its last connection" → who → what its clients did. */
  readonly #seen = new Map<string, Record<Who, Set<string>>>();
  packets = 0;
  /** Rounds in which all was in time. */
  rounds = 0;

  constructor(s: Scenario, sides: Readonly<Record<Who, TimedSide>>, numbers: Numbers) {
    this.#seed = s.seed;
    this.#flows = oneEach(flowsOf(s));
    this.#sides = sides;
    this.#numbers = numbers;
  }

  async differences(): Promise<Difference[]> {
    for (let n = 0; n < ATTEMPTS && this.rounds < ROUNDS_MAX; n++) {
      if (this.rounds >= ROUNDS_MIN && this.#unequal().length === 0) break;
      if (await this.#round()) this.rounds++;
    }
    if (this.rounds < ROUNDS_MIN) throw new Error("this machine is too busy to wait for less than a second");
    return this.#unequal().map(([flow, { kernel, podwire }]) => ({
      seed: this.#seed,
      flow,
      kernel: [...kernel].sort(),
      podwire: [...podwire].sort(),
    }));
  }

  #unequal(): [string, Record<Who, Set<string>>][] {
    return [...this.#seen].filter(
      ([, { kernel, podwire }]) =>
        kernel.size !== podwire.size || [...kernel].some((text) => !podwire.has(text)),
    );
  }

  /** True when all was in time. */
  async #round(): Promise<boolean> {
    const { kernel, podwire } = this.#sides;
    await kernel.begin();
    await podwire.begin();
    let inTime = true;
    let beganMs = performance.now();
    let before = await this.#connect();
    for (const waitMs of WAITS_MS) {
      await kernel.wait(waitMs);
      await podwire.wait(waitMs);
      const lastMs = beganMs;
      beganMs = performance.now();
      const now = await this.#connect();
      // What comes after depends on this connection only, not on when it came.
      if (waitMs < TIMEOUT_MS && performance.now() - lastMs > TIMEOUT_MS - MARGIN_MS) inTime = false;
      else this.#note(waitMs, before, now);
      before = now;
    }
    return inTime;
  }

  /** A new connection of every client: the endpoint of each, by side. */
  async #connect(): Promise<Record<Who, string[]>> {
    const shots = this.#flows.map((flow) => ({ flow, ...this.#numbers.next() }));
    this.packets += shots.length;
    const endpoints = (seen: Seen): string[] =>
      shots.map(({ id }) => / > (\S+)$/.exec(seen.texts.get(id) ?? "")?.[1] ?? "");
    return {
      kernel: endpoints(await this.#sides.kernel.shoot(shots)),
      podwire: endpoints(await this.#sides.podwire.shoot(shots)),
    };
  }

  #note(waitMs: number, before: Record<Who, string[]>, now: Record<Who, string[]>): void {
    for (const [i, { affine = "" }] of this.#flows.entries()) {
      const key = `${affine}: a client, ${waitMs} ms after its last connection`;
      const seen = this.#seen.get(key) ?? { kernel: new Set<string>(), podwire: new Set<string>() };
      this.#seen.set(key, seen);
      for (const who of ["kernel", "podwire"] as const) {
        if (before[who][i] === "" || now[who][i] === "") continue;
        seen[who].add(before[who][i] === now[who][i] ? "the same endpoint" : "another endpoint");
      }
    }
  }
}

/** One way of each client to each service port: several would remember for each other. */
function oneEach(flows: readonly Flow[]): Flow[] {
  const found = new Map<string, Flow>();
  for (const flow of flows) {
    const key = `${flow.from} ${flow.affine}`;
    if (flow.affine !== undefined && !found.has(key)) found.set(key, flow);
  }
  return [...found.values()];
}
