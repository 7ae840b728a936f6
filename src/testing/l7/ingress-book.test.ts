// The evaluator and the book say the same of random Ingresses and requests; and the book is no echo of it.
import t from "tap";
import type { Decision } from "../../l7/decision.ts";
import { Evaluator } from "../../l7/evaluator.ts";
import { IngressBook } from "./ingress-book.ts";
import { ingress, objectsOf, served } from "./objects.ts";
import { randomRouting } from "./random-ingress.ts";

const WORLDS = 400;
const REQUESTS = 30;

/** A decision in the book's words. */
function inShort({ action }: Decision): string {
  if (action.kind === "answer")
    return action.location === undefined ? `${action.status}` : `${action.status} ${action.location}`;
  const names = action.choices.map(({ backend, status, share }) => {
    const name = backend?.name ?? `${status}`;
    return action.choices.length === 1 ? name : `${name}×${Number(share.toFixed(4))}`;
  });
  return `${names.join(" ")} ${action.target}`;
}

t.test("random Ingresses and requests: the evaluator says what the book says", async (t) => {
  const first = Date.now() & 0xfffff;
  t.comment(`seeds from ${first}`);
  const answers = new Map<string, number>();
  let differences = 0;
  for (let seed = first; seed < first + WORLDS; seed++) {
    const { objects, requests } = randomRouting(seed, REQUESTS);
    const [evaluator, book] = [new Evaluator(objects), new IngressBook(objects)];
    for (const request of requests) {
      const [found, wanted] = [inShort(evaluator.evaluate(request)), book.answer(request)];
      const kind = /^\d+/.exec(wanted)?.[0] ?? (wanted.includes("×") ? "several" : "one");
      answers.set(kind, (answers.get(kind) ?? 0) + 1);
      if (found === wanted) continue;
      differences++;
      if (differences <= 3)
        t.equal(found, wanted, `seed ${seed}: ${request.scheme}://${request.host}${request.target}`);
    }
  }
  t.equal(differences, 0, `differences of ${WORLDS * REQUESTS} requests`);
  for (const kind of ["one", "several", "301", "302", "308", "400", "404", "503"])
    t.ok((answers.get(kind) ?? 0) >= 5, `${kind}: ${answers.get(kind)} answers`);
});

t.test("the book tells two worlds apart", async (t) => {
  const { requests } = randomRouting(1, 1);
  const world = (to: string): IngressBook =>
    new IngressBook(
      objectsOf(...served("one"), ...served("two"), ingress({ hosts: { "": [{ path: "/", to }] } })),
    );
  const request = { ...requests[0], host: "a.example", target: "/", scheme: "http" } as const;
  t.equal(world("one").answer(request), "shop/one:80 /");
  t.equal(world("two").answer(request), "shop/two:80 /");
});
