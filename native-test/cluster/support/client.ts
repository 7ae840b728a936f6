// A client of a real API server for tests: JSON over kept connections, and one watch at a time.
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { GATEWAY_KINDS } from "../../../src/kube/gateway/gateway-kinds.ts";
import { groupOf, kindNamed } from "../../../src/kube/kinds.ts";

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests check what they read of it
  readonly body: any;
}

type Manifest = { kind: string } & Record<string, unknown>;
interface Named {
  readonly name: string;
  readonly namespace?: string;
}

export class Client {
  readonly server: string;
  readonly #agent: Agent;
  readonly #token: string;

  constructor(server: string, caFile: string, token: string) {
    this.server = server;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 32, ca: readFileSync(caFile) });
    this.#token = token;
  }

  /** What the server answers, whatever it is; throws when it does not. */
  ask(
    method: string,
    path: string,
    body?: object,
    type = "application/json",
    accept = "application/json",
  ): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      accept,
      authorization: `Bearer ${this.#token}`,
      ...(text === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(text) }),
    };
    return new Promise((resolve, reject) => {
      const made = request(`${this.server}${path}`, { method, headers, agent: this.#agent }, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("error", reject);
        response.on("end", () => {
          const answer = Buffer.concat(parts).toString();
          const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
          resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(answer) : answer });
        });
      });
      made.on("error", reject);
      made.end(text);
    });
  }

  /** The answer to a request that has to succeed. */
  // biome-ignore lint/suspicious/noExplicitAny: as Answer's body
  async done(method: string, path: string, body?: object, type?: string): Promise<any> {
    const answer = await this.ask(method, path, body, type);
    if (answer.status < 300) return answer.body;
    throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 500)}`);
  }

  /** The collection as a Table with its objects, and the times between which the server wrote it. */
  // biome-ignore lint/suspicious/noExplicitAny: as Answer's body
  async table(path: string): Promise<{ table: any; fromMs: number; toMs: number }> {
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const fromMs = Date.now();
    const { status, body } = await this.ask(
      "GET",
      `${path}?includeObject=Object`,
      undefined,
      undefined,
      accept,
    );
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body).slice(0, 500)}`);
    return { table: body, fromMs, toMs: Date.now() };
  }

  /** The object as it is given, status and all, whether it was there or not. */
  async apply(object: object): Promise<true> {
    const path = pathOf(object as Manifest);
    const query = "fieldManager=test&force=true";
    const { status, ...rest } = object as Manifest;
    await this.done("PATCH", `${path}?${query}`, rest, "application/apply-patch+yaml");
    if (status === undefined) return true;
    const { apiVersion, kind, metadata } = rest;
    const { name, namespace } = metadata as Named;
    const bare = { apiVersion, kind, metadata: { name, namespace }, status };
    await this.done("PATCH", `${path}/status?${query}`, bare, "application/apply-patch+yaml");
    return true;
  }

  async remove(object: object): Promise<void> {
    await this.done("DELETE", `${pathOf(object as Manifest)}?gracePeriodSeconds=0`);
  }

  /** The first event of a watch that begins at this version. */
  firstEvent(path: string, resourceVersion: string): Promise<{ type: string; object: { code?: number } }> {
    const url = `${this.server}${path}?watch=1&resourceVersion=${resourceVersion}&timeoutSeconds=20`;
    const headers = { accept: "application/json", authorization: `Bearer ${this.#token}` };
    return new Promise((resolve, reject) => {
      const made = request(url, { headers, agent: this.#agent }, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk.toString("latin1");
          if (!text.includes("\n")) return;
          made.destroy();
          resolve(JSON.parse(text.split("\n", 1)[0]));
        });
        response.on("end", () => reject(new Error(`watch of ${path}: no event`)));
      });
      made.on("error", reject);
      made.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Kinds that podwire does not follow, as tests need them. */
const OTHERS: Readonly<Record<string, { plural: string; namespaced: boolean }>> = {
  ServiceAccount: { plural: "serviceaccounts", namespaced: true },
  ConfigMap: { plural: "configmaps", namespaced: true },
  Secret: { plural: "secrets", namespaced: true },
  ClusterRole: { plural: "clusterroles", namespaced: false },
  ClusterRoleBinding: { plural: "clusterrolebindings", namespaced: false },
  Role: { plural: "roles", namespaced: true },
  RoleBinding: { plural: "rolebindings", namespaced: true },
  CustomResourceDefinition: { plural: "customresourcedefinitions", namespaced: false },
  ...Object.fromEntries(GATEWAY_KINDS.map((info) => [info.kind, info])),
};

/** Where the server keeps this object. */
export function pathOf(object: { kind: string }): string {
  const { apiVersion, kind, metadata } = object as Manifest;
  const { plural, namespaced } = OTHERS[kind] ?? kindNamed(kind);
  const version = String(apiVersion);
  const root = groupOf({ apiVersion: version }) === "" ? "/api" : "/apis";
  const { name, namespace = "default" } = metadata as Named;
  const inside = namespaced ? `/namespaces/${namespace}` : "";
  return `${root}/${version}${inside}/${plural}/${name}`;
}
