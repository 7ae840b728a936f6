/**
 * What a lab of three nodes and two hundred pods takes: seconds until all is ready, memory, how fast its API answers, and
 * how soon packets follow a change of objects. scripts/lab-figures is the command.
 */
import { readFile } from "node:fs/promises";
import { markedProcesses } from "../../lab/process/process-table.ts";
import { TestLab } from "../../testing/lab/lab.ts";
import { client, HTTP_PORT, UDP_PORT } from "../../testing/lab/objects.ts";
import { percentile } from "../gc-log.ts";
import { sleep } from "../shell.ts";
import { ApiClient } from "./api-client.ts";
import { untilAnswered, untilSilent } from "./asked-times.ts";
import { AskingPod, nowMs } from "./asking-pod.ts";
import { residentMib, shareMib } from "./resident.ts";

const PODS = "/api/v1/namespaces/default/pods";
const SERVICES = "/api/v1/namespaces/default/services";
const POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
const MERGE = "application/merge-patch+json";
const APP_PODS = 10;
const ASKER = "asker";
/** Nobody else's. */
const SERVICE_IP = "10.96.200.1";
const CALM_MS = 3000;
const STAY_MS = 300;

export interface LabFiguresOptions {
  readonly nodes: number;
  readonly pods: number;
  readonly requests: number;
  readonly changes: number;
}

export interface Spread {
  count: number;
  p50: number;
  p99: number;
  max: number;
}

export interface LabFigures {
  upSeconds: number;
  /** MiB. */
  lab: { resident: number; share: number };
  agents: { name: string; resident: number; share: number }[];
  /** Its program's and what it shares, on average. */
  pod: number;
  all: number;
  /** ms. */
  get: Spread;
  list: Spread;
  patch: Spread;
  service: Spread;
  denied: Spread;
  allowed: Spread;
}

export async function measureLab(options: LabFiguresOptions): Promise<LabFigures> {
  const began = performance.now();
  const lab = await TestLab.up("lab-figures", {
    nodes: Array.from({ length: options.nodes }, (_, i) => ({ name: `node${i + 1}` })),
    dns: { forward: "none" },
    objects: [client(ASKER, "node1"), ...applications(options.pods)],
  });
  const upSeconds = (performance.now() - began) / 1000;
  try {
    await sleep(CALM_MS);
    const memory = await memoryOf(lab);
    const api = await ApiClient.of(await lab.output(["kubeconfig"]), 2);
    const answers = await latencies(api, options);
    const reactions = await reactionsOf(lab, api, options);
    api.close();
    return { upSeconds, ...memory, ...answers, ...reactions };
  } finally {
    await lab.down();
  }
}

function applications(pods: number): object[] {
  return Array.from({ length: Math.ceil(pods / APP_PODS) }, (_, i) => {
    const name = `app-${i}`;
    const ports = [
      { name: "http", containerPort: HTTP_PORT },
      { name: "udp", containerPort: UDP_PORT, protocol: "UDP" },
    ];
    const container = {
      ...{ name: "main", image: "podwire/echo", ports },
      readinessProbe: { httpGet: { path: "/", port: "http" } },
    };
    return [
      {
        ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name } },
        spec: {
          replicas: Math.min(APP_PODS, pods - i * APP_PODS),
          selector: { matchLabels: { app: name } },
          template: { metadata: { labels: { app: name } }, spec: { containers: [container] } },
        },
      },
      serviceOf(name, name),
    ];
  }).flat();
}

function serviceOf(name: string, app: string, clusterIP?: string): object {
  const ports = [
    { name: "http", port: 80, targetPort: HTTP_PORT },
    { name: "udp", port: UDP_PORT, protocol: "UDP" },
  ];
  const spec = { selector: { app }, ports, ...(clusterIP === undefined ? {} : { clusterIP }) };
  return { apiVersion: "v1", kind: "Service", metadata: { name }, spec };
}

async function memoryOf(lab: TestLab): Promise<Pick<LabFigures, "lab" | "agents" | "pod" | "all">> {
  const status = await lab.json("lab", "status");
  const both = async (pid: number) => ({ resident: await residentMib(pid), share: await shareMib(pid) });
  const agents = [];
  for (const { name, pid } of status.nodes) agents.push({ name, ...(await both(pid)) });
  const pids: number[] = status.pods
    .filter(({ name }: { name: string }) => name.startsWith("app-"))
    .flatMap(({ processes }: { processes: { pid: number | null }[] }) => processes.map(({ pid }) => pid));
  let pods = 0;
  for (const pid of pids) pods += await shareMib(pid);
  let all = 0;
  for (const { pid } of markedProcesses(lab.name)) all += await shareMib(pid).catch(() => 0);
  const { pid } = JSON.parse(await readFile(`/run/podwire/labs/${lab.name}/lab.pid`, "utf8")) as {
    pid: number;
  };
  return { lab: await both(pid), agents, pod: pods / pids.length, all };
}

/** Requests one after the other on a connection that stays; the first are not counted. */
async function latencies(
  api: ApiClient,
  { requests }: LabFiguresOptions,
): Promise<Pick<LabFigures, "get" | "list" | "patch">> {
  const names = (JSON.parse(await api.call("GET", PODS)).items as { metadata: { name: string } }[]).map(
    ({ metadata }) => metadata.name,
  );
  const timed = async (count: number, send: (i: number) => Promise<unknown>): Promise<Spread> => {
    const times: number[] = [];
    for (let i = 0; i < count * 1.1; i++) {
      const began = performance.now();
      await send(i);
      if (i >= count * 0.1) times.push(performance.now() - began);
    }
    return spreadOf(times);
  };
  const path = (i: number): string => `${PODS}/${names[i % names.length]}`;
  return {
    get: await timed(requests, (i) => api.call("GET", path(i))),
    list: await timed(Math.ceil(requests / 5), () => api.call("GET", PODS)),
    patch: await timed(Math.ceil(requests / 2), (i) =>
      api.call("PATCH", path(i), { metadata: { annotations: { turn: String(i) } } }, MERGE),
    ),
  };
}

/** From the request until packets are treated by it: a Service that comes, a policy that comes and goes. */
async function reactionsOf(
  lab: TestLab,
  api: ApiClient,
  { changes }: LabFiguresOptions,
): Promise<Pick<LabFigures, "service" | "denied" | "allowed">> {
  const times: [made: number, gone: number, end: number][] = [];
  const comeAndGo = async (path: string, object: { metadata: { name: string } }): Promise<void> => {
    times.length = 0;
    for (let i = 0; i < changes; i++) {
      const made = nowMs();
      await api.call("POST", path, object);
      await sleep(STAY_MS);
      const gone = nowMs();
      await api.call("DELETE", `${path}/${object.metadata.name}`);
      await sleep(STAY_MS);
      times.push([made, gone, nowMs()]);
    }
  };
  const service = serviceOf("comes-and-goes", "app-0", SERVICE_IP) as { metadata: { name: string } };
  const first = await AskingPod.in(lab, ASKER, SERVICE_IP, UDP_PORT);
  await comeAndGo(SERVICES, service);
  const served = await first.stop();
  const came = times.map(([made, gone]) => untilAnswered(served, made, gone) ?? Number.POSITIVE_INFINITY);
  const second = await AskingPod.in(lab, ASKER, await lab.clusterIP("app-0"), UDP_PORT);
  const policy = { metadata: { name: "nobody" }, spec: { podSelector: { matchLabels: { app: "app-0" } } } };
  await comeAndGo(POLICIES, policy);
  const passed = await second.stop();
  const allowed = times.map(([, gone, end]) => untilAnswered(passed, gone, end) ?? Number.POSITIVE_INFINITY);
  const denied = times.map(([made, gone]) => untilSilent(passed, made, gone));
  return { service: spreadOf(came), denied: spreadOf(denied), allowed: spreadOf(allowed) };
}

function spreadOf(times: readonly number[]): Spread {
  const [p50, p99] = [0.5, 0.99].map((fraction) => percentile(times, fraction));
  return { count: times.length, p50, p99, max: Math.max(...times) };
}
