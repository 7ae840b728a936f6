/**
 * The cold half of `schedule`: rows for frontends that come, and what goes on from the rows they replace. As with the
 * kernel's add_dest, del_dest and upd_dest: rr goes on behind the endpoint that had the last turn, wrr starts a round
 * anew when endpoints or weights change, mh deals its table again.
 */
import { Scheduler } from "../spec/services.ts";
import * as schedule from "../table/service/schedule.ts";
import { MAGLEV_RUN, MAGLEV_RUNS, MAGLEV_SIZE, type Schedule } from "../table/service/schedule.ts";

const MAGLEV_TURN_BITS = 6; // CONFIG_IP_VS_MH_TAB_INDEX / 2
const MAGLEV_KEY_1 = 2654435761 | 0; // both words of the two keys of ip_vs_mh.c
const MAGLEV_KEY_2 = 2654446892 | 0;
const HEAD = -1;
const NO_TABLE = -1;

/** A frontend's row as it was before a change. */
export interface OldRow {
  readonly kind: number;
  readonly last: number;
  readonly currentWeight: number;
  /** Endpoint slots in their order, and their weights. */
  readonly members: readonly number[];
  readonly weights: readonly number[];
}

/** What `writeRow` needs to know of an endpoint for Maglev's permutations. */
export interface Destination {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  readonly port: number;
}

export function rowOf(t: Schedule, f: number, set: () => readonly number[]): OldRow | undefined {
  if (t.kind[f] === Scheduler.RANDOM) return undefined;
  const members = set();
  const row = t.row[f];
  return {
    kind: t.kind[f],
    last: t.last[row],
    currentWeight: t.currentWeight[row],
    members,
    weights: members.map((endpoint) => t.weight[endpoint]),
  };
}

/** Row of a frontend whose set is `members`; `old`: the row that the same address had before. */
export function writeRow(
  t: Schedule,
  f: number,
  kind: number,
  members: readonly number[],
  old: OldRow | undefined,
): void {
  t.kind[f] = kind;
  t.row[f] = f;
  t.last[f] = HEAD;
  t.maglevAt[f] = NO_TABLE;
  const goesOn = old?.kind === kind ? old : undefined;
  if (kind === Scheduler.RR && goesOn !== undefined) t.last[f] = lastTurn(goesOn, members);
  if (kind === Scheduler.WRR) writeWeights(t, f, members, goesOn);
}

/** As if nobody had been chosen yet. */
export function resetRow(t: Schedule, f: number): void {
  t.last[t.row[f]] = HEAD;
  t.currentWeight[t.row[f]] = t.maxWeight[t.row[f]];
}

/** Where rr goes on: behind the endpoint that had the last turn, or the nearest one before it that is still there. */
function lastTurn(old: OldRow, members: readonly number[]): number {
  for (let i = old.last; i >= 0; i--) {
    const at = members.indexOf(old.members[i]);
    if (at >= 0) return at;
  }
  return HEAD;
}

function writeWeights(t: Schedule, f: number, members: readonly number[], old: OldRow | undefined): void {
  const weights = members.map((endpoint) => t.weight[endpoint]);
  const step = Math.max(1, weights.reduce(gcd, 0));
  const max = Math.max(0, ...weights) - (step - 1);
  t.weightStep[f] = step;
  t.maxWeight[f] = max;
  const current = old?.currentWeight ?? 0;
  if (old !== undefined && same(old.members, members) && same(old.weights, weights)) {
    t.last[f] = old.last;
    t.currentWeight[f] = current;
  } else if (current > max || current <= 0) t.currentWeight[f] = max;
  else t.currentWeight[f] = step > 1 ? Math.floor(current / step) * step + 1 : current;
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

function gcd(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** A Maglev table for a set, or NO_TABLE when there is no room for another one. */
export function takeMaglev(t: Schedule, set: readonly Destination[], weights: readonly number[]): number {
  if (set.length > MAGLEV_SIZE) return NO_TABLE;
  if (t.maglev.length === 0) t.maglev = new Uint16Array(MAGLEV_RUN * MAGLEV_RUNS);
  const run = t.maglevFree.pop() ?? (t.maglevNext < MAGLEV_RUNS ? t.maglevNext++ : -1);
  if (run < 0) return NO_TABLE;
  const at = run * MAGLEV_RUN;
  dealPlaces(t.maglev.subarray(at, at + MAGLEV_SIZE), set, weights);
  return at;
}

/** Gives a table back. */
export function freeMaglev(t: Schedule, at: number): void {
  if (at !== NO_TABLE) t.maglevFree.push(at / MAGLEV_RUN);
}

/**
 * Each endpoint in turn takes the next free place of its own permutation, as many in a row as its weight gives it turns.
 * (ip_vs_mh_permutate, ip_vs_mh_populate)
 */
function dealPlaces(places: Uint16Array, set: readonly Destination[], weights: readonly number[]): void {
  const common = weights.reduce(gcd, 0);
  if (common === 0) {
    places.fill(0);
    return;
  }
  const bits = 32 - Math.clz32(Math.max(...weights) / common);
  const shift = Math.max(0, bits - MAGLEV_TURN_BITS);
  const at = set.map((d) => placeHash(d, MAGLEV_KEY_1) % MAGLEV_SIZE);
  const skip = set.map((d) => (placeHash(d, MAGLEV_KEY_2) % (MAGLEV_SIZE - 1)) + 1);
  const turns = weights.map((w) => (w / common) >>> shift || (w === 0 ? 0 : 1));
  const isTaken = new Uint8Array(MAGLEV_SIZE);
  for (let n = 0, i = 0; n < MAGLEV_SIZE; i = (i + 1) % set.length) {
    for (let turn = 0; turn < turns[i] && n < MAGLEV_SIZE; turn++, n++) {
      while (isTaken[at[i]] !== 0) at[i] = (at[i] + skip[i]) % MAGLEV_SIZE;
      isTaken[at[i]] = 1;
      places[at[i]] = i;
    }
  }
}

function placeHash({ w0, w1, w2, w3, port }: Destination, key: number): number {
  const isV4 = (w0 | w1) === 0 && w2 === 0xffff;
  return schedule.hsiphash(((isV4 ? w3 : w0 ^ w1 ^ w2 ^ w3) + port) | 0, key) >>> 0;
}
