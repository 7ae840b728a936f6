// Objects that change while the gateway serves: how soon a changed slice is used, and whether a request fails while a
// thousand of them change. The gateway follows an API server, a stand-in in this process.
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { StandIn } from "../../testing/api-server/stand-in.ts";
import { sleep } from "../shell.ts";
import { type Paced, paced } from "./loads.ts";
import { HOST, passingIngress, pathOf, routesOf, serviceAt, sliceAt } from "./objects.ts";
import { ADDRESSES } from "./own-network.ts";
import type { Running } from "./peers.ts";

const PAUSE_MS = 20; // between two changes
const LONG_MS = 2000;
const INGRESS_EACH = 10; // changes

/** An API server with the objects, and the kubeconfig by which it is reached. */
export async function servedObjects(folder: string, routes: number, port: number) {
  const api = new StandIn();
  for (const object of [...routesOf(routes), serviceAt("web"), sliceAt("web", [ADDRESSES[0]], port)])
    api.put(object);
  const file = join(folder, "kubeconfig");
  const named = (name: string, what: object) => ({ name, ...what });
  writeFileSync(
    file,
    JSON.stringify({
      ...{ apiVersion: "v1", kind: "Config", "current-context": "bench" },
      clusters: [named("bench", { cluster: { server: `http://127.0.0.1:${await api.listen()}` } })],
      users: [named("bench", { user: {} })],
      contexts: [named("bench", { context: { cluster: "bench", user: "bench" } })],
    }),
  );
  return { api, kubeconfig: file };
}

/** One request after the other on one connection: resolves with the answer's body. */
class Asking {
  readonly #socket: Socket;
  readonly #request = `GET ${pathOf(1)} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
  #text = "";
  #done: ((body: string) => void) | undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("error", () => {}); // whoever waits then waits until its time is over
    this.#socket.on("data", (text: string) => {
      this.#text += text;
      const end = this.#text.indexOf("\r\n\r\n");
      const length = Number(/content-length: *(\d+)/i.exec(this.#text)?.[1] ?? 0);
      if (end >= 0 && this.#text.length >= end + 4 + length) this.#done?.(this.#text.slice(end + 4));
    });
  }

  ask(): Promise<string> {
    this.#text = "";
    return new Promise((resolve) => {
      this.#done = resolve;
      this.#socket.write(this.#request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/**
 * Ms from a slice's change at the API server until a request was answered by the new endpoint, so many times.
 * `ports`: where the servers behind it are, which say so.
 */
export async function untilUsed(
  gateway: Running,
  api: StandIn,
  ports: readonly number[],
  times: number,
): Promise<number[]> {
  const asking = new Asking(gateway.port);
  const took: number[] = [];
  for (let i = 1; i <= times; i++) {
    const port = ports[i % ports.length];
    const start = performance.now();
    api.put(sliceAt("web", [ADDRESSES[0]], port));
    while (!(await asking.ask()).includes(` ${port}\n`))
      if (performance.now() - start > LONG_MS)
        throw new Error(`port ${port} is not used after ${LONG_MS} ms`);
    took.push(performance.now() - start);
    await sleep(PAUSE_MS);
  }
  asking.close();
  return took;
}

/**
 * Endpoints come and go, one of two at a time, and each tenth change is a rule's, while somebody asks at a constant
 * rate.
 */
export async function changedUnderLoad(
  gateway: Running,
  api: StandIn,
  port: number,
  load: {
    readonly program: string;
    readonly perSec: number;
    readonly changes: number;
    readonly seconds: number;
  },
): Promise<Paced> {
  const { program, perSec, changes, seconds } = load;
  const asked = paced(program, { port: gateway.port, path: pathOf(1), seconds: seconds + 1, perSec });
  const start = performance.now();
  for (let i = 1; i <= changes; i++) {
    const [one, other] = [ADDRESSES[i % ADDRESSES.length], ADDRESSES[(i + 1) % ADDRESSES.length]];
    if (i % INGRESS_EACH !== 0) api.put(sliceAt("web", [one, other], port));
    else if (i % (2 * INGRESS_EACH) === 0) api.delete(passingIngress());
    else api.put(passingIngress());
    await sleep(Math.max(0, start + (i * seconds * 1000) / changes - performance.now()));
  }
  return asked;
}
