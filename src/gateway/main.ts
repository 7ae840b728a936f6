// podwire gateway: the gateway as a process, from its configuration to its end.
import { createServer, type Server } from "node:http";
import { hostname } from "node:os";
import { PodwireError } from "../base/errors.ts";
import { gatewayKinds } from "../kube/gateway/read-gateway.ts";
import { CONTENT_TYPE } from "../observe/exposition.ts";
import { ApiSource } from "../watch/api-server/api-source.ts";
import { readAccess } from "../watch/api-server/kubeconfig.ts";
import { ROUTED_RESOURCES } from "../watch/api-server/resources.ts";
import { FilesSource, refuseReadOnce } from "../watch/files-source.ts";
import type { ObjectSource } from "../watch/source.ts";
import type { GatewayConfig } from "./config.ts";
import { Gateway } from "./gateway.ts";

/** Resolves when a signal has ended it; rejects where it cannot start. `tell`: a line for people. */
export async function runGateway(config: GatewayConfig, tell: (line: string) => void): Promise<void> {
  const gateway = new Gateway({ ...config, source: sourceOf(config), onNote: tell });
  const ended = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  process.on("SIGHUP", () => gateway.reopenLog());
  const pages = config.metrics === undefined ? undefined : await servePages(config.metrics, gateway);
  await gateway.start();
  const ports = gateway.ports.map(({ number, isTls, hasStreams }) => {
    const what = hasStreams ? ["tcp", "tls"] : ["http", "https"];
    return `${what[Number(isTls)]} ${number}`;
  });
  tell(`gateway: ${ports.join(", ") || "no port yet"}`);
  await ended;
  tell(`gateway: ends when what is under way has ended, within ${config.drainSec} s`);
  await gateway.drain(config.drainSec);
  await gateway.close();
  pages?.close();
  pages?.closeAllConnections();
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

async function servePages(
  at: { readonly address: string; readonly port: number },
  gateway: Gateway,
): Promise<Server> {
  const server = createServer(({ url = "" }, response) => {
    const [path] = url.split("?", 1);
    if (path === "/metrics")
      response.writeHead(200, { "content-type": CONTENT_TYPE }).end(gateway.metricsText);
    else if (path === "/healthz") response.writeHead(200).end("ok\n");
    else if (path === "/readyz")
      response.writeHead(gateway.isReady ? 200 : 503).end(gateway.isReady ? "ok\n" : "not yet\n");
    else response.writeHead(404).end();
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(at.port, at.address, resolve);
    });
  } catch (cause) {
    const where = `metrics: ${at.address} port ${at.port}`;
    const message = `${where}: ${(cause as Error).message}: choose another with metrics.port`;
    throw new PodwireError(message, { code: "GATEWAY_METRICS", cause });
  }
  return server;
}
