// Rows of the verdict table: one for all pods that the same policies select in a direction, with a cell for each
// identity. A row is made once and never changed; a policy that changes makes other rows.
import type { Pace } from "../../base/pace.ts";
import { ACTION_BITS } from "../../dataplane/spec/policy.ts";
import { Arena, shared } from "./arena.ts";
import { type Identity, type NamedPort, namedKeyOf } from "./identities.ts";
import type { Direction, Tier } from "./policy-rules.ts";
import { createProgram, type Isolation, type Program, placed } from "./programs.ts";
import type { RuleNames } from "./rule-names.ts";
import { type Match, matchOf, type Step } from "./steps.ts";

/** A policy as a row sees it. */
export interface RowPolicy {
  /** Another one whenever the policy changes. */
  readonly revision: number;
  readonly key: string;
  readonly tier: Tier;
  readonly audit: boolean;
  /** What it says by being there (rule-text.ts). */
  readonly isolation: string;
  readonly steps: readonly Step[];
}

export interface Row {
  readonly index: number;
  readonly key: string;
  readonly direction: Direction;
  readonly steps: readonly Step[];
  readonly isolation: Isolation;
  /** Ports that the pods of the row give names to, where its rules ask. */
  readonly named: readonly NamedPort[];
  readonly namedKey: string;
  /** It has rules that a pod's connection to itself is subject to. */
  readonly asksSelf: boolean;
  readonly start: Sequence;
  refs: number;
}

/** Matches in order: what a cell depends on. Rows of many identities have few of them, some of which are long. */
interface Sequence {
  /** The last one, and those before it. */
  readonly match: Match | undefined;
  readonly before: Sequence | undefined;
  readonly length: number;
  readonly next: Map<Match, Sequence>;
  cell: number | undefined;
  /** What is asked next: nothing more of the tiers before. */
  readonly from: number;
  /** Tier that a rule Pass leaves with some of the connections, while others are still in it. */
  readonly passed: number;
}

const TIERS: Readonly<Record<Tier, number>> = { Admin: 0, Default: 1, Baseline: 2 };
const NOTHING_MORE = 3;
const NO_TIER = -1;
const ROWS = 64;
const STRIDE = 64;
/** Words of programs before all are made anew; and as many times those that were. */
const SPARE_WORDS = 1 << 16;
const SPARE_TIMES = 4;
/** Work, as Pace counts: steps of a row that an identity is asked about, and a program by its matches. */
const STEPS_A_UNIT = 32;
const PROGRAM_UNITS = 10;
const COPY_UNITS = 1 / 16;

export class Rows {
  readonly #names: RuleNames;
  readonly #byKey = new Map<string, Row>();
  readonly list: (Row | undefined)[] = [];
  readonly #free: number[] = [];
  #unused: Row[] = [];
  /** Since `collect`. */
  readonly added = new Set<Row>();
  #programs = new Arena(1024);
  #places = new Map<string, number>();
  #wordsAtRebuild = 0;
  cells = shared(ROWS * STRIDE);
  stride = STRIDE;

  constructor(names: RuleNames) {
    this.#names = names;
  }

  get programs(): Int32Array {
    return this.#programs.words;
  }

  /** True when most of the programs are such that no row leads to any more. */
  get isWasteful(): boolean {
    return this.#programs.used > SPARE_WORDS + SPARE_TIMES * this.#wordsAtRebuild;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** The row of pods that these policies select, in the order in which they are asked; one more holds it. */
  acquire(direction: Direction, policies: readonly RowPolicy[], ports: readonly NamedPort[]): Row {
    const names = new Set<string>();
    if (direction === "ingress") {
      for (const { steps } of policies) {
        for (const { rule, usesNames } of steps) {
          if (usesNames) for (const { name } of rule.ports ?? []) names.add(name);
        }
      }
    }
    const named = ports.filter(({ name }) => names.has(name));
    const namedKey = namedKeyOf(named);
    const key = `${direction} ${policies.map(({ revision }) => revision).join()} ${namedKey}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.refs++;
      return known;
    }
    const index = this.#free.pop() ?? this.list.length;
    const row = { index, key, ...partsOf(direction, policies), named, namedKey, refs: 1 };
    this.#byKey.set(key, row);
    this.list[index] = row;
    this.added.add(row);
    return row;
  }

  release(row: Row): void {
    row.refs--;
    if (row.refs === 0) this.#unused.push(row);
  }

  /** Ends a change; places that came free in it are given out in the next one. */
  collect(): void {
    this.added.clear();
    for (const row of this.#unused) {
      if (row.refs > 0 || this.list[row.index] !== row) continue;
      this.#byKey.delete(row.key);
      this.list[row.index] = undefined;
      this.#free.push(row.index);
    }
    this.#unused = [];
  }

  /** Makes room for so many identities, and fills the cells of new rows and of new identities. */
  *fill(
    identities: readonly (Identity | undefined)[],
    added: Iterable<Identity>,
    pace: Pace,
  ): Generator<void, void> {
    this.#reserve(identities.length);
    for (const row of this.added) yield* this.#fillRow(row, identities, pace);
    for (const identity of added) {
      for (const row of this.list) {
        if (row === undefined || this.added.has(row)) continue;
        const { like } = identity;
        const units =
          like === undefined ? this.#fillCell(row, identity) : this.#copyCell(row, like, identity);
        if (pace.isOver(units)) yield;
      }
    }
  }

  /** Makes all cells and programs anew, in memory of their own: without what no row leads to any more. */
  *rebuild(identities: readonly (Identity | undefined)[], pace: Pace): Generator<void, void> {
    this.#programs = new Arena(1024);
    this.#places = new Map();
    this.cells = shared(this.cells.length);
    this.#names.beginSweep();
    for (const row of this.list) {
      if (row === undefined) continue;
      forget(row.start);
      yield* this.#fillRow(row, identities, pace);
    }
    this.#wordsAtRebuild = this.#programs.used;
  }

  *#fillRow(row: Row, identities: readonly (Identity | undefined)[], pace: Pace): Generator<void, void> {
    for (const identity of identities) {
      if (identity !== undefined && pace.isOver(this.#fillCell(row, identity))) yield;
    }
  }

  #reserve(identities: number): void {
    let { stride } = this;
    while (stride < identities) stride *= 2;
    let rows = this.cells.length / this.stride;
    while (rows < this.list.length) rows *= 2;
    if (rows * stride === this.cells.length && stride === this.stride) return;
    const wider = shared(rows * stride);
    for (let row = 0; row * this.stride < this.cells.length; row++) {
      wider.set(this.cells.subarray(row * this.stride, (row + 1) * this.stride), row * stride);
    }
    this.cells = wider;
    this.stride = stride;
  }

  /** Answers how much was done. */
  #fillCell(row: Row, identity: Identity): number {
    const sequence = sequenceOf(row, identity);
    let units = 1 + row.steps.length / STEPS_A_UNIT;
    if (sequence.cell === undefined) {
      sequence.cell = this.#cellOf(createProgram(matchesOf(sequence), row.isolation, this.#names));
      units += PROGRAM_UNITS * (1 + sequence.length);
    }
    this.cells[row.index * this.stride + identity.index] = sequence.cell;
    return units;
  }

  #copyCell(row: Row, from: Identity, to: Identity): number {
    const at = row.index * this.stride;
    this.cells[at + to.index] = this.cells[at + from.index];
    return COPY_UNITS;
  }

  /** The cell for what a pod of the row sends to itself by way of a service. */
  selfCell(row: Row, identity: Identity): number {
    const matches = matchesOf(sequenceOf(row, identity));
    return this.#cellOf(createProgram(matches, row.isolation, this.#names, true));
  }

  #cellOf(program: Program): number {
    if (program.constant !== undefined) return ~program.constant;
    const key = program.words.join();
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const place = this.#programs.take(program.words.length);
    this.#programs.words.set(placed(program, place), place);
    this.#places.set(key, place);
    return place;
  }
}

/** The cell of what no policy has anything to say about. */
export const ALLOWED = ~(0 << ACTION_BITS);

function partsOf(direction: Direction, policies: readonly RowPolicy[]) {
  const isolating = policies.filter(({ tier }) => tier === "Default");
  const texts = new Map(isolating.map(({ key, isolation }) => [key, isolation]));
  const by = isolating.filter(({ audit }) => !audit).map(({ key }) => key);
  const onTrial = isolating.filter(({ audit }) => audit).map(({ key }) => key);
  const steps = policies.flatMap((policy) => policy.steps);
  const start: Sequence = {
    ...{ match: undefined, before: undefined, length: 0, next: new Map<Match, Sequence>() },
    ...{ cell: undefined, from: 0, passed: NO_TIER },
  };
  const asksSelf = policies.length > isolating.length;
  return { direction, steps, isolation: { direction, by, onTrial, texts }, asksSelf, start };
}

function sequenceOf(row: Row, identity: Identity): Sequence {
  const { base } = identity;
  const [named, namedKey] =
    row.direction === "ingress" ? [row.named, row.namedKey] : [base.named, base.namedKey];
  let at = row.start;
  for (const step of row.steps) {
    if (TIERS[step.tier] < at.from) continue;
    const match = matchOf(step, identity, named, namedKey);
    if (match !== undefined) at = follow(at, match);
    if (at.from === NOTHING_MORE) break;
  }
  return at;
}

function follow(at: Sequence, match: Match): Sequence {
  const known = at.next.get(match);
  if (known !== undefined) return known;
  const next = {
    match,
    before: at,
    length: at.length + 1,
    next: new Map<Match, Sequence>(),
    cell: undefined,
    from: fromAfter(at, match),
    passed: passedAfter(at, match),
  };
  at.next.set(match, next);
  return next;
}

function matchesOf(sequence: Sequence): Match[] {
  const matches: Match[] = [];
  for (let at: Sequence | undefined = sequence; at?.match !== undefined; at = at.before)
    matches.push(at.match);
  return matches.reverse();
}

/** A rule for every port ends its tier, and everything when nobody has left the tier before it. */
function fromAfter({ from, passed }: Sequence, match: Match): number {
  if (isPartial(match)) return from;
  const { tier, rule } = match.step;
  return rule.action === "Pass" || passed === TIERS[tier] ? TIERS[tier] + 1 : NOTHING_MORE;
}

function passedAfter({ passed }: Sequence, match: Match): number {
  const { tier, rule } = match.step;
  return rule.action === "Pass" && isPartial(match) ? TIERS[tier] : passed;
}

/** Does it leave something to the rules after it: other ports, or what is not on trial? */
function isPartial({ step, ports }: Match): boolean {
  return ports !== undefined || step.audit;
}

/** Without recursion: a row of many policies has sequences that are longer than a stack is deep. */
function forget(start: Sequence): void {
  const waiting = [start];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    at.cell = undefined;
    for (const next of at.next.values()) waiting.push(next);
  }
}
