// Which Service a connection was opened to: the node's agent is asked at its socket, for it has translated the address.
// Where it does not know, or not soon, the connection goes on without.
import { Agent, get } from "node:http";
import { formatIp } from "../base/ip.ts";
import type { Place } from "./hbone/connect-head.ts";

const WITHIN_MS = 1000;
const BYTES_MAX = 4096;
const SOCKETS_MAX = 4; // kept; questions beyond wait their turn

interface Answer {
  readonly service?: { readonly namespace: string; readonly name: string };
}

export class Origins {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** "namespace/name"; undefined: nobody knows. */
  serviceOf(client: Place, to: Place): Promise<string | undefined> {
    const from = { src: formatIp(client.ip), sport: String(client.port) };
    const query = new URLSearchParams({ ...from, dst: formatIp(to.ip), dport: String(to.port) });
    return new Promise((resolve) => {
      const request = get(
        {
          socketPath: this.#socketPath,
          path: `/mesh/origin?${query}`,
          agent: this.#agent,
          timeout: WITHIN_MS,
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => {
            if (text.length <= BYTES_MAX) text += chunk;
          });
          response.on("end", () => resolve(response.statusCode === 200 ? readService(text) : undefined));
          response.on("error", () => resolve(undefined));
        },
      );
      request.on("timeout", () => request.destroy());
      request.on("error", () => resolve(undefined));
      request.on("close", () => resolve(undefined));
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function readService(text: string): string | undefined {
  try {
    const { service } = JSON.parse(text) as Answer;
    return service && `${service.namespace}/${service.name}`;
  } catch {
    return undefined;
  }
}
