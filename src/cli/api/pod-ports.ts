// Connections to ports of a pod by the API: one WebSocket that carries SPDY (SPDY/3.1+portforward.k8s.io, of servers
// since 1.31), and in it a pair of streams for each connection: its bytes, and what went wrong. So each direction ends by
// itself.
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { createWebSocketStream, WebSocket } from "ws";
import { SpdySession } from "../../apiserver/stream/spdy/session.ts";
import { CliError } from "../errors.ts";
import { type ApiClient, type Place, pathOf } from "./api-client.ts";
import { refusal } from "./api-error.ts";

const TUNNEL = "SPDY/3.1+portforward.k8s.io";
/** For the server to answer at all. */
const HANDSHAKE_MS = 30_000;

export interface PodConnection {
  readonly stream: Duplex;
  /** Why it leads nowhere; undefined: it was over in order. */
  readonly problem: Promise<string | undefined>;
}

export class PodPorts {
  readonly #session: SpdySession;
  #made = 0;

  private constructor(session: SpdySession) {
    this.#session = session;
  }

  /** `place`: the pod. Throws an ApiError or a CliError where the server does not lead there. */
  static async open(api: ApiClient, place: Place): Promise<PodPorts> {
    const { url, headers, ...how } = await api.upgrade(pathOf({ ...place, subresource: "portforward" }));
    // "SPDY/3.1+…" is no name by RFC 6455, and ws takes none such: it hears nothing of subprotocols.
    const asked = { ...headers, "sec-websocket-protocol": TUNNEL };
    const socket = new WebSocket(url, { ...how, headers: asked, handshakeTimeout: HANDSHAKE_MS });
    let protocol: string | undefined;
    socket.on("upgrade", (response: IncomingMessage) => {
      protocol = response.headers["sec-websocket-protocol"];
      delete response.headers["sec-websocket-protocol"];
    });
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.on("unexpected-response", (_request, response) => {
        void refusal(response).then((why) => {
          reject(why);
          socket.terminate();
        });
      });
      socket.on("error", (error) => reject(new CliError(`${api.label}: ${error.message}`)));
    });
    if (protocol !== TUNNEL) {
      socket.terminate();
      throw new CliError(`${api.label}: it forwards no ports by WebSocket: Kubernetes does since 1.31`);
    }
    return new PodPorts(new SpdySession(createWebSocketStream(socket), (stream) => stream.destroy()));
  }

  connect(port: number): PodConnection {
    const head = { port: String(port), requestid: String(this.#made++) };
    const error = this.#session.open({ streamtype: "error", ...head });
    error.end();
    const stream = this.#session.open({ streamtype: "data", ...head });
    const problem = text(error).then(
      (said) => {
        if (said !== "") stream.destroy();
        return said === "" ? undefined : said.trim();
      },
      () => undefined, // the connection was cut: onLost
    );
    return { stream, problem };
  }

  /** When nothing leads to the pod any more. */
  onLost(call: () => void): void {
    this.#session.onClose(call);
  }

  close(): void {
    this.#session.destroy();
  }
}
