// How requests get to an API server: by a lab's Unix socket, or as a kubeconfig says (cluster-transport.ts).
import { Agent, type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";
import { connectError } from "../client.ts";

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly accept?: string;
}

export interface ApiResponse {
  readonly code: number;
  /** Of the header, as it came. */
  readonly warning: string;
  /** Throws a CliError where the connection is cut. */
  readonly body: AsyncIterable<Uint8Array>;
  close(): void;
}

/** Where a WebSocket is opened, and how. */
export interface Upgrade {
  /** ws:, wss:, or of a socket of this machine ws+unix: with the path of the socket and that of the request. */
  readonly url: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly agent?: Agent;
}

export interface Transport {
  /** As messages call the server: "lab default", "https://192.168.1.10:6443". */
  readonly label: string;
  /** Throws a CliError where the server cannot be asked. */
  send(request: ApiRequest): Promise<ApiResponse>;
  /** Throws where credentials cannot be read. */
  upgrade(path: string): Promise<Upgrade>;
}

const HANDLED_MS = 60_000;

function headersOf({ body, contentType, accept = "application/json" }: ApiRequest) {
  return {
    ...{ accept, "user-agent": "podwire" },
    ...(body === undefined
      ? {}
      : { "content-type": contentType ?? "application/json", "content-length": Buffer.byteLength(body) }),
  };
}

/** Over a Unix socket, whose connections are kept: a command asks more than once. */
export class SocketTransport implements Transport {
  readonly label: string;
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(label: string, socketPath: string) {
    this.label = label;
    this.#socketPath = socketPath;
  }

  send(asked: ApiRequest): Promise<ApiResponse> {
    const { method, path, body } = asked;
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void =>
        reject(connectError(this.label, this.#socketPath, error));
      const headers = headersOf(asked);
      const where = { socketPath: this.#socketPath, agent: this.#agent };
      const made = request({ ...where, path, method, headers }, (response) => {
        made.setTimeout(0); // how long a watch is silent is its own affair
        resolve(this.#answer(response));
      });
      made.setTimeout(HANDLED_MS, () => made.destroy(new Error(`no answer in ${HANDLED_MS / 1000} s`)));
      made.on("error", fail);
      made.end(body);
    });
  }

  async upgrade(path: string): Promise<Upgrade> {
    return { url: `ws+unix:${this.#socketPath}:${path}` };
  }

  #answer(response: IncomingMessage): ApiResponse {
    const code = response.statusCode ?? 0;
    const warning = String(response.headers.warning ?? "");
    const body = this.#bytes(response);
    return { code, warning, body, close: () => void response.destroy() };
  }

  async *#bytes(response: IncomingMessage): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of response as AsyncIterable<Uint8Array>) yield chunk;
    } catch (error) {
      throw connectError(this.label, this.#socketPath, error as NodeJS.ErrnoException);
    }
  }
}
