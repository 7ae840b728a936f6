// Sends each flow of a scenario several times to both sides and compares what they did. A choice among
// endpoints is a matter of chance, so sets of outcomes are compared; a set that looks smaller on one side is
// looked at longer, until chance can no longer explain it.
import { type Flow, flowsOf, flowText } from "./flows.ts";
import { answerTo, endsOf, type Seen } from "./outcome.ts";
import type { Shot } from "./plane.ts";
import type { Scenario } from "./scenario.ts";

export interface Side {
  shoot(shots: readonly Shot[], quickly?: boolean): Seen | Promise<Seen>;
  /** Lets stations send frames. */
  inject(frames: readonly { readonly where: string; readonly frame: Uint8Array }[]): Seen;
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
const ON_LO = "not translated";
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
    const loyalty = new Loyalty(rows);
    await this.#sample(rows, SHOTS, loyalty);
    for (let round = 0; round < MORE_ROUNDS; round++) {
      const unequal = new Set([...rows.filter((row) => !row.isEqual()), ...loyalty.unequal().flat()]);
      if (unequal.size === 0) break;
      // With affinity what came before matters, so that all of it comes again.
      const again = this.#scenario.affinity ? rows : rows.filter((row) => unequal.has(row));
      await this.#sample(again, MORE_SHOTS, loyalty);
    }
    await this.#answers(rows);
    const { seed } = this.#scenario;
    const found = rows.filter((row) => !row.isEqual()).map((row) => row.difference(seed));
    return [...found, ...loyalty.differences(seed)];
  }

  /**
   * With affinity rounds of two shots each, then both sides forget: else a client has one endpoint for good.
   */
  async #sample(rows: readonly Row[], count: number, loyalty: Loyalty): Promise<void> {
    if (!this.#scenario.affinity) return this.#shoot(rows, count);
    for (let i = 0; i < count; i++) {
      await this.#kernel.forget();
      await this.#podwire.forget();
      for (const row of rows) row.forget();
      await this.#shoot(rows, 1);
      await this.#shoot(rows, 1);
      loyalty.note();
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
      const isKept = podwire.onLo.has(id);
      row.add("kernel", told(row.flow, kernel.texts.get(id), isKept));
      row.add("podwire", told(row.flow, podwire.texts.get(id), isKept));
    }
  }

  /** Whoever gets a first packet answers: does the answer find its way back, and from where does it seem to come? */
  async #answers(rows: readonly Row[]): Promise<void> {
    const asked = rows.filter(({ flow }) => flow.protocol !== "ICMP" && flow.flags === undefined);
    const shots = asked.map(({ flow }) => ({ flow, ...this.#numbers.next() }));
    const kernel = await this.#answered(this.#kernel, shots);
    const podwire = await this.#answered(this.#podwire, shots);
    for (const [i, row] of asked.entries()) {
      const id = shots[i].id;
      const [byKernel, byPodwire] = [kernel.get(id), podwire.get(id)];
      // Chance may have sent one to a pod and the other to the node's own stack, where nobody is to answer.
      if (byKernel === undefined || byPodwire === undefined) continue;
      row.add("kernel", byKernel);
      row.add("podwire", byPodwire);
    }
  }

  async #answered(side: Side, shots: readonly Shot[]): Promise<Map<number, string>> {
    const { frames } = await side.shoot(shots, true);
    const answers = new Map<number, { where: string; frame: Uint8Array; id: number }>();
    for (const { id } of shots) {
      const got = frames.get(id);
      const number = this.#numbers.next().id;
      const frame = got === undefined || got.where === "host" ? undefined : answerTo(got.frame, number);
      if (got !== undefined && frame !== undefined) answers.set(id, { where: got.where, frame, id: number });
    }
    this.packets += shots.length + answers.size;
    const seen = side.inject([...answers.values()]);
    const texts = new Map<number, string>();
    for (const [id, answer] of answers) {
      const back = seen.frames.get(answer.id);
      const text = back === undefined ? SILENCE : `${back.where}: ${endsOf(back.frame)}`;
      texts.set(id, `answered, ${text.replaceAll(String(shotOf(shots, id).srcPort), "its port")}`);
    }
    return texts;
  }
}

/**
 * What is compared of an outcome. Which of its addresses a node speaks to itself from is nobody's business,
 * and not the same: podwire hands such packets to the node's stack from outside, which believes no source
 * that is its own. What stays on lo kube-proxy may refuse, where podwire does not see it; translated it must not be.
 */
function told(flow: Flow, outcome: string | undefined, isKept: boolean): string {
  if (isKept && (outcome === undefined || outcome.includes(`> ${flow.to}:${flow.port}`))) return ON_LO;
  if (isKept && /^host: icmp \S+ from \S+ to \S+$/.test(outcome ?? "")) return ON_LO;
  if (outcome === undefined) return SILENCE;
  if (flow.entry !== "node") return outcome;
  return outcome.replaceAll(/host: (icmp \S+) from \S+/g, "host: $1").replaceAll(/host: \S+ > /g, "host: > ");
}

function shotOf(shots: readonly Shot[], id: number): Shot {
  return shots.find((shot) => shot.id === id) as Shot;
}

type Who = "kernel" | "podwire";

class Row {
  readonly flow: Flow;
  readonly #seen = { kernel: new Set<string>(), podwire: new Set<string>() };
  /** Since the sides forgot. */
  readonly #recent: Record<Who, string[]> = { kernel: [], podwire: [] };

  constructor(flow: Flow) {
    this.flow = flow;
  }

  add(who: Who, outcome: string): void {
    this.#seen[who].add(outcome);
    this.#recent[who].push(outcome);
  }

  forget(): void {
    this.#recent.kernel.length = 0;
    this.#recent.podwire.length = 0;
  }

  /** "10.244.1.2:8080": where a shot since then went to; "": nowhere. */
  endpoint(who: Who, shot: number): string {
    return / > (\S+)$/.exec(this.#recent[who][shot])?.[1] ?? "";
  }

  isEqual(): boolean {
    return sameSet(this.#seen.kernel, this.#seen.podwire);
  }

  difference(seed: number): Difference {
    const { kernel, podwire } = this.#seen;
    return { seed, flow: flowText(this.flow), kernel: [...kernel].sort(), podwire: [...podwire].sort() };
  }
}

/** Session affinity: of two packets of a client to one service port, do both get one endpoint, or is that chance? */
class Loyalty {
  readonly #pairs: Pair[] = [];

  constructor(rows: readonly Row[]) {
    const groups = new Map<string, Row[]>();
    for (const row of rows) {
      const { affine, from, entry } = row.flow;
      if (affine === undefined) continue;
      const key = `${from} ${entry} ${affine}`;
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    for (const group of groups.values()) {
      for (const [i, first] of group.entries()) {
        for (const second of group.slice(i)) this.#pairs.push(new Pair(first, second));
      }
    }
  }

  note(): void {
    for (const pair of this.#pairs) pair.note();
  }

  unequal(): Row[][] {
    return this.#pairs.filter((pair) => !pair.isEqual()).map((pair) => [pair.first, pair.second]);
  }

  differences(seed: number): Difference[] {
    return this.#pairs.filter((pair) => !pair.isEqual()).map((pair) => pair.difference(seed));
  }
}

class Pair {
  readonly first: Row;
  readonly second: Row;
  readonly #seen = { kernel: new Set<string>(), podwire: new Set<string>() };

  constructor(first: Row, second: Row) {
    this.first = first;
    this.second = second;
  }

  /** The first packet of the one flow, the second of the other. */
  note(): void {
    for (const who of ["kernel", "podwire"] as const) {
      const [a, b] = [this.first.endpoint(who, 0), this.second.endpoint(who, 1)];
      if (a !== "" && b !== "") this.#seen[who].add(a === b ? "one endpoint" : "two endpoints");
    }
  }

  isEqual(): boolean {
    return sameSet(this.#seen.kernel, this.#seen.podwire);
  }

  difference(seed: number): Difference {
    const { kernel, podwire } = this.#seen;
    const flow = `${flowText(this.first.flow)}, then to ${this.second.flow.to} port ${this.second.flow.port}`;
    return { seed, flow, kernel: [...kernel].sort(), podwire: [...podwire].sort() };
  }
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((text) => b.has(text));
}
