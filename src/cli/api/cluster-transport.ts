// An API server as a kubeconfig names it: certificates, tokens, plug-ins and several addresses as the agent has them.
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { ApiConnection } from "../../watch/api-server/connection.ts";
import { readAccess } from "../../watch/api-server/kubeconfig.ts";
import { CliError, Exit, usageError } from "../errors.ts";
import { HandOver } from "./hand-over.ts";
import type { ApiRequest, ApiResponse, Transport, Upgrade } from "./transport.ts";

export interface ClusterFlags {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

/** The file of --kubeconfig, else $KUBECONFIG, else kubectl's own. */
export function clusterTransport({ kubeconfig, context }: ClusterFlags): Transport {
  const own = join(homedir(), ".kube", "config");
  const file = kubeconfig ?? (process.env.KUBECONFIG || (existsSync(own) ? own : undefined));
  if (file === undefined)
    throw usageError(`--context ${context}: of which kubeconfig? --kubeconfig FILE names one`);
  return new ClusterTransport(new ApiConnection(readAccess({ kubeconfig: file, context })));
}

class ClusterTransport implements Transport {
  readonly #connection: ApiConnection;

  constructor(connection: ApiConnection) {
    this.#connection = connection;
  }

  get label(): string {
    return this.#connection.server;
  }

  async upgrade(path: string): Promise<Upgrade> {
    const { url, ...how } = await this.#connection.upgrade(path);
    return { url: url.href.replace(/^http/, "ws"), ...how };
  }

  send({ method, path, body, contentType, accept }: ApiRequest): Promise<ApiResponse> {
    const asked = {
      ...{ method, path },
      ...(body === undefined ? {} : { text: body }),
      ...(contentType === undefined ? {} : { type: contentType }),
      ...(accept === undefined ? {} : { accept }),
    };
    return new Promise((resolve, reject) => {
      const chunks = new HandOver<Uint8Array>();
      let isAnswered = false;
      const call = this.#connection.send(asked, {
        status: (code, _, warning = "") => {
          isAnswered = true;
          resolve({ code, warning, body: chunks, close: () => call.close() });
        },
        data: (chunk) => chunks.push(chunk),
        end: (error) => {
          const failure =
            error === undefined ? undefined : new CliError(error, Exit.FAILED, "CLI_NOT_RUNNING");
          if (failure !== undefined && !isAnswered) reject(failure);
          chunks.end(failure);
        },
      });
    });
  }
}
