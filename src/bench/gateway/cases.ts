// What is measured, case by case: every proxy in turn, round by round, so that a machine that is busy is so for all
// of them.
import type { StandIn } from "../../testing/api-server/stand-in.ts";
import { median, turned } from "../figures/sample.ts";
import { changedUnderLoad, untilUsed } from "./changes.ts";
import { evaluatorNs } from "./evaluator.ts";
import { anyRoute, grpc, http2, type Load, paced, wrk } from "./loads.ts";
import { pathOf } from "./objects.ts";
import { cpuUs, type Running } from "./peers.ts";

export interface Value {
  readonly value: number;
  readonly rounds: readonly number[];
  /** µs of processor time that the proxy took for a request. */
  readonly cpuUsEach?: number;
}

export interface Figure {
  readonly case: string;
  readonly what: string;
  readonly unit: string;
  /** By the proxy's name. */
  readonly of: Readonly<Record<string, Value>>;
}

export interface Bench {
  readonly folder: string;
  readonly rounds: number;
  readonly seconds: number;
  /** With a few routes, podwire first. */
  readonly proxies: readonly Running[];
  /** As they are started when they are asked for: with many routes; one that follows an API server. */
  readonly many: () => Promise<readonly Running[]>;
  readonly following: () => Promise<{ readonly gateway: Running; readonly api: StandIn }>;
  /** Where the servers behind that one are. */
  readonly ports: readonly number[];
  /** The program for a constant rate. */
  readonly httpRate: string;
  readonly progress: (text: string) => void;
}

export const ROUTES = { few: 10, many: 5000 };
const USED_TIMES = 100;
const CHANGES = { changes: 1000, perSec: 1000, seconds: 20 };

export const CASES: Readonly<Record<string, (bench: Bench) => Promise<Figure[]>>> = {
  small: async (bench) => [
    await fast(bench, "small", "small answers, HTTP/1.1", ({ port }) => small(bench, port)),
  ],
  large: async (bench) => [
    await fast(
      bench,
      "large",
      "1 MiB answers",
      ({ port }) => wrk(`http://127.0.0.1:${port}${pathOf(1)}/large`, bench.seconds),
      "MiB/s",
    ),
  ],
  calm,
  tls: async (bench) => [
    await fast(bench, "tls", "small answers, HTTP/1.1 by TLS", ({ tlsPort }) =>
      wrk(`https://127.0.0.1:${tlsPort}${pathOf(1)}`, bench.seconds),
    ),
  ],
  http2: async (bench) => [
    await fast(bench, "http2", "small answers, HTTP/2 by TLS", ({ tlsPort }) =>
      http2(tlsPort, bench.seconds),
    ),
  ],
  grpc: async (bench) => [
    await fast(bench, "grpc", "small messages, as gRPC asks", ({ tlsPort }) =>
      grpc(tlsPort, bench.seconds, bench.folder),
    ),
  ],
  routes,
  evaluator: async ({ rounds }) => {
    const found = evaluatorNs([ROUTES.few, ROUTES.many], rounds);
    const of = Object.fromEntries([...found].map(([count, all]) => [`${count} routes`, figureOf(all)]));
    return [{ case: "evaluator", what: "one decision, in process", unit: "ns", of }];
  },
  endpoint: async (bench) => {
    const { gateway, api } = await bench.following();
    const took = (await untilUsed(gateway, api, bench.ports, USED_TIMES)).sort((a, b) => a - b);
    const figure = (what: string, value: number): Figure => ({
      ...{ case: "endpoint", what: `a changed endpoint is used, ${what}`, unit: "ms" },
      of: { podwire: { value, rounds: took } },
    });
    return [figure("median", median(took)), figure("p99", took[Math.ceil(took.length * 0.99) - 1])];
  },
  changes: async (bench) => {
    const { gateway, api } = await bench.following();
    const load = { program: bench.httpRate, ...CHANGES };
    const { answered, failed } = await changedUnderLoad(gateway, api, bench.ports[0], load);
    const what = `failed of ${answered + failed} requests during ${CHANGES.changes} changes`;
    return [
      {
        ...{ case: "changes", what, unit: "requests" },
        of: { podwire: { value: failed, rounds: [failed] } },
      },
    ];
  },
};

const small = (bench: Bench, port: number): Promise<Load> =>
  wrk(`http://127.0.0.1:${port}${pathOf(1)}`, bench.seconds);

function figureOf(rounds: readonly number[], cpu: readonly number[] = []): Value {
  return { value: median(rounds), rounds, ...(cpu.length > 0 && { cpuUsEach: median(cpu) }) };
}

/** The first round is not counted, and each begins with another proxy. */
async function inTurns(
  bench: Bench,
  proxies: readonly Running[],
  measure: (proxy: Running) => Promise<void>,
  started: () => void,
): Promise<void> {
  for (let round = 0; round <= bench.rounds; round++) {
    for (const proxy of turned(proxies, round)) await measure(proxy);
    if (round === 0) started();
  }
}

/** As fast as it goes. */
async function fast(
  bench: Bench,
  name: string,
  what: string,
  ask: (proxy: Running) => Promise<Load>,
  unit = "requests/s",
  proxies = bench.proxies,
): Promise<Figure> {
  const found = new Map(proxies.map((each) => [each.name, { rates: [] as number[], cpu: [] as number[] }]));
  const measure = async (proxy: Running): Promise<void> => {
    const before = cpuUs(proxy.pid);
    const { perSec, count } = await ask(proxy);
    const each = found.get(proxy.name);
    each?.rates.push(perSec);
    each?.cpu.push((cpuUs(proxy.pid) - before) / count);
    bench.progress(`${name}: ${proxy.name} ${perSec.toFixed(0)} ${unit}`);
  };
  await inTurns(bench, proxies, measure, () => {
    for (const { rates, cpu } of found.values()) rates.length = cpu.length = 0;
  });
  const of = Object.fromEntries([...found].map(([peer, { rates, cpu }]) => [peer, figureOf(rates, cpu)]));
  return { case: name, what, unit, of };
}

/** All of them at half of what podwire carries. */
async function calm(bench: Bench): Promise<Figure[]> {
  const { perSec } = await small(bench, bench.proxies[0].port);
  const half = Math.round(perSec / 2);
  const found = new Map(
    bench.proxies.map(({ name }) => [name, { p50: [] as number[], p99: [] as number[] }]),
  );
  const measure = async ({ name, port }: Running): Promise<void> => {
    const asked = { port, path: pathOf(1), seconds: bench.seconds, perSec: half };
    const { p50Us, p99Us, failed } = await paced(bench.httpRate, asked);
    if (failed > 0) throw new Error(`${name}: ${failed} requests failed at ${half} a second`);
    found.get(name)?.p50.push(p50Us / 1000);
    found.get(name)?.p99.push(p99Us / 1000);
    bench.progress(`calm: ${name} p50 ${p50Us.toFixed(0)} µs, p99 ${p99Us.toFixed(0)} µs`);
  };
  await inTurns(bench, bench.proxies, measure, () => {
    for (const { p50, p99 } of found.values()) p50.length = p99.length = 0;
  });
  return (["p50", "p99"] as const).map((part) => ({
    ...{ case: "calm", what: `${part} at ${half} requests/s`, unit: "ms" },
    of: Object.fromEntries([...found].map(([name, parts]) => [name, figureOf(parts[part])])),
  }));
}

/** Any of all routes is asked for, of few and of many. */
async function routes(bench: Bench): Promise<Figure[]> {
  const scripts = new Map([ROUTES.few, ROUTES.many].map((count) => [count, anyRoute(bench.folder, count)]));
  const many = await bench.many();
  const isMany = new Set(many);
  const figure = await fast(
    bench,
    "routes",
    `any of ${ROUTES.few} routes, of ${ROUTES.many}`,
    (proxy) =>
      wrk(
        `http://127.0.0.1:${proxy.port}/`,
        bench.seconds,
        scripts.get(isMany.has(proxy) ? ROUTES.many : ROUTES.few),
      ),
    "requests/s",
    [...bench.proxies, ...many],
  );
  const of = Object.fromEntries(
    many.map(({ name }, i) => {
      const [few, more] = [figure.of[bench.proxies[i].name], figure.of[name]];
      return [bench.proxies[i].name, figureOf(few.rounds.map((rate, n) => rate / more.rounds[n]))];
    }),
  );
  const what = `time per request, ${ROUTES.many} routes to ${ROUTES.few}`;
  return [figure, { case: "routes", what, unit: "times", of }];
}
