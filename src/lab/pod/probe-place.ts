// Where kubelet asks from and what it asks: one question, for probes and hooks alike. httpGet, tcpSocket and grpc go by a
// helper in the node's namespace (through its data path), exec runs in the container.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { HTTPGetAction, LifecycleHandler } from "kubernetes-types/core/v1.js";
import type { Container, Pod, Probe } from "../../kube/objects.ts";
import { tryCommand } from "../process/command.ts";
import { PROCESS_MARK } from "../process/process-table.ts";
import { inNamespace, programFile } from "./pod-env.ts";
import type { ProbeAnswer, ProbeRequest } from "./probe-helper.ts";

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

export interface ProbePlace {
  /** Words before a program that is to run in the container, and the variables it has there. */
  enter(): { readonly words: readonly string[]; readonly env: Record<string, string> };
  helper: Pick<ProbeHelper, "ask">;
  /** What runs is not the image's program: what a probe would call in it is not there, and nothing speaks TLS. */
  readonly standsIn?: boolean;
  /** False until the node's agent is ready: until then every probe from the node would only time out. */
  hasDataPath(): boolean;
}

export interface ProbeResult {
  ok: boolean;
  message: string;
}

/** Asks once; undefined when it could not be asked because the node has no data path yet. */
export type Check = () => Promise<ProbeResult | undefined>;

/** How a probe of this container is carried out; undefined where no kind is given. */
export function checkOf(
  pod: Pod,
  container: Container,
  probe: Probe | undefined,
  where: ProbePlace,
): Check | undefined {
  if (probe === undefined) return undefined;
  const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
  const { exec, tcpSocket, httpGet, grpc } = probe;
  if (exec !== undefined && where.standsIn === true) return async () => ({ ok: true, message: "" });
  if (exec !== undefined) return () => execute(exec.command ?? [], where, timeoutMs);
  const host = pod.status?.podIPs?.[0]?.ip ?? "";
  const ask = async (request: Omit<ProbeRequest, "id" | "timeoutMs">): Promise<ProbeResult | undefined> =>
    where.hasDataPath() ? where.helper.ask({ ...request, timeoutMs }) : undefined;
  if (tcpSocket !== undefined) {
    const port = portNumber(container, tcpSocket.port);
    return () => ask({ kind: "tcp", host: tcpSocket.host ?? host, port });
  }
  if (httpGet !== undefined) {
    const request = httpRequestOf(httpGet, container, host);
    return () => ask({ ...request, https: request.https === true && where.standsIn !== true });
  }
  if (grpc === undefined) return undefined;
  return () => ask({ kind: "grpc", host, port: grpc.port, service: grpc.service ?? "" });
}

/** Runs a lifecycle hook to its end, `limitMs` at most. Undefined: it did what it should; else why not. */
export async function runHook(
  hook: LifecycleHandler | undefined,
  { pod, container, where, limitMs }: { pod: Pod; container: Container; where: ProbePlace; limitMs: number },
): Promise<string | undefined> {
  const { exec, httpGet, tcpSocket } = hook ?? {};
  const seconds = (hook as { sleep?: { seconds?: number } } | undefined)?.sleep?.seconds;
  if (seconds !== undefined) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(seconds * 1000, limitMs)));
    return undefined;
  }
  if (exec !== undefined) {
    const { ok, message } = await execute(exec.command ?? [], where, limitMs);
    return ok ? undefined : `command '${(exec.command ?? []).join(" ")}' exited with an error: ${message}`;
  }
  if (httpGet !== undefined) {
    const host = pod.status.podIPs?.[0]?.ip ?? "";
    const answer = await where.helper.ask({ ...httpRequestOf(httpGet, container, host), timeoutMs: limitMs });
    return answer.ok ? undefined : answer.message;
  }
  // Kubernetes has the field, and no kubelet that runs it.
  return tcpSocket === undefined ? undefined : "invalid handler: tcpSocket";
}

async function execute(
  command: readonly string[],
  where: ProbePlace,
  timeoutMs: number,
): Promise<ProbeResult> {
  const { words, env } = where.enter();
  const [file, ...args] = [...words, ...command];
  const result = await tryCommand(file, args, { timeoutMs, env });
  return { ok: result.status === 0, message: firstLine(result) };
}

function httpRequestOf(
  { host, httpHeaders, path, port, scheme }: HTTPGetAction,
  container: Container,
  podAddress: string,
): Omit<ProbeRequest, "id" | "timeoutMs"> {
  return {
    kind: "http",
    host: host || podAddress,
    port: portNumber(container, port),
    path: path ?? "/",
    https: scheme === "HTTPS",
    headers: Object.fromEntries((httpHeaders ?? []).map((header) => [header.name, header.value])),
  };
}

function firstLine(result: { status: number; stdout: string; stderr: string }): string {
  const line = `${result.stderr}\n${result.stdout}`.trim().split("\n")[0];
  return line === "" ? `exit status ${result.status}` : line;
}

/** A port by number, or by its name among the container's ports. 0 (which never answers) when there is none. */
function portNumber(container: Container, port: number | string): number {
  if (typeof port === "number") return port;
  return container.ports?.find((p) => p.name === port)?.containerPort ?? Number(port) ?? 0;
}
