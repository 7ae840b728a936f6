// Do the names of Services answer? Asked in every pod of a lab by getaddrinfo and connect, as its programs would: each
// Service of the pod's namespace, and each name of another one that stands in the pod's variables, args and commands.
import type { Result, RunOptions } from "../../../src/testing/lab/process.ts";

/** What is needed of a TestLab. */
export interface AskedLab {
  // biome-ignore lint/suspicious/noExplicitAny: objects as the lab prints them
  json(...args: string[]): Promise<any>;
  podwire(args: readonly string[], options?: RunOptions): Promise<Result>;
}

export interface Reached {
  /** Pods that asked. */
  pods: number;
  names: number;
  connections: number;
  /** "NAMESPACE/POD: NAME[:PORT]: why". */
  failed: string[];
}

interface Asked {
  readonly name: string;
  /** TCP alone; none where nobody serves. */
  readonly ports: readonly number[];
}

interface ServiceLike {
  metadata: { name: string; namespace: string };
  spec: {
    type?: string;
    clusterIP?: string;
    ports?: { port: number; protocol?: string; targetPort?: unknown }[];
  };
}

interface PodLike {
  metadata: { name: string; namespace: string; deletionTimestamp?: string };
  spec: { hostNetwork?: boolean; containers: { name: string }[] };
  status: { phase: string };
}

interface SliceLike {
  metadata: { namespace: string; labels?: Record<string, string> };
  endpoints?: { conditions?: { ready?: boolean } }[];
  ports?: { port?: number; protocol?: string }[];
}

/** Runs in the pod: prints a line for each name and port that does not answer. */
const ASK = `
const { lookup } = require("node:dns/promises");
const { connect } = require("node:net");
const reach = (host, port) => new Promise((resolve) => {
  const socket = connect({ host, port });
  const end = (why) => { socket.destroy(); resolve(why); };
  socket.setTimeout(3000, () => end("no answer in 3 s"));
  socket.on("connect", () => end("")).on("error", (error) => end(error.code || error.message));
});
(async () => {
  for (const { name, ports } of JSON.parse(process.argv[1])) {
    const found = await lookup(name).catch((error) => ({ why: error.code }));
    if (found.why) { console.log(name + ": " + found.why); continue; }
    await Promise.all(ports.map(async (port) => {
      const why = await reach(name, port);
      if (why) console.log(name + ":" + port + ": " + why);
    }));
  }
})();
`;

const ASK_MS = 120_000;
const AT_ONCE = 4;

/** `namespaces`: those whose pods ask; left out: all but kube-system. */
export async function reachServices(lab: AskedLab, namespaces?: readonly string[]): Promise<Reached> {
  const list = async <T>(kind: string): Promise<T[]> => (await lab.json("get", kind, "-A")).items;
  const [services, slices, all] = [
    await list<ServiceLike>("services"),
    await list<SliceLike>("endpointslices"),
    await list<PodLike>("pods"),
  ];
  const isAsking = ({ metadata, spec, status }: PodLike): boolean =>
    status.phase === "Running" &&
    spec.hostNetwork !== true && // it has the node's names
    metadata.deletionTimestamp === undefined &&
    (namespaces?.includes(metadata.namespace) ?? metadata.namespace !== "kube-system");
  const pods = all.filter(isAsking);
  const reached: Reached = { pods: pods.length, names: 0, connections: 0, failed: [] };
  const queue = [...pods];
  const worker = async (): Promise<void> => {
    for (let pod = queue.shift(); pod !== undefined; pod = queue.shift()) {
      const asked = askedBy(pod, services, slices);
      reached.names += asked.length;
      reached.connections += asked.reduce((sum, { ports }) => sum + ports.length, 0);
      reached.failed.push(...(await askIn(lab, pod, asked)));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return reached;
}

function askedBy(pod: PodLike, services: readonly ServiceLike[], slices: readonly SliceLike[]): Asked[] {
  const { namespace } = pod.metadata;
  const text = JSON.stringify(pod.spec);
  return services.flatMap((service): Asked[] => {
    const { metadata, spec } = service;
    if (spec.type === "ExternalName") return [];
    const isNear = metadata.namespace === namespace;
    const far = `${metadata.name}.${metadata.namespace}`;
    if (!isNear && !text.includes(far)) return [];
    return [{ name: isNear ? metadata.name : far, ports: portsOf(service, slices) }];
  });
}

/** Of a headless Service the endpoints' own. */
function portsOf({ metadata, spec }: ServiceLike, slices: readonly SliceLike[]): number[] {
  const own = slices.filter(
    (slice) =>
      slice.metadata.namespace === metadata.namespace &&
      slice.metadata.labels?.["kubernetes.io/service-name"] === metadata.name &&
      slice.endpoints?.some(({ conditions }) => conditions?.ready !== false),
  );
  if (own.length === 0) return [];
  const ports = spec.clusterIP === "None" ? own.flatMap((slice) => slice.ports ?? []) : (spec.ports ?? []);
  const tcp = ports.filter(({ protocol = "TCP" }) => protocol === "TCP");
  return [...new Set(tcp.flatMap(({ port }) => (port === undefined ? [] : [port])))];
}

async function askIn(lab: AskedLab, pod: PodLike, asked: readonly Asked[]): Promise<string[]> {
  const { name, namespace } = pod.metadata;
  const words = ["exec", name, "-n", namespace, "-c", pod.spec.containers[0].name, "--"];
  const program = [process.execPath, "-e", ASK, JSON.stringify(asked)];
  const { status, stdout, stderr } = await lab.podwire([...words, ...program], { timeoutMs: ASK_MS });
  const lines = stdout.split("\n").filter((line) => line !== "");
  if (status !== 0) lines.push(`status ${status}: ${stderr.trim().split("\n")[0]}`);
  return lines.map((line) => `${namespace}/${name}: ${line}`);
}
