// Sends each flow of a scenario several times to both sides and compares what they did. A choice among
// endpoints is a matter of chance, so sets of outcomes are compared; a set that looks smaller on one side is
// looked at longer, until chance can no longer explain it.
import { type Flow, flowsOf, flowText } from "./flows.ts";
import type { Shot } from "./plane.ts";
import type { Scenario } from "./scenario.ts";

export interface Side {
  /** By the number of the shot; a shot without entry came to nothing. */
  shoot(shots: readonly Shot[]): Map<number, string> | Promise<Map<number, string>>;
  /** Forgets affinity. */
  forget(): void | Promise<void>;
}

export interface Difference {
  readonly seed: number;
  readonly flow: string;
  readonly kernel: readonly string[];
  readonly podwire: readonly string[];
}

const SHOTS = 8; //      of every flow
const MORE_SHOTS = 16; // of a flow whose sets differ, several times
const MORE_ROUNDS = 6; // (3/4)^(8 + 96): an endpoint of four that was never drawn is not there
const SILENCE = "silence";
const FIRST_PORT = 1024;
const LAST_PORT = 29_999; // below the node ports

/**
 * Numbers and source ports of shots. Kept over scenarios, so that no tuple meets an older one in the kernel's
 * table.
 */
export class Numbers {
  #id = 0;
  #srcPort = FIRST_PORT;

  next(): { id: number; srcPort: number } {
    this.#id = (this.#id % 0xfff0) + 1;
    this.#srcPort = this.#srcPort < LAST_PORT ? this.#srcPort + 1 : FIRST_PORT;
    return { id: this.#id, srcPort: this.#srcPort };
  }
}

export class Comparison {
  readonly #scenario: Scenario;
  readonly #kernel: Side;
  readonly #podwire: Side;
  readonly #numbers: Numbers;
  packets = 0;

  constructor(scenario: Scenario, kernel: Side, podwire: Side, numbers = new Numbers()) {
    this.#scenario = scenario;
    this.#kernel = kernel;
    this.#podwire = podwire;
    this.#numbers = numbers;
  }

  async differences(): Promise<Difference[]> {
    const rows = flowsOf(this.#scenario).map((flow) => new Row(flow));
    await this.#sample(rows, SHOTS);
    for (let round = 0; round < MORE_ROUNDS; round++) {
      const unequal = rows.filter((row) => !row.isEqual());
      if (unequal.length === 0) break;
      await this.#sample(unequal, MORE_SHOTS);
    }
    return rows.filter((row) => !row.isEqual()).map((row) => row.difference(this.#scenario.seed));
  }

  /**
   * With affinity a round of one shot each, then both sides forget: else a client has one endpoint for good.
   */
  async #sample(rows: readonly Row[], count: number): Promise<void> {
    if (!this.#scenario.affinity) return this.#shoot(rows, count);
    for (let i = 0; i < count; i++) {
      await this.#kernel.forget();
      await this.#podwire.forget();
      await this.#shoot(rows, 1);
    }
  }

  async #shoot(rows: readonly Row[], count: number): Promise<void> {
    const shots: Shot[] = [];
    const rowOf = new Map<number, Row>();
    for (const row of rows) {
      for (let i = 0; i < count; i++) {
        const shot = { flow: row.flow, ...this.#numbers.next() };
        shots.push(shot);
        rowOf.set(shot.id, row);
      }
    }
    this.packets += shots.length;
    const kernel = await this.#kernel.shoot(shots);
    const podwire = await this.#podwire.shoot(shots);
    for (const [id, row] of rowOf) {
      row.kernel.add(told(row.flow, kernel.get(id)));
      row.podwire.add(told(row.flow, podwire.get(id)));
    }
  }
}

/**
 * What is compared of an outcome. Which of its addresses a node speaks to itself from is nobody's business,
 * and not the same: podwire hands such packets to the node's stack from outside, which believes no source
 * that is its own.
 */
function told(flow: Flow, outcome: string | undefined): string {
  if (outcome === undefined) return SILENCE;
  if (flow.entry !== "node") return outcome;
  return outcome.replaceAll(/host: (icmp \S+) from \S+/g, "host: $1").replaceAll(/host: \S+ > /g, "host: > ");
}

class Row {
  readonly flow: Flow;
  readonly kernel = new Set<string>();
  readonly podwire = new Set<string>();

  constructor(flow: Flow) {
    this.flow = flow;
  }

  isEqual(): boolean {
    return this.kernel.size === this.podwire.size && [...this.kernel].every((text) => this.podwire.has(text));
  }

  difference(seed: number): Difference {
    const { flow, kernel, podwire } = this;
    return { seed, flow: flowText(flow), kernel: [...kernel].sort(), podwire: [...podwire].sort() };
  }
}
