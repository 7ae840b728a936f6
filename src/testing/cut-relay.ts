// A relay of TCP connections that cuts them after any number of bytes: what a client of a watch has to live with.
import { connect, createServer, type Socket } from "node:net";

export interface CutRelay {
  port: number;
  /** New connections are cut: set it to false, and whatever begins then may end by itself. */
  isCutting: boolean;
  cuts: number;
  close(): void;
}

/** To `port` of the loopback. `random`: from 0 to 1; a connection is cut after up to `mostBytes` of what it answers. */
export async function cutRelay(port: number, random: () => number, mostBytes: number): Promise<CutRelay> {
  const sockets = new Set<Socket>();
  const relay: CutRelay = { port: 0, isCutting: true, cuts: 0, close: () => {} };
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    let left = relay.isCutting ? Math.floor(random() * mostBytes) : Number.POSITIVE_INFINITY;
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", end).on("close", () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on("data", (bytes) => upstream.write(bytes));
    upstream.on("data", (bytes) => {
      if (left <= 0) return;
      client.write(bytes.subarray(0, Math.min(bytes.length, left)));
      left -= bytes.length;
      if (left > 0) return;
      relay.cuts++;
      client.destroySoon(); // what was written is sent: it is cut behind that byte
      upstream.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  relay.port = (server.address() as { port: number }).port;
  relay.close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return relay;
}
