// The evaluator alone, in this process: what a decision costs with ten routes, and with thousands.
import { Evaluator } from "../../l7/evaluator.ts";
import type { HttpRequest } from "../../l7/request.ts";
import { objectsOf } from "../../testing/l7/objects.ts";
import { HOST, pathOf, routesOf, serviceAt, sliceAt } from "./objects.ts";

const DECISIONS = 200_000; // of a round
const STEP = 7919; // prime to the numbers of routes: neighbours are not asked for one after the other

interface Asked {
  readonly evaluator: Evaluator;
  readonly requests: readonly HttpRequest[];
}

function asked(routes: number): Asked {
  const slice = sliceAt("web", ["192.0.2.1"], 80);
  const objects = objectsOf(...routesOf(routes), serviceAt("web"), slice, serviceAt("rpc"));
  const headers = [{ name: "User-Agent", value: "bench" }];
  const requests = Array.from({ length: routes }, (_, i) => ({
    ...{
      method: "GET",
      scheme: "http" as const,
      host: HOST,
      target: pathOf((i * STEP) % routes),
      headers,
      port: 80,
    },
  }));
  return { evaluator: new Evaluator(objects), requests };
}

/** ns for a decision, by how many routes there are; medians of so many rounds in turns. */
export function evaluatorNs(routes: readonly number[], rounds: number): Map<number, number[]> {
  const all = new Map(routes.map((count) => [count, asked(count)]));
  const found = new Map(routes.map((count) => [count, [] as number[]]));
  for (let round = 0; round <= rounds; round++)
    for (const [count, { evaluator, requests }] of all) {
      let forwarded = 0;
      const start = performance.now();
      for (let i = 0; i < DECISIONS; i++)
        if (evaluator.evaluate(requests[i % requests.length]).action.kind === "forward") forwarded++;
      const ns = ((performance.now() - start) * 1e6) / DECISIONS;
      if (forwarded !== DECISIONS)
        throw new Error(`${DECISIONS - forwarded} of ${count} routes lead nowhere`);
      if (round > 0) found.get(count)?.push(ns);
    }
  return found;
}
