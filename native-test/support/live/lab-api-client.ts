// A caller of a lab's Kubernetes API by a kubeconfig of its, on one connection that is kept.
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { createInterface } from "node:readline";
import { groupOf, kindFromWord } from "../../../src/kube/kinds.ts";

interface Kubeconfig {
  readonly clusters: readonly {
    readonly cluster: { readonly server: string; readonly "certificate-authority-data": string };
  }[];
  readonly users: readonly { readonly user: Readonly<Record<string, string>> }[];
}

const decoded = (text: string | undefined): Buffer | undefined =>
  text === undefined ? undefined : Buffer.from(text, "base64");

/** Of a kind's objects, or of one. `word`: any of kubectl's for the kind. */
export function pathOf(
  word: string,
  { namespace, name }: { namespace?: string; name?: string } = {},
): string {
  const info = kindFromWord(word);
  if (info === undefined) throw new Error(`no kind ${word}`);
  const root = groupOf(info) === "" ? `/api/${info.apiVersion}` : `/apis/${info.apiVersion}`;
  const within = info.namespaced && namespace !== undefined ? `/namespaces/${namespace}` : "";
  return `${root}${within}/${info.plural}${name === undefined ? "" : `/${name}`}`;
}

export class LabApiClient {
  readonly server: string;
  readonly #agent: Agent;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(kubeconfig: string) {
    const { clusters, users } = JSON.parse(readFileSync(kubeconfig, "utf8")) as Kubeconfig;
    const [{ cluster }, { user }] = [clusters[0], users[0]];
    this.server = cluster.server;
    this.#headers = user.token === undefined ? {} : { authorization: `Bearer ${user.token}` };
    this.#agent = new Agent({
      ...{ keepAlive: true, maxSockets: 1, ca: decoded(cluster["certificate-authority-data"]) },
      cert: decoded(user["client-certificate-data"]),
      key: decoded(user["client-key-data"]),
    });
  }

  /** The answer's JSON; anything but success throws. */
  call<T>(method: string, path: string, body?: object): Promise<T> {
    const type = method === "PATCH" ? "application/strategic-merge-patch+json" : "application/json";
    const text = body === undefined ? "" : JSON.stringify(body);
    const length = { "content-length": Buffer.byteLength(text) }; // of a DELETE Node says none
    const headers = { ...this.#headers, "content-type": type, ...length };
    return new Promise((resolve, reject) => {
      const asked = request(`${this.server}${path}`, { method, headers, agent: this.#agent }, (response) => {
        let answer = "";
        response.setEncoding("utf8").on("data", (part: string) => (answer += part));
        response.on("end", () => {
          if ((response.statusCode ?? 500) < 300) resolve(JSON.parse(answer) as T);
          else reject(new Error(`${method} ${path}: ${response.statusCode}: ${answer}`));
        });
      });
      asked.on("error", reject);
      asked.end(text);
    });
  }

  /** Follows what changes from now on, on this caller's connection alone; resolves when it does. */
  watch(path: string, onEvent: (event: { type: string; object: unknown }) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const query = `${path}?watch=1`;
      const asked = request(`${this.server}${query}`, { headers: this.#headers, agent: this.#agent });
      asked.on("error", reject); // or it is closed, and nobody listens any more
      asked.on("response", (response) => {
        if (response.statusCode !== 200) reject(new Error(`GET ${query}: ${response.statusCode}`));
        const lines = createInterface({ input: response });
        for (const each of [response, lines]) each.on("error", () => {}); // it is closed
        lines.on("line", (line) => onEvent(JSON.parse(line)));
        resolve();
      });
      asked.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
