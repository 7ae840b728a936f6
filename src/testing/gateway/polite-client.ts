// Clients that mean well, beside others that do not: each asks for something of its own and has to get that, soon. By
// HTTP/1.1 on connections that are kept, by HTTP/2, and by TLS.
import { Agent, request } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import type { Target } from "./attacker.ts";

const EVERY_MS = 10;
const PATIENCE_MS = 10_000;
export const POLITE_PATH = "/polite/";

interface Polite {
  readonly problems: readonly string[];
  /** Of each answer, milliseconds. */
  readonly tookMs: readonly number[];
}

export class PoliteClients {
  readonly #target: Target;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #tlsAgent = new TlsAgent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  #session: ClientHttp2Session | undefined;
  #isOver = false;
  #problems: string[] = [];
  #tookMs: number[] = [];
  #number = 0;
  readonly #running: Promise<void>[];

  constructor(target: Target) {
    this.#target = target;
    this.#running = [
      this.#go("HTTP/1.1", (path) => this.#ask(path, false)),
      this.#go("HTTP/2", (path) => this.#ask2(path)),
      this.#go("HTTPS", (path) => this.#ask(path, true)),
    ];
  }

  /** What there was since it was asked last. */
  take(): Polite {
    const taken = { problems: this.#problems, tookMs: this.#tookMs };
    this.#problems = [];
    this.#tookMs = [];
    return taken;
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
    this.#agent.destroy();
    this.#tlsAgent.destroy();
    this.#session?.destroy();
  }

  async #go(how: string, ask: (path: string) => Promise<string>): Promise<void> {
    while (!this.#isOver) {
      const path = `${POLITE_PATH}${how.toLowerCase().replace("/", "-")}/${++this.#number}`;
      const begin = performance.now();
      const answer = await ask(path).catch((error: Error) => `failed: ${error.message}`);
      this.#tookMs.push(performance.now() - begin);
      if (answer !== `200 ${path}`) this.#problems.push(`${how}: asked for ${path}: ${answer.slice(0, 200)}`);
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  }

  #ask(path: string, isTls: boolean): Promise<string> {
    const { host, port, tlsPort, name } = this.#target;
    const options = { host, path, headers: { Host: name }, timeout: PATIENCE_MS };
    return new Promise((resolve, reject) => {
      const asked = isTls
        ? tlsRequest({ ...options, port: tlsPort, servername: name, agent: this.#tlsAgent })
        : request({ ...options, port, agent: this.#agent });
      asked.on("response", (answer) => {
        let text = `${answer.statusCode} `;
        answer.on("data", (chunk: Buffer) => (text += String(chunk)));
        answer.on("end", () => resolve(text));
        answer.on("error", reject);
      });
      asked.on("timeout", () => asked.destroy(new Error("no answer in time")));
      asked.on("error", reject);
      asked.end();
    });
  }

  #ask2(path: string): Promise<string> {
    const { host, port, name } = this.#target;
    if (this.#session === undefined || this.#session.closed || this.#session.destroyed) {
      this.#session = connectHttp2(`http://${host}:${port}`);
      this.#session.on("error", () => {}); // its streams are told
    }
    const stream = this.#session.request({ ":path": path, ":authority": name });
    return new Promise((resolve, reject) => {
      let text = "";
      stream.on("response", (headers) => (text = `${headers[":status"]} `));
      stream.on("data", (chunk: Buffer) => (text += String(chunk)));
      stream.on("end", () => resolve(text));
      stream.on("error", reject);
      stream.on("close", () => reject(new Error("the stream was closed")));
      stream.setTimeout(PATIENCE_MS, () => reject(new Error("no answer in time")));
    });
  }
}

/** The value below which so many of a hundred are; 0: there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * share) / 100))] ?? 0;
}
