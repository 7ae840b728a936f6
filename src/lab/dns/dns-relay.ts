// Nothing of a lab's network leads to the world, so its DNS pod cannot ask the machine's resolvers. The lab's process
// does it: at a socket in its directory it takes queries, as by TCP, and hands the answers back.
import { rmSync } from "node:fs";
import type { Server } from "node:net";
import { askWhole } from "../../dns/ask-whole.ts";
import { tcpServer } from "../../dns/tcp-listener.ts";
import { type Server as DnsServer, Upstream } from "../../dns/upstream.ts";

export interface DnsRelay {
  close(): void;
}

/** Resolves when it listens. */
export async function startDnsRelay(path: string, servers: readonly DnsServer[]): Promise<DnsRelay> {
  const upstream = new Upstream(servers);
  const server: Server = tcpServer((bytes, _address, _port, answer) => {
    void askWhole(upstream, bytes).then(answer);
  });
  rmSync(path, { force: true }); // of a lab process that was killed
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  return {
    close: () => {
      upstream.close();
      server.close();
      rmSync(path, { force: true });
    },
  };
}
