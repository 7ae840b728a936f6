/** /metrics for Prometheus; /health and /ready as CoreDNS' plug-ins of these names answer. */
import { createServer } from "node:http";
import { PodwireError } from "../base/errors.ts";
import { formatHostPort, type HostPort } from "../config/host-port.ts";
import { CONTENT_TYPE } from "../observe/exposition.ts";

export interface MetricsServer {
  close(): Promise<void>;
}

interface Pages {
  text(): string;
  isReady(): boolean;
}

export async function serveMetrics({ address, port }: HostPort, pages: Pages): Promise<MetricsServer> {
  const server = createServer(({ url }, response) => {
    const path = url?.split("?")[0];
    if (path === "/metrics") response.writeHead(200, { "content-type": CONTENT_TYPE }).end(pages.text());
    else if (path === "/health") response.writeHead(200).end("OK");
    else if (path === "/ready")
      response.writeHead(pages.isReady() ? 200 : 503).end(pages.isReady() ? "OK" : "objects");
    else response.writeHead(404).end();
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, address, resolve);
    });
  } catch (cause) {
    const at = formatHostPort({ address, port });
    const message = `metrics: ${at}: ${(cause as Error).message}: choose another address with --metrics`;
    throw new PodwireError(message, { code: "DNS_LISTEN", cause });
  }
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
