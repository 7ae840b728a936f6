// Backends and clients of streams for tests, on loopback; a decision that leads to endpoints without any objects.
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { ConnectionDecision } from "../../l7/connection.ts";
import type { BackendTls, Choice } from "../../l7/decision.ts";

/** Of one backend; each share's endpoints. */
export function streamTo(
  ...shares: (readonly [share: number, endpoints: readonly string[], tls?: BackendTls])[]
): ConnectionDecision {
  const choices = shares.map(([share, endpoints, tls], i): Choice => {
    const backend = { name: `shop/b${i}:80`, endpoints, appProtocol: "", portName: "", clusterAddress: "" };
    return { share, backend, ...(tls !== undefined && { tls }) };
  });
  return {
    listener: "Gateway shop/gw listener l",
    rule: "TCPRoute shop/r rules[0]",
    action: { kind: "stream", choices },
    reason: "",
  };
}

export class StreamWorld {
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  /** "127.0.0.1:port" of a server that does so with each connection. */
  async serve(take: (socket: Socket) => void, isPaused = false): Promise<string> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: isPaused }, (socket) => {
      this.#keep(socket);
      take(socket);
    });
    this.#servers.push(server);
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Sends back what it gets, behind its name. */
  echo(name: string): Promise<string> {
    return this.serve((socket) => {
      socket.write(name);
      socket.pipe(socket);
    });
  }

  /** Connected, or reset already. */
  async client(endpoint: string): Promise<Socket> {
    const socket = connect({ port: Number(endpoint.split(":")[1]), host: "127.0.0.1", allowHalfOpen: true });
    this.#keep(socket);
    await new Promise<void>((done) => {
      for (const event of ["connect", "close"]) socket.once(event, done);
    });
    return socket;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((done) => server.close(done))));
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
  }
}

/** All that comes until the end, or until the connection breaks. */
export function allOf(socket: Socket): Promise<string> {
  if (socket.destroyed) return Promise.resolve("");
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
    });
    for (const event of ["end", "close"]) socket.once(event, () => resolve(text));
  });
}
