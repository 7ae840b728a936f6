// What the rules of a definition may cost: one of them, and all together. Beyond that a definition is refused, in the
// words of an API server, which is how authors learn that a list wants maxItems.
import { plus } from "./cel/estimate/amount.ts";

const RULE_MAX = 10_000_000;
const TOTAL_MAX = 100_000_000;
/** How many of the dearest rules are named. */
const NAMED_MAX = 4;

interface Dear {
  readonly path: string;
  readonly cost: number;
}

export class RuleCosts {
  #total = 0;
  #dearest: Dear[] = [];

  /** `path`: of the rule, or of its message. What is wrong with this one. */
  add(path: string, what: string, cost: number): string | undefined {
    this.#total = plus(this.#total, cost);
    if (cost >= TOTAL_MAX / 100) {
      this.#dearest.push({ path, cost });
      this.#dearest = this.#dearest.sort((a, b) => b.cost - a.cost).slice(0, NAMED_MAX);
    }
    return cost > RULE_MAX ? `${path}: Forbidden: ${exceeding(what, cost, RULE_MAX)}` : undefined;
  }

  /** What is wrong with all of them. `path`: of the schema. */
  problems(path: string): string[] {
    if (this.#total <= TOTAL_MAX) return [];
    const each = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
    const all = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
    return [
      ...this.#dearest.map((one) => `${one.path}: Forbidden: ${each}`),
      `${path}: Forbidden: ${exceeding(all, this.#total, TOTAL_MAX)}`,
    ];
  }
}

function exceeding(what: string, cost: number, most: number): string {
  const times = cost / most;
  const factor = times > 100 ? "more than 100x" : `${decimal(times, times < 1.5 ? 6 : 1)}x`;
  const advice = "adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared";
  return `${what} exceeds budget by factor of ${factor} (try simplifying the rule, or ${advice})`;
}

/** As Go writes one: what lies in the middle becomes even. */
function decimal(value: number, digits: number): string {
  const scaled = value * 10 ** digits;
  const isMiddle = Number.isInteger(value * 2 ** 30) && scaled % 1 === 0.5;
  return isMiddle && Math.floor(scaled) % 2 === 0
    ? (Math.floor(scaled) / 10 ** digits).toFixed(digits)
    : value.toFixed(digits);
}
