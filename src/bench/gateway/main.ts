// podwire's gateway beside Debian's nginx and HAProxy: the same routes, the same servers behind them, the same clients
// (wrk, h2load), in turns within one run. Needs nginx, haproxy, wrk and nghttp2-client on the PATH.
//   node build/src/bench/gateway/main.js [--rounds 5] [--seconds 4] [--workers 1]
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { BenchError, onExit, run, sleep, start, undoAll } from "../shell.ts";
import {
  gatewayProxy,
  HOST,
  haproxy,
  nginxProxy,
  origin,
  type Peer,
  pathOf,
  type Setting,
} from "./proxies.ts";

const PODWIRE = [process.execPath, fileURLToPath(new URL("../../cli/main.js", import.meta.url))];
const CONNECTIONS = 32;
const FEW = 10;
const MANY = 5000;

interface Load {
  readonly perSec: number;
  readonly p99Ms: number;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Started, and it takes connections; it ends with the benchmark. */
async function up({ name, port, command }: Peer): Promise<void> {
  let problem: Error | undefined;
  start(command, "\0").catch((error: Error) => (problem = error)); // it says nothing that could be waited for
  for (let i = 0; i < 200; i++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.on("connect", () => resolve(true));
      socket.on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
    if (isOpen) return;
    await sleep(50);
  }
  throw new BenchError(`${name} does not listen at ${port}: ${problem?.message ?? "it says nothing"}`);
}

/** As fast as it goes. */
async function wrk(port: number, path: string, seconds: number, script?: string): Promise<Load> {
  const more = script === undefined ? [] : ["-s", script];
  const args = ["-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--latency", "-H", `Host: ${HOST}`, ...more];
  const text = await run(["wrk", ...args, `http://127.0.0.1:${port}${path}`]);
  const errors = /Non-2xx.*|Socket errors: (?!connect 0, read 0, write 0, timeout 0).*/.exec(text)?.[0];
  if (errors !== undefined) throw new BenchError(`port ${port}${path}: ${errors}`);
  const [, p99 = "0", unit = "ms"] = /99%\s+([\d.]+)(us|ms|s)/.exec(text) ?? [];
  const factor = { us: 0.001, ms: 1, s: 1000 }[unit] ?? 1;
  return { perSec: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1] ?? 0), p99Ms: Number(p99) * factor };
}

/** So many requests a second, evenly. */
async function paced(
  port: number,
  path: string,
  seconds: number,
  perSec: number,
  folder: string,
): Promise<Load> {
  const log = join(folder, "h2load.log");
  rmSync(log, { force: true });
  const clients = 16;
  const rate = Math.max(1, Math.round(perSec / clients));
  const args = [
    "--h1",
    `-c${clients}`,
    `-D${seconds}`,
    `--rps=${rate}`,
    `--log-file=${log}`,
    "-H",
    `Host: ${HOST}`,
  ];
  await run(["h2load", ...args, `http://127.0.0.1:${port}${path}`]);
  const us = readFileSync(log, "utf8")
    .split("\n")
    .flatMap((line) => (line === "" ? [] : [Number(line.split("\t")[2])]))
    .sort((a, b) => a - b);
  return { perSec: us.length / seconds, p99Ms: us[Math.floor(us.length * 0.99)] / 1000 };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Each proxy in turn, so many rounds; the first is not counted. */
async function rounds(
  proxies: readonly Peer[],
  count: number,
  measure: (proxy: Peer) => Promise<Load>,
): Promise<Map<string, Load>> {
  const all = new Map<string, Load[]>(proxies.map(({ name }) => [name, []]));
  for (let i = 0; i <= count; i++)
    for (const proxy of proxies) {
      const load = await measure(proxy);
      if (i > 0) all.get(proxy.name)?.push(load);
    }
  return new Map(
    [...all].map(([name, loads]) => [
      name,
      { perSec: median(loads.map(({ perSec }) => perSec)), p99Ms: median(loads.map(({ p99Ms }) => p99Ms)) },
    ]),
  );
}

function show(
  title: string,
  loads: ReadonlyMap<string, Load>,
  what: "perSec" | "p99Ms",
  unit: string,
  factor = 1,
): void {
  const own = (loads.get("podwire")?.[what] ?? 0) * factor;
  const cells = [...loads].map(([name, load]) => {
    const value = load[what] * factor;
    const ratio = name === "podwire" ? "" : ` (${(own / value).toFixed(2)})`;
    return `${name} ${value.toFixed(what === "perSec" ? 0 : 2)}${ratio}`;
  });
  console.log(`${title.padEnd(44)} ${cells.join("  ")}  ${unit}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "4" },
      workers: { type: "string", default: "1" },
    },
  });
  const [count, seconds, workers] = [values.rounds, values.seconds, values.workers].map(Number);
  for (const program of ["nginx", "haproxy", "wrk", "h2load"])
    if (spawnSync(program, ["-v"]).error !== undefined)
      throw new BenchError(`${program} is not there: apt-get install nginx haproxy wrk nghttp2-client`);
  const folder = mkdtempSync(join(tmpdir(), "podwire-gateway-bench-"));
  onExit(() => rmSync(folder, { recursive: true, force: true }));
  const ports = await Promise.all(Array.from({ length: 6 }, freePort));
  const origins = ports.slice(0, 1);
  for (const [i, port] of origins.entries()) await up(origin(`origin${i}`, port, folder));
  const setting: Setting = { folder, origins, workers, routes: FEW, podwire: PODWIRE };
  const own = gatewayProxy("podwire", ports[2], setting);
  const proxies = [own, nginxProxy(ports[3], setting), haproxy(ports[4], setting)];
  for (const each of proxies) await up(each);
  console.log(
    `medians of ${count} rounds of ${seconds} s in turns; in brackets podwire's share; node ${process.version}`,
  );
  const small = await rounds(proxies, count, ({ port }) => wrk(port, pathOf(1), seconds));
  show("small answers, HTTP/1.1, 32 connections", small, "perSec", "requests/s");
  const large = await rounds(proxies, count, ({ port }) => wrk(port, `${pathOf(1)}/large`, seconds));
  show("1 MiB answers", large, "perSec", "MiB/s", 1);
  const half = (small.get("podwire")?.perSec ?? 0) / 2;
  const calm = await rounds(proxies, count, ({ port }) => paced(port, pathOf(1), seconds, half, folder));
  show(`p99 at ${half.toFixed(0)} requests/s`, calm, "p99Ms", "ms");
  const many = gatewayProxy("podwire-5000", ports[5], { ...setting, routes: MANY });
  await up(many);
  const routed = await rounds([own, many], count, ({ name, port }) =>
    wrk(port, pathOf(name === own.name ? FEW - 1 : MANY - 1), seconds),
  );
  const [few, more] = [own, many].map(({ name }) => 1 / (routed.get(name)?.perSec ?? 1));
  console.log(`${"time per request, 5,000 routes to 10".padEnd(44)} ${(more / few).toFixed(3)}`);
}

let status = 0;
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => void undoAll().then(() => process.exit(1)));
await main().catch((error: Error) => {
  console.error(`bench: ${error.message}`);
  status = 1;
});
await undoAll();
process.exit(status);
