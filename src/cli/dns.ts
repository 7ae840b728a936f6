// podwire dns: the cluster's DNS in the foreground, from files, a lab, a cluster, or as a configuration says.
import { writeSync } from "node:fs";
import { hostname } from "node:os";
import type { Command } from "commander";
import { type DnsConfig, type DnsSettings, dnsConfig, parseForward } from "../config/dns.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../config/host-port.ts";
import { readDnsFile } from "../config/read-config.ts";
import { DnsServer } from "../dns/dns-server.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { PassedOver } from "../kube/passed-over.ts";
import * as names from "../kube/validate/names.ts";
import { labPaths } from "../lab/state-dir.ts";
import { ApiSource } from "../watch/api-server/api-source.ts";
import { readAccess } from "../watch/api-server/kubeconfig.ts";
import { NAMED_RESOURCES } from "../watch/api-server/resources.ts";
import { FilesSource, refuseReadOnce } from "../watch/files-source.ts";
import { FixedSource } from "../watch/fixed-source.ts";
import { refuseTwice } from "../watch/input.ts";
import type { ObjectSource } from "../watch/source.ts";
import { type Globals, globals, note } from "./context.ts";
import { usageError } from "./errors.ts";
import { collect, named, readObjects, readOne } from "./objects/manifests.ts";
import { rawObjects } from "./offline/explain-world.ts";
import { needControllers } from "./offline/need-controllers.ts";
import { offlineCluster } from "./offline/offline-cluster.ts";
import { runningLab } from "./running-lab.ts";

interface Options {
  file?: string[];
  config?: string;
  kubeconfig?: string;
  context?: string;
  listen?: string[];
  zone?: string;
  forward?: string;
  metrics?: string;
  autopath?: boolean;
  log?: boolean;
}

export function register(program: Command): void {
  program
    .command("dns")
    .description("the cluster's DNS in the foreground, from files, a lab or a cluster; needs no root")
    .option("-f, --file <objects>", "manifests (repeatable)", collect)
    .option("--kubeconfig <file>", "objects of this cluster ($KUBECONFIG, where no lab runs)")
    .option("--context <name>", "context of the kubeconfig")
    .option(
      "--listen <address:port>",
      "where to be asked, UDP and TCP (repeatable; default: 127.0.0.1:5300)",
      collect,
    )
    .option("--zone <domain>", "the cluster's domain (default: cluster.local)")
    .option(
      "--forward <servers>",
      "who is asked for other names: ADDR:PORT, none, or host (default: the machine's resolvers)",
    )
    .option("--metrics <address:port>", "Prometheus' metrics, /health and /ready")
    .option("--autopath", "go through a pod's search domains for it")
    .option("--log", "a line on standard output for each query, with the pod that asked")
    .option("--config <file>", "a DNSConfiguration instead of all these (docs/dns.md)")
    .action(async (options: Options, command: Command) => run(options, globals(command)));
}

async function run(options: Options, flags: Globals): Promise<void> {
  refuseMixed(options);
  const { config, source } = await settled(options, flags);
  const server = new DnsServer({
    ...config,
    source,
    onNote: note,
    onLog: (text) => process.stdout.write(text),
  });
  const ended = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  await server.start();
  announce();
  const at = server.addresses.map(formatHostPort).join(", ");
  const { services, pods } = server.counts;
  const what = source === undefined ? "no zone of its own" : config.zone;
  note(
    `dns: ${what} on ${at}${server.isReady && source !== undefined ? `: ${services} services, ${pods} pods` : ""}`,
  );
  await ended;
  await server.close();
}

/** Tells a lab that started us, on the file descriptor that it names, that all sockets are open. */
function announce(): void {
  const fd = process.env.PODWIRE_READY_FD;
  if (fd === undefined) return;
  writeSync(Number(fd), "ready\n");
}

function refuseMixed({ config, file, kubeconfig, ...rest }: Options): void {
  if (config !== undefined) {
    const [other] =
      Object.entries({ file, kubeconfig, ...rest }).find(([, value]) => value !== undefined) ?? [];
    if (other !== undefined)
      throw usageError(`--config and --${other}: the file says it all: leave one of them out`);
  }
  if (file !== undefined && kubeconfig !== undefined)
    throw usageError(`-f ${file[0]} and --kubeconfig: two sources of objects: leave one of them out`);
  refuseTwice([...named("-f", file), ...named("--config", config)]);
}

interface Settled {
  readonly config: Omit<DnsConfig, "source">;
  readonly source: ObjectSource | undefined;
}

async function settled(options: Options, flags: Globals): Promise<Settled> {
  if (options.config !== undefined) {
    const config = readDnsFile(readOne(options.config));
    return { config, source: sourceOf(config) };
  }
  const config = withFlags(options);
  return { config, source: await objectsOf(options, flags) };
}

function withFlags({ zone, forward, listen, metrics, autopath, log }: Options): DnsConfig {
  const defaults = dnsConfig({ apiVersion: "podwire.dev/v1alpha1" }, new FieldProblems()) as DnsConfig;
  for (const why of zone === undefined ? [] : names.dns1123Subdomain(zone))
    throw usageError(`--zone ${zone}: ${why}`);
  return {
    ...defaults,
    ...(zone !== undefined && { zone }),
    ...(forward !== undefined && { forward: forwardFlag(forward) }),
    ...(listen !== undefined && { listen: listen.map((text) => hostPort("--listen", text)) }),
    metrics: metrics === undefined ? null : hostPort("--metrics", metrics),
    autopath: autopath === true,
    log: log === true,
  };
}

function forwardFlag(text: string): DnsSettings["forward"] {
  const forward = parseForward(text);
  if (forward === undefined) throw usageError(`--forward ${text}: give ADDR:PORT, none or host`);
  return forward;
}

function hostPort(flag: string, text: string): HostPort {
  const found = parseHostPort(text);
  if (found === null) throw usageError(`${flag} ${text}: give IP:port, such as 127.0.0.1:5300 or [::1]:5300`);
  return found;
}

function sourceOf({ source }: DnsConfig): ObjectSource | undefined {
  if (source === undefined) return undefined;
  if ("kubernetes" in source) return apiSource(source.kubernetes);
  refuseReadOnce(source.files);
  return new FilesSource(source.files);
}

function apiSource(options: Parameters<typeof readAccess>[0]): ObjectSource {
  const access = readAccess(options);
  return new ApiSource({ access, nodeName: hostname(), stateFile: "", resources: NAMED_RESOURCES });
}

async function objectsOf({ file, kubeconfig, context }: Options, flags: Globals): Promise<ObjectSource> {
  if (file !== undefined) return filesSource(file, flags);
  if (kubeconfig !== undefined) return apiSource({ kubeconfig, context });
  if (flags.lab === undefined && !isLabHere(flags) && (process.env.KUBECONFIG ?? "") !== "")
    return apiSource({ context });
  if (context !== undefined)
    throw usageError(`--context ${context}: is of a kubeconfig: name that with --kubeconfig`);
  return apiSource({ servers: [`unix:${labPaths(runningLab(flags).name).apiSocket}`] });
}

function isLabHere(flags: Globals): boolean {
  try {
    runningLab(flags);
    return true;
  } catch {
    return false;
  }
}

/** As a cluster holds them, or as its controllers would make them of manifests. */
async function filesSource(files: readonly string[], flags: Globals): Promise<ObjectSource> {
  const texts = readObjects(files);
  const passed = new PassedOver();
  const objects = rawObjects(texts, passed);
  if (needControllers(objects)) return new FixedSource((await offlineCluster(flags, { texts })).objects);
  for (const line of passed.notes()) note(line);
  return new FixedSource(objects);
}
