// Readiness probes: who is asked when, and what the answers add up to. httpGet and tcpSocket are asked by a helper in
// the node's namespace (through its data path), exec runs in the pod's.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Container, Pod, Probe } from "../../kube/objects.ts";
import { tryCommand } from "../process/command.ts";
import { PROCESS_MARK } from "../process/process-table.ts";
import { inNamespace, programFile } from "./pod-env.ts";
import type { ProbeAnswer, ProbeRequest } from "./probe-helper.ts";

const FIRST_TRY_MS = 100; // a program needs a moment; kubelet's own jitter is up to a whole period
/** A container that was not ready yet is asked more often than its period says, so that a lab is up soon. */
const UNREADY_PERIODS_MS = [100, 200, 400, 1000];
const NO_DATA_PATH_MS = 50;

/** One per node: started with the first probe, started again if it dies. */
export class ProbeHelper {
  private readonly lab: string;
  private readonly netns: string;
  private child: ChildProcess | undefined;
  private readonly pending = new Map<number, (answer: ProbeAnswer) => void>();
  private nextId = 1;

  constructor(lab: string, netns: string) {
    this.lab = lab;
    this.netns = netns;
  }

  ask(request: Omit<ProbeRequest, "id">): Promise<ProbeAnswer> {
    const child = this.running();
    const id = this.nextId++;
    return new Promise((resolve) => {
      this.pending.set(id, resolve);
      child.stdin!.write(`${JSON.stringify({ ...request, id })}\n`);
    });
  }

  stop(): void {
    this.child?.kill("SIGKILL");
  }

  private running(): ChildProcess {
    if (this.child !== undefined) return this.child;
    const [file, ...args] = inNamespace(this.netns, [process.execPath, programFile("probe-helper")]);
    const env = { PATH: process.env.PATH, [PROCESS_MARK]: `${this.lab}/probe/${this.netns}` };
    const child = spawn(file, args, { stdio: ["pipe", "pipe", "ignore"], env });
    this.child = child;
    const gone = (): void => {
      if (this.child === child) this.child = undefined;
      for (const [id, resolve] of this.pending) resolve({ id, ok: false, message: "probe helper ended" });
      this.pending.clear();
    };
    child.on("error", gone).on("exit", gone);
    child.stdin!.on("error", () => {});
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const answer = JSON.parse(line) as ProbeAnswer;
      this.pending.get(answer.id)?.(answer);
      this.pending.delete(answer.id);
    });
    return child;
  }
}

export interface ProbeResult {
  ok: boolean;
  message: string;
}

/** Asks once; undefined when it could not be asked because the node has no data path yet. */
export type Check = () => Promise<ProbeResult | undefined>;

/** The state of one container's readiness probe, from start() to stop(). */
export class Readiness {
  ready = false;
  message = "";
  private readonly probe: Probe;
  private readonly check: Check;
  private readonly onChange: () => void;
  private timer: NodeJS.Timeout | undefined;
  private run = 0;
  private good = 0;
  private bad = 0;

  constructor(probe: Probe, check: Check, onChange: () => void) {
    this.probe = probe;
    this.check = check;
    this.onChange = onChange;
  }

  /**
   * The container has been started (again): not ready until the probe says so. One that was taken over from an
   * earlier lab process goes on as it was, so that a restart of the lab is not seen in the endpoints.
   */
  start(ready = false): void {
    this.stop();
    this.ready = ready;
    const run = ++this.run;
    this.timer = setTimeout(
      () => this.ask(run),
      (this.probe.initialDelaySeconds ?? 0) * 1000 || FIRST_TRY_MS,
    );
  }

  stop(): void {
    clearTimeout(this.timer);
    this.run++;
    this.ready = false;
    this.good = 0;
    this.bad = 0;
  }

  private async ask(run: number): Promise<void> {
    const answer = await this.check();
    if (run !== this.run) return; // stopped or restarted meanwhile
    if (answer === undefined) {
      this.timer = setTimeout(() => this.ask(run), NO_DATA_PATH_MS);
      return;
    }
    const said = this.message;
    this.message = answer.ok ? "" : answer.message;
    this.good = answer.ok ? this.good + 1 : 0;
    this.bad = answer.ok ? 0 : this.bad + 1;
    const before = this.ready;
    if (this.good >= (this.probe.successThreshold ?? 1)) this.ready = true;
    if (this.bad >= (this.probe.failureThreshold ?? 3)) this.ready = false;
    if (before !== this.ready || said !== this.message) this.onChange();
    const periodMs = (this.probe.periodSeconds ?? 10) * 1000;
    const early = UNREADY_PERIODS_MS[Math.min(this.bad, UNREADY_PERIODS_MS.length) - 1] ?? periodMs;
    const nextMs = this.ready ? periodMs : Math.min(periodMs, early);
    this.timer = setTimeout(() => this.ask(run), nextMs);
  }
}

/** How a probe of this container is carried out; undefined where no kind is given. */
export function checkOf(pod: Pod, container: Container, where: ProbePlace): Check | undefined {
  const probe = container.readinessProbe;
  const timeoutMs = (probe?.timeoutSeconds ?? 1) * 1000;
  const ask = async (request: Omit<ProbeRequest, "id" | "timeoutMs">): Promise<ProbeResult | undefined> =>
    where.hasDataPath() ? where.helper.ask({ ...request, timeoutMs }) : undefined;
  const host = pod.status?.podIPs?.[0]?.ip ?? "";
  if (probe?.exec !== undefined) {
    const [file, ...args] = inNamespace(where.netns, probe.exec.command ?? []);
    return async () => {
      const result = await tryCommand(file, args, { timeoutMs, env: where.env });
      return { ok: result.status === 0, message: firstLine(result) };
    };
  }
  if (probe?.tcpSocket !== undefined) {
    const { tcpSocket } = probe;
    const port = portNumber(container, tcpSocket.port);
    return () => ask({ kind: "tcp", host: tcpSocket.host ?? host, port });
  }
  if (probe?.httpGet !== undefined) {
    const { httpGet } = probe;
    const headers = Object.fromEntries((httpGet.httpHeaders ?? []).map((h) => [h.name, h.value]));
    const port = portNumber(container, httpGet.port);
    const https = httpGet.scheme === "HTTPS";
    return () =>
      ask({ kind: "http", host: httpGet.host ?? host, port, path: httpGet.path ?? "/", https, headers });
  }
  return undefined;
}

export interface ProbePlace {
  netns: string;
  env: Record<string, string>;
  helper: ProbeHelper;
  /** False until the node's agent is ready: until then every probe from the node would only time out. */
  hasDataPath(): boolean;
}

function firstLine(result: { status: number; stdout: string; stderr: string }): string {
  const line = `${result.stderr}\n${result.stdout}`.trim().split("\n")[0];
  return line === "" ? `exit status ${result.status}` : line;
}

/** A port by number, or by its name among the container's ports. 0 (which never answers) when there is none. */
function portNumber(container: Container, port: number | string): number {
  if (typeof port === "number") return port;
  return container.ports?.find((p) => p.name === port)?.containerPort ?? 0;
}
