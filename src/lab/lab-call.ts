// Calls to a lab's process from beside it (`lab up`, `lab down`, `lab status`): HTTP with JSON on its unix socket.
import { request } from "node:http";
import { LabError } from "./errors.ts";
import type { LabPaths } from "./state-dir.ts";

export interface LabCall {
  method?: "GET" | "POST";
  path: string;
  body?: unknown;
  timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;

/** The answer's JSON; a refusal is a LabError with the lab's own words and exit status. */
export function labCall<T>(paths: LabPaths, call: LabCall): Promise<T> {
  return new Promise((resolve, reject) => {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const outgoing = request(
      {
        socketPath: paths.socket,
        path: call.path,
        method: call.method ?? "GET",
        agent: false,
        timeout: call.timeoutMs ?? TIMEOUT_MS,
        headers: body === undefined ? {} : { "content-length": Buffer.byteLength(body) },
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("error", reject);
        response.on("end", () => {
          const data = answerOf<T>(text);
          if (data === undefined)
            reject(new LabError("LAB_ANSWER", `lab process (${paths.socket}): no answer of a lab`));
          else if (response.statusCode === 200) resolve(data);
          else reject(new LabError(data.code ?? "LAB", data.error ?? text, { exitCode: data.exitCode ?? 1 }));
        });
      },
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in time")));
    outgoing.on("error", (cause) => {
      reject(new LabError("LAB_NOT_RUNNING", `lab process (${paths.socket}): ${cause.message}`, { cause }));
    });
    outgoing.end(body);
  });
}

function answerOf<T>(text: string): (T & { error?: string; code?: string; exitCode?: number }) | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
