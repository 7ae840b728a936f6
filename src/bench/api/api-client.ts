// Requests to a lab's Kubernetes API over connections that stay, with the certificate of its kubeconfig.
import { Agent, type RequestOptions, request } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";

export interface Answer {
  status: number;
  text: string;
}

export class ApiClient {
  readonly #agent: Agent;
  readonly #options: RequestOptions;

  private constructor(options: RequestOptions, connections: number) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  static async of(kubeconfig: string, connections: number): Promise<ApiClient> {
    const config = new KubeConfig();
    config.loadFromString(kubeconfig);
    const { hostname, port } = new URL(config.getCurrentCluster()?.server ?? "");
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    return new ApiClient({ ...options, hostname, port }, connections);
  }

  /** Resolves with what was answered, whatever it is; throws where the connection breaks. */
  send(method: string, path: string, body?: unknown, type = "application/json"): Promise<Answer> {
    const text = body === undefined ? "" : JSON.stringify(body);
    const headers = { "content-type": type, "content-length": Buffer.byteLength(text) };
    return new Promise((resolve, reject) => {
      const call = request({ ...this.#options, agent: this.#agent, method, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
        );
      });
      call.on("error", reject).end(text);
    });
  }

  /** What must succeed. */
  async call(method: string, path: string, body?: unknown, type?: string): Promise<string> {
    const { status, text } = await this.send(method, path, body, type);
    if (status < 300) return text;
    throw new Error(`${method} ${path}: ${status}: ${text.slice(0, 200)}`);
  }

  close(): void {
    this.#agent.destroy();
  }
}
