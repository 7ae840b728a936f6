// Fuzz target `gateway`: a gateway as a process of its own, attacked by another process, one attack after the other,
// while clients that mean well go on asking. They must get what is theirs; no request may reach a backend that the
// gateway has not let through; its memory stays within bounds, its connections come down again, and it lives.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Target } from "../gateway/attacker.ts";
import { ATTACKS } from "../gateway/attacks.ts";
import { POLITE_PATH, PoliteClients, percentile } from "../gateway/polite-client.ts";
import { freePort } from "../gateway/running-gateway.ts";
import { ingress } from "../l7/objects.ts";

const PROGRAM = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
const ATTACKER = fileURLToPath(new URL("../gateway/attacks-main.js", import.meta.url));
const LARGE = Buffer.alloc(8 * 1024 * 1024, "x");
const READY_MS = 60_000;
const WARM_MS = 1500;
const CALM_MS = 20_000; // for connections to come down again
const SAMPLE_MS = 50;
const GROWTH_MAX_MB = 160;
const P99_MAX_MS = 5000; // of a machine that is busy with other things, too
const OWN_CONNECTIONS = 4; // of those that mean well

export interface GatewayFuzz {
  readonly seed: number;
  /** For each attack. */
  readonly seconds: number;
  /** Left out: all. */
  readonly attacks?: readonly string[];
  readonly tell?: (line: string) => void;
}

export async function runGatewayFuzz(options: GatewayFuzz): Promise<{ lines: string[]; findings: string[] }> {
  const run = new Run(options);
  try {
    await run.begin();
    for (const name of options.attacks ?? Object.keys(ATTACKS)) await run.attack(name);
  } finally {
    await run.end();
  }
  return { lines: run.lines, findings: run.findings };
}

class Run {
  readonly lines: string[] = [];
  readonly findings: string[] = [];
  readonly #options: GatewayFuzz;
  readonly #folder = mkdtempSync(join(tmpdir(), "fuzz-gateway-"));
  #server: Server | undefined;
  #gateway: ChildProcess | undefined;
  #polite: PoliteClients | undefined;
  #target: Target = { host: "127.0.0.1", port: 0, tlsPort: 0, name: "a.example" };
  #metrics = 0;
  #said = "";
  #baseMb = 0;

  constructor(options: GatewayFuzz) {
    this.#options = options;
  }

  async begin(): Promise<void> {
    const at = await this.#serve();
    const [port, tlsPort, metrics] = [await freePort(), await freePort(), await freePort()];
    this.#target = { ...this.#target, port, tlsPort };
    this.#metrics = metrics;
    const service = {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "shop" } },
      spec: { type: "ExternalName", externalName: "localhost", ports: [{ port: at }] },
    };
    const objects = [service, ingress({ hosts: { "a.example": [{ path: "/", to: `web:${at}` }] } })];
    const source = join(this.#folder, "objects.yaml");
    writeFileSync(source, objects.map((each) => JSON.stringify(each)).join("\n---\n"));
    const config = {
      ...{ source: { files: [source] }, ingress: { http: port, https: tlsPort }, address: "127.0.0.1" },
      ...{ accessLog: "off", metrics: { port: metrics, address: "127.0.0.1" }, drainSec: 1 },
      limits: { headerSec: 2, stallSec: 2, idleSec: 3 },
    };
    writeFileSync(join(this.#folder, "config.yaml"), JSON.stringify(config));
    const words = [PROGRAM, "gateway", "--config", join(this.#folder, "config.yaml")];
    const gateway = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"] });
    gateway.stderr?.on("data", (chunk) => (this.#said += chunk));
    this.#gateway = gateway;
    await this.#until(
      READY_MS,
      "it does not begin to serve",
      async () => (await this.#page("/readyz")) === "ok\n",
    );
    this.#polite = new PoliteClients(this.#target);
    await new Promise((resolve) => setTimeout(resolve, WARM_MS));
    this.#polite.take();
    this.#baseMb = this.#rssMb();
    this.#tell(`memory at rest ${this.#baseMb} MB`);
  }

  async attack(name: string): Promise<void> {
    const { seed, seconds } = this.#options;
    const { host, port, tlsPort } = this.#target;
    if (!this.#isAlive) return;
    let mostMb = 0;
    const sampling = setInterval(() => (mostMb = Math.max(mostMb, this.#rssMb())), SAMPLE_MS);
    const told = await output([ATTACKER, host, `${port}`, `${tlsPort}`, `${seed}`, `${seconds}`, name]);
    clearInterval(sampling);
    await this.#until(
      CALM_MS,
      `${name}: its connections stay`,
      async () => (await this.#open()) <= OWN_CONNECTIONS,
    );
    const { problems, tookMs } = this.#polite?.take() ?? { problems: [], tookMs: [] };
    const { connections = 0, bytes = 0 } = JSON.parse(told || "{}") as Record<string, number>;
    const p99 = percentile(tookMs, 99);
    const sent = (bytes / 2 ** 20).toFixed(1).padStart(7);
    this.#tell(
      `${name.padEnd(32)} ${`${connections}`.padStart(6)} connections ${sent} MB sent; ` +
        `others: ${tookMs.length} requests, p99 ${p99.toFixed(1)} ms; memory at most ${mostMb} MB`,
    );
    for (const each of problems.slice(0, 3)) this.#find(`${name}: ${each}`);
    if (connections === 0) this.#find(`${name}: there was no attack: ${told}`);
    if (tookMs.length === 0) this.#find(`${name}: nobody else was answered`);
    if (p99 > P99_MAX_MS) this.#find(`${name}: others waited ${p99.toFixed(0)} ms`);
    if (mostMb > this.#baseMb + GROWTH_MAX_MB) this.#find(`${name}: memory grew to ${mostMb} MB`);
    if (!this.#isAlive) this.#find(`${name}: the gateway has ended: ${this.#said.slice(-1000)}`);
  }

  async end(): Promise<void> {
    await this.#polite?.end();
    const gateway = this.#gateway;
    if (gateway !== undefined && this.#isAlive) {
      const ended = new Promise((resolve) => gateway.once("exit", resolve));
      gateway.kill("SIGTERM");
      await ended;
    }
    this.#server?.closeAllConnections();
    this.#server?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #isAlive(): boolean {
    return (
      this.#gateway !== undefined && this.#gateway.exitCode === null && this.#gateway.signalCode === null
    );
  }

  #tell(line: string): void {
    this.lines.push(line);
    this.#options.tell?.(line);
  }

  #find(finding: string): void {
    this.findings.push(finding);
  }

  /** What has not come through the gateway has not what it adds, or has it twice. */
  async #serve(): Promise<number> {
    const server = createServer((asked, response) => {
      const { url = "", method, rawHeaders, headers } = asked;
      const names = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
      const count = (name: string): number => names.filter((each) => each === name).length;
      const isLetThrough = headers["x-forwarded-for"] === "127.0.0.1" && count("x-forwarded-for") === 1;
      if (!isLetThrough || count("host") !== 1)
        this.#find(`${method} ${url} reached a backend: ${rawHeaders.join(" ")}`);
      asked.resume();
      asked.on("error", () => {});
      asked.on("end", () =>
        response.end(url === "/large" ? LARGE : url.startsWith(POLITE_PATH) ? url : "ok"),
      );
    });
    server.on("clientError", (error, socket) => {
      const { code } = error as NodeJS.ErrnoException;
      // The gateway must not send what is no request; one whose client leaves in its middle ends early.
      if (code?.startsWith("HPE_") === true && code !== "HPE_INVALID_EOF_STATE")
        this.#find(`a backend was sent what is no HTTP: ${code}`);
      socket.destroy();
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }

  #rssMb(): number {
    try {
      const text = readFileSync(`/proc/${this.#gateway?.pid}/status`, "utf8");
      return Math.round(Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0) / 1024);
    } catch {
      return 0;
    }
  }

  async #page(path: string): Promise<string> {
    const answer = await fetch(`http://127.0.0.1:${this.#metrics}${path}`, {
      signal: AbortSignal.timeout(5000),
    });
    return answer.text();
  }

  async #open(): Promise<number> {
    const text = await this.#page("/metrics");
    return [...text.matchAll(/^podwire_gateway_connections\{[^}]*\} (\d+)$/gm)].reduce(
      (n, [, x]) => n + Number(x),
      0,
    );
  }

  async #until(withinMs: number, otherwise: string, holds: () => Promise<boolean>): Promise<void> {
    const endMs = performance.now() + withinMs;
    while (this.#isAlive && performance.now() < endMs) {
      if (await holds().catch(() => false)) return;
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
    this.#find(otherwise);
  }
}

/** What the program prints, both ways. */
function output(args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += chunk));
  return new Promise((resolve) => child.on("close", () => resolve(text.startsWith("{") ? text : "")));
}
