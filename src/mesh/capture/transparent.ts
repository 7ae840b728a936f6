// Sockets for addresses that are not this machine's: one that listens for all of them, and ones that connect from a
// client's. Both need NET_ADMIN.
import { createServer, type Server, Socket } from "node:net";
import { PodwireError } from "../../base/errors.ts";
import { formatIp, type Ip } from "../../base/ip.ts";
import { errnoName, loadNative } from "../../native/binding.ts";
import type { Place } from "../hbone/connect-head.ts";

const BACKLOG = 4096;

/** Throws a PodwireError where it cannot be had. `taken`: connections that nothing was read of. */
export function listenTransparent(address: string, port: number, taken: (socket: Socket) => void): Server {
  const fd = loadNative().listenTransparent(address, port, BACKLOG);
  if (fd < 0) throw refused(`${address} port ${port}`, fd);
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, taken);
  server.on("error", () => {}); // of one connection that could not be taken
  server.listen({ fd });
  return server;
}

/** A connection from this address, of a port that the kernel chooses; what fails is told as an error of the socket. */
export function dialAs(source: Ip, { ip, port }: Place): Socket {
  const fd = loadNative().openTransparent(formatIp(source));
  if (fd < 0) {
    const socket = new Socket();
    process.nextTick(() => socket.destroy(refused(`a connection from ${formatIp(source)}`, fd)));
    return socket;
  }
  const socket = new Socket({ fd, allowHalfOpen: true });
  socket.setNoDelay(true);
  return socket.connect({ host: formatIp(ip), port });
}

function refused(what: string, result: number): PodwireError {
  const name = errnoName(result);
  const why = name === "EPERM" ? "the container needs NET_ADMIN" : name;
  return new PodwireError(`${what}: ${why}`, { code: "MESH_SOCKET" });
}
