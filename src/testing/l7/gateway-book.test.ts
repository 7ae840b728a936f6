// The evaluator and the book say the same of random Gateways, HTTPRoutes and requests.
import t from "tap";
import type { Decision } from "../../l7/decision.ts";
import { Evaluator } from "../../l7/evaluator.ts";
import { GatewayBook } from "./gateway-book.ts";
import { randomRoutes } from "./random-gateway.ts";

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
  return `${names.join(" ")} ${action.target} ${action.host}`;
}

t.test("random routes and requests: the evaluator says what the book says", async (t) => {
  const first = Date.now() & 0xfffff;
  t.comment(`seeds from ${first}`);
  const answers = new Map<string, number>();
  let differences = 0;
  for (let seed = first; seed < first + WORLDS; seed++) {
    const { objects, requests } = randomRoutes(seed, REQUESTS);
    const [evaluator, book] = [new Evaluator(objects), new GatewayBook(objects)];
    for (const request of requests) {
      const [found, wanted] = [inShort(evaluator.evaluate(request)), book.answer(request)];
      const kind = wanted.includes("×") ? "several" : (/^\d+/.exec(wanted)?.[0] ?? "one");
      answers.set(kind, (answers.get(kind) ?? 0) + 1);
      if (found === wanted) continue;
      differences++;
      if (differences <= 3)
        t.equal(
          found,
          wanted,
          `seed ${seed}: ${request.method} ${request.host}:${request.port}${request.target}`,
        );
    }
  }
  t.equal(differences, 0, `differences of ${WORLDS * REQUESTS} requests`);
  for (const kind of ["one", "several", "301", "302", "404", "500", "503"])
    t.ok((answers.get(kind) ?? 0) >= 20, `${kind}: ${answers.get(kind)} answers`);
});
