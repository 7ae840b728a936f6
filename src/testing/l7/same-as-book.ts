// The evaluator beside a book that says the same by other means: random worlds, and requests to each.
import type { Test } from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import type { Decision, Forward } from "../../l7/decision.ts";
import { Evaluator } from "../../l7/evaluator.ts";
import type { HttpRequest } from "../../l7/request.ts";

const WORLDS = 400;
const REQUESTS = 30;
const SHOWN_MAX = 3;

interface World {
  readonly objects: readonly KubeObject[];
  readonly requests: readonly HttpRequest[];
}

export interface Comparison {
  random(seed: number, requests: number): World;
  book(objects: readonly KubeObject[]): { answer(request: HttpRequest): string };
  /** What a backend is asked, in the book's words. */
  asked(forward: Forward): string;
  /** Answers that have to come up, and how often: a status, "one" backend, "several". */
  readonly kinds: readonly string[];
  readonly atLeast: number;
}

/** Random worlds of seeds from now on; the first differences are shown with theirs. */
export function sameAsBook(t: Test, { random, book, asked, kinds, atLeast }: Comparison): void {
  const first = Date.now() & 0xfffff;
  t.comment(`seeds from ${first}`);
  const answers = new Map<string, number>();
  let differences = 0;
  for (let seed = first; seed < first + WORLDS; seed++) {
    const { objects, requests } = random(seed, REQUESTS);
    const evaluator = new Evaluator(objects);
    const told = book(objects);
    for (const request of requests) {
      const [found, wanted] = [inShort(evaluator.evaluate(request), asked), told.answer(request)];
      const kind = wanted.includes("×") ? "several" : (/^\d+/.exec(wanted)?.[0] ?? "one");
      answers.set(kind, (answers.get(kind) ?? 0) + 1);
      if (found !== wanted && ++differences <= SHOWN_MAX) {
        const { method, scheme, host, port, target } = request;
        t.equal(found, wanted, `seed ${seed}: ${method} ${scheme}://${host}:${port}${target}`);
      }
    }
  }
  t.equal(differences, 0, `differences of ${WORLDS * REQUESTS} requests`);
  for (const kind of kinds)
    t.ok((answers.get(kind) ?? 0) >= atLeast, `${kind}: ${answers.get(kind)} answers`);
}

function inShort({ action }: Decision, asked: Comparison["asked"]): string {
  if (action.kind === "answer")
    return action.location === undefined ? `${action.status}` : `${action.status} ${action.location}`;
  const names = action.choices.map(({ backend, status, share }) => {
    const name = backend?.name ?? `${status}`;
    return action.choices.length === 1 ? name : `${name}×${Number(share.toFixed(4))}`;
  });
  return `${names.join(" ")} ${asked(action)}`;
}
