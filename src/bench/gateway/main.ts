// podwire's gateway beside Debian's nginx and HAProxy: the same routes, the same servers behind them, the same
// clients, in turns within one run, in a network of its own. node build/src/bench/gateway/main.js --help
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { makeOwnCertificate } from "../../gateway/server/own-certificate.ts";
import { describeMachine, formatMachine } from "../figures/machine.ts";
import { markChildren, readCpu, shareBetween } from "../network/cpu-account.ts";
import { atLeastOne } from "../numbers.ts";
import { asInstalled, buildProgram } from "../programs.ts";
import { BenchError, onExit, undoAll } from "../shell.ts";
import { type Bench, CASES, type Figure, ROUTES } from "./cases.ts";
import { servedObjects } from "./changes.ts";
import { enterOwnNetwork } from "./own-network.ts";
import { up } from "./peers.ts";
import { brokenPromises, formatFigure } from "./promises.ts";
import {
  gatewayProxy,
  grpcServer,
  haproxy,
  nginxProxy,
  originServer,
  type Ports,
  type Setting,
} from "./proxies.ts";

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly workers: number;
  readonly only: readonly string[];
  readonly against?: string;
  readonly json?: string;
  readonly check: boolean;
  readonly list: boolean;
}

const ORIGINS = { origin: 7001, other: 7002, grpcOrigin: 7003 };
const FIRST_PORT = 7100;
const NEEDED = {
  ...{ nginx: "nginx", haproxy: "haproxy", wrk: "wrk" },
  ...{ h2load: "nghttp2-client", nghttpd: "nghttp2-server" },
};
/** Cases that no other proxy takes part in; the first needs no program at all. */
const ALONE = ["evaluator", "endpoint", "changes"];

function parseOptions(): Options {
  const cases = (text: string): string[] => {
    const bad = text.split(",").find((word) => CASES[word] === undefined);
    if (bad === undefined) return text.split(",");
    throw new InvalidArgumentError(`${bad} is none of ${Object.keys(CASES).join(", ")}.`);
  };
  return new Command("bench-gateway")
    .description("Measures podwire's gateway beside nginx and HAProxy, in a network of its own.")
    .option("--rounds <n>", "alternating rounds, of which the medians count", atLeastOne, 5)
    .option("--seconds <n>", "length of one measurement", atLeastOne, 4)
    .option("--workers <n>", "processes of podwire and nginx, threads of HAProxy", atLeastOne, 1)
    .option("--only <cases>", `of ${Object.keys(CASES).join(",")}`, cases, Object.keys(CASES))
    .option("--against <checkout>", "another, built checkout of podwire, measured beside this one as before")
    .option("--json <file>", "write every figure there too")
    .option("--check", "exit status 3 when a promise does not hold", false)
    .option("--list", "print the cases' names, and measure nothing", false)
    .exitOverride((stop) => process.exit(stop.exitCode === 0 ? 0 : 2))
    .parse()
    .opts<Options>();
}

function refuseMissing(only: readonly string[]): void {
  process.env.PATH = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin`; // where Debian has servers
  const missing = Object.entries(NEEDED).filter(
    ([program]) => spawnSync(program, ["--version"]).error !== undefined,
  );
  if (missing.length === 0 || only.every((name) => name === ALONE[0])) return;
  const [programs, packages] = [0, 1].map((at) => missing.map((each) => each[at]));
  throw new BenchError(`${programs.join(", ")}: not here: apt-get install ${packages.join(" ")}`);
}

let nextPort = FIRST_PORT;
function ports(): Ports {
  const port = nextPort;
  nextPort += 2;
  return { port, tlsPort: port + 1 };
}

async function prepare(options: Options, folder: string, progress: (text: string) => void): Promise<Bench> {
  const { only, against, workers } = options;
  const { origin, other, grpcOrigin } = ORIGINS;
  const isAlone = only.every((name) => ALONE.includes(name));
  const certificate = await makeOwnCertificate();
  const setting: Setting = { folder, origin, grpcOrigin, routes: ROUTES.few, workers, certificate };
  const own = [process.execPath, asInstalled("cli/main.js")];
  const before =
    against === undefined ? [] : [[process.execPath, asInstalled("cli/main.js", resolve(against))]];
  const all = (suffix: string, with_: Setting) => [
    gatewayProxy(`podwire${suffix}`, ports(), own, with_),
    ...before.map((program) => gatewayProxy(`before${suffix}`, ports(), program, with_)),
    nginxProxy(`nginx${suffix}`, ports(), with_),
    haproxy(`haproxy${suffix}`, ports(), with_),
  ];
  if (!only.every((name) => name === ALONE[0])) await up(originServer(setting, other));
  if (only.includes("grpc")) await up(grpcServer(setting));
  const proxies = [];
  for (const each of isAlone ? [] : all("", setting)) proxies.push(await up(each));
  let following: ReturnType<Bench["following"]> | undefined;
  return {
    ...{
      folder,
      rounds: options.rounds,
      seconds: options.seconds,
      proxies,
      ports: [origin, other],
      progress,
    },
    httpRate: await buildProgram("http-rate"),
    many: async () => {
      const started = [];
      for (const each of all(`-${ROUTES.many}`, { ...setting, routes: ROUTES.many }))
        started.push(await up(each));
      return started;
    },
    following: () => {
      following ??= (async () => {
        const { api, kubeconfig } = await servedObjects(folder, ROUTES.few, origin);
        onExit(() => api.close());
        const gateway = await up(gatewayProxy("podwire-following", ports(), own, setting, kubeconfig));
        return { gateway, api };
      })();
      return following;
    },
  };
}

async function measure(options: Options): Promise<number> {
  refuseMissing(options.only);
  const folder = mkdtempSync(join(tmpdir(), "podwire-gateway-bench-"));
  onExit(() => rmSync(folder, { recursive: true, force: true }));
  const load = loadavg()[0];
  markChildren();
  const before = readCpu();
  const progress = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
  const bench = await prepare(options, folder, progress);
  const figures: Figure[] = [];
  for (const name of options.only) {
    for (const figure of await CASES[name](bench)) {
      figures.push(figure);
      console.log(formatFigure(figure));
    }
  }
  const machine = describeMachine(shareBetween(before, readCpu(), cpus().length, load));
  const broken = brokenPromises(figures);
  const { rounds, seconds, workers } = options;
  console.log(
    `medians of ${rounds} rounds of ${seconds} s in turns, ${workers} workers; ${formatMachine(machine)}`,
  );
  for (const line of broken) console.log(`below the promise: ${line}`);
  if (options.json !== undefined) {
    const report = {
      made: new Date().toISOString(),
      machine,
      effort: { rounds, seconds, workers },
      figures,
      broken,
    };
    writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  return options.check && broken.length > 0 ? 3 : 0;
}

async function main(options: Options): Promise<number> {
  if (options.list) {
    console.log(Object.keys(CASES).join("\n"));
    return 0;
  }
  if (!(await enterOwnNetwork())) return Number(process.exitCode);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => void undoAll().then(() => process.exit(1)));
  return measure(options);
}

let status = 1;
try {
  status = await main(parseOptions());
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
}
await undoAll();
process.exit(status);
