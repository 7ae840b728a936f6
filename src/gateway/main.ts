// podwire gateway: the gateway as a process, from its configuration to its end.
import type { Server } from "node:http";
import { hostname } from "node:os";
import { setFlagsFromString } from "node:v8";
import { gatewayKinds } from "../kube/gateway/read-gateway.ts";
import { servePages, type Told } from "../observe/proxy-pages.ts";
import { ApiSource } from "../watch/api-server/api-source.ts";
import { readAccess } from "../watch/api-server/kubeconfig.ts";
import { ROUTED_RESOURCES } from "../watch/api-server/resources.ts";
import { FilesSource, refuseReadOnce } from "../watch/files-source.ts";
import type { ObjectSource } from "../watch/source.ts";
import type { GatewayConfig } from "./config.ts";
import { Gateway } from "./gateway.ts";
import { StatusKeeper } from "./status/status-keeper.ts";
import { isFirst, isWorker, serveAsWorker, Workers } from "./workers.ts";

/**
 * Young objects are collected by the thread that made them. There is little to keep of them, and waiting for threads
 * that are to help took longer than the work: of small requests on two busy cores half of the collections took 0.35
 * ms in place of 0.6, and one in ten 1 ms or more in place of 3. Holds for collections from now on.
 */
const COLLECTING_ALONE = "--no-parallel-scavenge";
const PAGES_ERROR = "GATEWAY_METRICS";

/** Resolves when a signal has ended it; rejects where it cannot start. `tell`: a line for people. */
export async function runGateway(config: GatewayConfig, tell: (line: string) => void): Promise<void> {
  if (isWorker && !isFirst) return serve(config, () => {}).catch(() => {}); // the first says the same
  if (isWorker || config.workers === 1) return serve(config, tell);
  const workers = new Workers(config.workers, tell);
  const ended = untilSignal();
  process.on("SIGHUP", () => workers.reopenLogs());
  const pages = await servePages(config.metrics, workers, PAGES_ERROR);
  const statuses = keeperOf(config, () => workers.isReady, tell);
  try {
    await workers.start();
    statuses?.start();
    await ended;
  } finally {
    await statuses?.close();
    await workers.end();
    endPages(pages);
  }
}

async function serve(config: GatewayConfig, tell: (line: string) => void): Promise<void> {
  setFlagsFromString(COLLECTING_ALONE);
  const gateway = new Gateway({
    ...config,
    source: sourceOf(config),
    onNote: tell,
    hasDatagrams: !isWorker || isFirst,
  });
  const ended = untilSignal();
  process.on("SIGHUP", () => gateway.reopenLog());
  const told: Told = {
    get isReady() {
      return gateway.isReady;
    },
    metricsText: () => gateway.metricsText,
  };
  const pages = isWorker ? undefined : await servePages(config.metrics, told, PAGES_ERROR);
  const statuses = isWorker ? undefined : keeperOf(config, () => gateway.isReady, tell);
  try {
    await gateway.start();
    statuses?.start();
    if (isWorker) serveAsWorker(() => gateway.metricsText);
    const ports = gateway.ports.map(({ number, isTls, hasStreams }) => {
      const what = hasStreams ? ["tcp", "tls"] : ["http", "https"];
      return `${what[Number(isTls)]} ${number}`;
    });
    tell(`gateway: ${ports.join(", ") || "no port yet"}`);
    await ended;
    const released = statuses?.close(); // before it is not ready any more, and says so
    tell(`gateway: ends when what is under way has ended, within ${config.drainSec} s`);
    await gateway.drain(config.drainSec);
    await released;
  } finally {
    await statuses?.close();
    await gateway.close();
    endPages(pages);
    if (isWorker) process.disconnect(); // nothing else keeps it
  }
}

function untilSignal(): Promise<void> {
  return new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

function endPages(pages: Server | undefined): void {
  pages?.close();
  pages?.closeAllConnections();
}

/** Undefined: nobody wants statuses written. */
function keeperOf(
  config: GatewayConfig,
  isReady: () => boolean,
  tell: (line: string) => void,
): StatusKeeper | undefined {
  const { source, status } = config;
  if (status === undefined || !("kubernetes" in source)) return undefined;
  const options = source.kubernetes ?? {};
  return new StatusKeeper({ ...config, status, access: () => readAccess(options), isReady, tell });
}

function sourceOf({ source }: GatewayConfig): ObjectSource {
  if ("files" in source) {
    refuseReadOnce(source.files);
    return new FilesSource(source.files, { customKinds: gatewayKinds, carries: true });
  }
  const options = source.kubernetes ?? {};
  const access = readAccess(options);
  return new ApiSource({
    ...{ access, readAgain: () => readAccess(options), nodeName: hostname(), stateFile: "" },
    resources: ROUTED_RESOURCES,
  });
}
