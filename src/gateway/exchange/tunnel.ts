// Two connections that have changed to another protocol, WebSocket most often: bytes go both ways until one of them ends.
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ClientRequest } from "./ends.ts";

interface TunnelEnd {
  readonly socket: Duplex;
  /** What has come of it already. */
  readonly first: Buffer;
}

/** Those that are open, to be ended with the process; and how long one may be silent. */
interface Tunnels {
  readonly tunnels: Set<Duplex>;
  readonly limits: { readonly streamIdleSec: number };
}

/** By HTTP/2 whoever asks for a change of protocol takes any 2xx for it. */
export function mustSwitch({ version, upgrade }: ClientRequest): boolean {
  return upgrade !== "" && version === "HTTP/2";
}

/** `done`: bytes from the client, and to it. */
export function joinTunnel(
  client: TunnelEnd,
  backend: TunnelEnd,
  { tunnels, limits }: Tunnels,
  done: (up: number, down: number) => void,
): void {
  let isOver = false;
  const bytes = { up: client.first.length, down: backend.first.length };
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    tunnels.delete(client.socket);
    client.socket.destroy();
    backend.socket.destroy();
    done(bytes.up, bytes.down);
  };
  tunnels.add(client.socket);
  (client.socket as Socket).setTimeout(limits.streamIdleSec * 1000, end); // all that goes by goes by there
  const carry = (from: TunnelEnd, to: TunnelEnd, count: (n: number) => void): void => {
    if (from.first.length > 0) to.socket.write(from.first);
    from.socket.on("data", (chunk: Buffer) => {
      count(chunk.length);
      if (!to.socket.write(chunk)) from.socket.pause();
    });
    to.socket.on("drain", () => from.socket.resume());
    from.socket.on("end", () => to.socket.end());
    from.socket.on("error", end);
    from.socket.on("close", () => {
      const hasAll = to.socket.writableFinished || to.socket.destroyed;
      if (from.socket.readableEnded && !hasAll)
        to.socket.once("finish", end); // whoever reads slowly has the rest first
      else end();
    });
  };
  carry(client, backend, (n) => (bytes.up += n));
  carry(backend, client, (n) => (bytes.down += n));
  client.socket.resume();
  backend.socket.resume();
}
