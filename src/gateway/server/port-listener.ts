// One open port: connections are taken, by TLS or not, by HTTP/1.1 or HTTP/2, and counted. Who has another use for a raw
// connection (TLS that is passed through, TCP routes, a PROXY header) takes it before anything is read of it (../l4).
import { createServer, type Server, type Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { formatIp, parseIp } from "../../base/ip.ts";
import type { Begun } from "../l4/tcp-front.ts";
import { asLent } from "../lent-socket.ts";
import type { Door, Port } from "./door.ts";
import { Http1Connection } from "./http1-connection.ts";
import type { Peer } from "./http1-request.ts";
import { Http2Connection } from "./http2-connection.ts";
import { openPlain } from "./plain-connection.ts";

const V4_MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

export interface Secrets {
  /** By the name that TLS asks for; null: there is nothing to show, and no handshake. */
  contextFor(port: Port, sni: string): SecureContext | null;
}

export class PortListener {
  /** As it is now: Gateways may come to a port that is open, and go. */
  port: Port;
  readonly #server: Server;
  readonly #door: Door;
  readonly #secrets: Secrets;
  readonly #connections = new Set<{ drain(): void }>();
  readonly #sockets = new Set<Socket>();
  readonly #front: ReturnType<Door["streams"]["front"]>;

  constructor(port: Port, door: Door, secrets: Secrets) {
    this.port = port;
    this.#door = door;
    this.#secrets = secrets;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
    this.#front = door.streams.front(
      () => this.port,
      (socket, begun) => this.#begun(socket, begun),
    );
    this.#server.maxConnections = door.limits.connections;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Rejects where the address cannot be had. */
  listen(address: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      const options = {
        port: this.port.number,
        host: address,
        ipv6Only: address.includes(":"),
        backlog: 4096,
      };
      this.#server.listen(options, () => {
        this.#server.off("error", reject);
        this.#server.on("error", () => {}); // of one connection that could not be taken
        resolve();
      });
    });
  }

  /** No new connections; those that are idle end. */
  drain(): void {
    this.#server.close();
    for (const each of this.#connections) each.drain();
  }

  /** Whatever is still open ends. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(accepted: Socket): void {
    const isFronts = this.#door.streams.isNeeded(this.port);
    const socket = isFronts || this.port.isTls ? accepted : asLent(accepted);
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    if (isFronts) this.#front.accept(socket);
    else if (this.port.isTls) this.#secure(socket, peerOf(socket));
    else this.#plain(socket, peerOf(socket));
  }

  #plain(socket: Socket, peer: Peer): void {
    openPlain(socket, peer, this.port, this.#door, this.#connections);
  }

  #secure(socket: Socket, peer: Peer): void {
    const tls = new TLSSocket(socket, {
      isServer: true,
      ALPNProtocols: ["h2", "http/1.1"],
      SNICallback: (name, done) => {
        const context = this.#secrets.contextFor(this.port, name);
        if (context === null) done(new Error("no listener is for this name"));
        else done(null, context);
      },
      ...({ secureContext: this.#secrets.contextFor(this.port, "") ?? undefined } as object),
    });
    const timer = setTimeout(() => tls.destroy(), this.#door.limits.headerSec * 1000);
    tls.on("error", () => tls.destroy());
    // Node leaves what goes wrong in TLS after the handshake to whoever has made the socket.
    tls.on("_tlsError", () => tls.destroy());
    tls.on("close", () => clearTimeout(timer));
    tls.once("secure", () => {
      clearTimeout(timer);
      // Not of SNICallback: a session that is taken up again has its name, too, and asks for no certificate.
      const sni = tls.servername || "";
      if (this.#secrets.contextFor(this.port, sni) === null) {
        tls.destroy();
        return;
      }
      Object.assign(tls, { secureConnecting: false }); // as a server of Node's does, and as HTTP/2 waits for
      this.#secured(tls, { ...peer, sni });
    });
  }

  #secured(tls: TLSSocket, peer: Peer): void {
    const connection =
      tls.alpnProtocol === "h2"
        ? new Http2Connection(tls, peer, this.port, this.#door)
        : new Http1Connection(tls, peer, this.port, this.#door);
    this.#keep(connection, tls);
  }

  /** What is known of it, and its TLS, are there already. */
  #begun(socket: Socket, { client, hello }: Begun): void {
    const peer = { ip: client.address, text: formatIp(client.address), sni: hello?.sni };
    if (hello === undefined) this.#plain(socket, peer);
    else this.#secured(socket as TLSSocket, peer);
  }

  #keep(connection: { drain(): void }, socket: Socket): void {
    this.#connections.add(connection);
    socket.on("close", () => this.#connections.delete(connection));
  }
}

function peerOf(socket: Socket): Peer {
  const given = socket.remoteAddress ?? "";
  const ip = parseIp(V4_MAPPED.exec(given)?.[1] ?? given.split("%", 1)[0]) ?? undefined;
  return { ip, text: ip === undefined ? "" : formatIp(ip), sni: undefined };
}
