/** Pages of a proxy's process: /metrics for Prometheus, /healthz and /readyz for kubelet's probes. */
import { createServer, type Server } from "node:http";
import { PodwireError } from "../base/errors.ts";
import { CONTENT_TYPE } from "./exposition.ts";

/** What the pages say. */
export interface Told {
  readonly isReady: boolean;
  metricsText(): string | Promise<string>;
}

/** `at` undefined: there are none. `code`: of the error where it cannot listen. */
export async function servePages(
  at: { readonly address: string; readonly port: number } | undefined,
  told: Told,
  code: string,
): Promise<Server | undefined> {
  if (at === undefined) return undefined;
  const server = createServer(async ({ url = "" }, response) => {
    const [path] = url.split("?", 1);
    if (path === "/metrics")
      response.writeHead(200, { "content-type": CONTENT_TYPE }).end(await told.metricsText());
    else if (path === "/healthz") response.writeHead(200).end("ok\n");
    else if (path === "/readyz")
      response.writeHead(told.isReady ? 200 : 503).end(told.isReady ? "ok\n" : "not yet\n");
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
    throw new PodwireError(message, { code, cause });
  }
  return server;
}
