// What asks the proxies: wrk and h2load as fast as they go, and a program of ours at a constant rate.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { BenchError, run } from "../shell.ts";
import { GRPC_PATH, HOST, pathOf } from "./objects.ts";

export interface Load {
  readonly perSec: number;
  /** How many were answered, all in all. */
  readonly count: number;
}

export interface Paced {
  readonly answered: number;
  readonly failed: number;
  /** From the moment at which a request was due to its answer. */
  readonly p50Us: number;
  readonly p99Us: number;
}

const CONNECTIONS = 32;
const STREAMS = { connections: 4, each: 8 };
const SPARE_MS = 30_000; // beyond the time that a program was told, before it is ended

/** HTTP/1.1 with connections that are kept. `script`: wrk's, which says what is asked. */
export async function wrk(url: string, seconds: number, script?: string): Promise<Load> {
  const more = script === undefined ? [] : ["-s", script];
  const args = ["-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "-H", `Host: ${HOST}`, ...more, url];
  const text = await run(["wrk", ...args], { timeoutMs: seconds * 1000 + SPARE_MS });
  const errors = /Non-2xx.*|Socket errors: (?!connect 0, read 0, write 0, timeout 0).*/.exec(text)?.[0];
  if (errors !== undefined) throw new BenchError(`${url}: ${errors}`);
  const count = Number(/(\d+) requests in/.exec(text)?.[1] ?? 0);
  return { perSec: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1] ?? 0), count };
}

/** A script of wrk's: each request asks for another of so many routes. Written into this folder. */
export function anyRoute(folder: string, routes: number): string {
  const file = join(folder, `any-of-${routes}.lua`);
  const text = `local asked = {}
init = function()
  for i = 1, ${routes} do asked[i] = wrk.format("GET", string.format("${pathOf(0).slice(0, -5)}%05d", i - 1)) end
end
request = function() return asked[math.random(${routes})] end
`;
  writeFileSync(file, text);
  return file;
}

/** HTTP/2 by TLS. */
export function http2(port: number, seconds: number): Promise<Load> {
  return h2load(`https://127.0.0.1:${port}${pathOf(1)}`, seconds, []);
}

/** The same with a small message each, as gRPC asks, and trailers behind the answer. */
export function grpc(port: number, seconds: number, folder: string): Promise<Load> {
  const message = join(folder, "message");
  writeFileSync(message, Buffer.from("\0\0\0\0\x05hello", "latin1"));
  const headers = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", message];
  return h2load(`https://127.0.0.1:${port}${GRPC_PATH}`, seconds, headers);
}

/** It ends its connections itself: with HTTP/1.1 at a rate it does not, and would wait for the server to. */
async function h2load(url: string, seconds: number, more: readonly string[]): Promise<Load> {
  const { connections, each } = STREAMS;
  const args = [`-c${connections}`, `-m${each}`, `-D${seconds}`, "-H", `:authority: ${HOST}`, ...more, url];
  const text = await run(["h2load", ...args], { timeoutMs: seconds * 1000 + SPARE_MS });
  const count = Number(/status codes: (\d+) 2xx/.exec(text)?.[1] ?? 0);
  const [, failed = "0", errored = "0"] = /(\d+) failed, (\d+) errored/.exec(text) ?? [];
  if (count === 0 || Number(failed) + Number(errored) > 0)
    throw new BenchError(`${url}: ${/requests: .*/.exec(text)?.[0] ?? text.trim()}`);
  return { perSec: count / seconds, count };
}

/** So many requests a second, evenly. `program`: http-rate. */
export async function paced(
  program: string,
  { port, path, seconds, perSec }: { port: number; path: string; seconds: number; perSec: number },
): Promise<Paced> {
  const rate = String(Math.max(1, Math.round(perSec)));
  const args = ["127.0.0.1", String(port), HOST, path, rate, String(seconds), String(CONNECTIONS)];
  const text = await run([program, ...args], { timeoutMs: seconds * 1000 + SPARE_MS });
  return JSON.parse(text) as Paced;
}
