// What a decision about a request costs with 10 and with 5,000 routes: the same requests, hosts and lengths of paths.
// With --check the larger one may cost 1.2 times the smaller one.
import type { Decision } from "../l7/decision.ts";
import { Evaluator } from "../l7/evaluator.ts";
import { type HttpRequest, readRequest } from "../l7/request.ts";
import { ingress, objectsOf, served } from "../testing/l7/objects.ts";
import { gateway, httpRoute } from "../testing/l7/random-gateway.ts";
import * as hotLoop from "./hot-loop.ts";

const REQUESTS = 1 << 12;
const RATIO_MAX = 1.2;
const ROUNDS = 15;
const RULES_MAX = 16;

const digits = (n: number): string => String(n).padStart(5, "0");

/** One host with all paths, or a host for each ten. */
function evaluatorOf(routes: number, type: string, isOneHost: boolean): Evaluator {
  const hosts: Record<string, { path: string; type: string; to: string }[]> = {};
  for (let i = 0; i < routes; i++) {
    const host = isOneHost ? "shop.example" : `shop${digits(Math.floor(i / 10))}.example`;
    hosts[host] ??= [];
    hosts[host].push({ path: `/api/v1/item${digits(i)}`, type, to: "one" });
  }
  return new Evaluator(objectsOf(...served("one"), ingress({ hosts })));
}

/** A Gateway, with as many routes as that takes: one has 16 rules at most. */
function gatewayEvaluator(routes: number): Evaluator {
  const rule = (i: number): object => ({
    matches: [{ path: { type: "PathPrefix", value: `/api/v1/item${digits(i)}` } }],
    backendRefs: [{ name: "one", port: 80 }],
  });
  const all = Array.from({ length: Math.ceil(routes / RULES_MAX) }, (_, n) => {
    const length = Math.min(RULES_MAX, routes - n * RULES_MAX);
    const rules = Array.from({ length }, (_, i) => rule(n * RULES_MAX + i));
    return httpRoute(`r${digits(n)}`, { hostnames: ["shop.example"], rules });
  });
  return new Evaluator(
    objectsOf(...served("one"), gateway([{ name: "http", port: 80, protocol: "HTTP" }]), ...all),
  );
}

function requestsFor(routes: number, isOneHost: boolean): HttpRequest[] {
  const random = hotLoop.createRandom(hotLoop.SEED);
  return Array.from({ length: REQUESTS }, () => {
    const i = (random() >>> 1) % routes;
    const host = isOneHost ? "shop.example" : `shop${digits(Math.floor(i / 10))}.example`;
    const headers = { accept: "*/*", "user-agent": "bench", cookie: "a=b" };
    return readRequest({
      method: "GET",
      scheme: "http",
      host,
      path: `/api/v1/item${digits(i)}/x?q=1`,
      headers,
    });
  });
}

let sink = 0;

/** Nanoseconds a request, of one round. */
function round(evaluator: Evaluator, requests: readonly HttpRequest[]): number {
  const start = process.hrtime.bigint();
  for (const request of requests) {
    const decision: Decision = evaluator.evaluate(request);
    sink += decision.action.kind.length;
  }
  return Number(process.hrtime.bigint() - start) / requests.length;
}

/** Taken in turn, so that what else the machine does meets both. */
function compare(name: string, make: (routes: number) => Evaluator, isOneHost = true): void {
  const sizes = [10, 5000].map((routes) => ({
    evaluator: make(routes),
    requests: requestsFor(routes, isOneHost),
    ns: [] as number[],
  }));
  for (let i = 0; i < ROUNDS + 3; i++) {
    for (const { evaluator, requests, ns } of sizes) {
      const taken = round(evaluator, requests);
      if (i >= 3) ns.push(taken);
    }
  }
  const [few, many] = sizes.map(({ ns }) => ns.sort((a, b) => a - b)[ROUNDS >> 1]);
  const ratio = many / few;
  const isWorse = process.argv.includes("--check") && ratio > RATIO_MAX;
  if (isWorse) process.exitCode = 1;
  console.log(
    `${name.padEnd(40)} 10: ${few.toFixed(0).padStart(6)} ns  5000: ${many.toFixed(0).padStart(6)} ns  ` +
      `ratio ${ratio.toFixed(2)}${isWorse ? "  WORSE" : ""}`,
  );
}

console.log(`decisions about requests, medians of ${ROUNDS} rounds, node ${process.version}`);
compare("Ingress, Prefix, one host", (routes) => evaluatorOf(routes, "Prefix", true));
compare("Ingress, plain locations, one host", (routes) =>
  evaluatorOf(routes, "ImplementationSpecific", true),
);
compare("Ingress, Prefix, ten routes a host", (routes) => evaluatorOf(routes, "Prefix", false), false);
compare("HTTPRoutes, PathPrefix, one host", gatewayEvaluator);
console.log(`sink ${sink}`);
