// HTTP over a unix socket: to the lab process and to the agents. JSON answers, and streams for capture and trace.
import { request as httpRequest, type IncomingMessage } from "node:http";
import { CliError, Exit } from "./errors.ts";

export interface Call {
  method?: "GET" | "POST" | "DELETE";
  path: string;
  body?: unknown;
  /** Whole-answer limit; none for streams. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 30_000;

/** The answer's JSON. An answer that is not 2xx becomes a CliError with the server's own message and exit status. */
export async function callJson<T>(socketPath: string, who: string, call: Call): Promise<T> {
  const response = await open(socketPath, who, { timeoutMs: TIMEOUT_MS, ...call });
  const text = await bodyText(response);
  if (response.statusCode !== undefined && response.statusCode < 300) {
    try {
      return (text === "" ? {} : JSON.parse(text)) as T;
    } catch {
      throw strangeAnswer(who, socketPath);
    }
  }
  throw serverError(who, response.statusCode ?? 0, text);
}

/** Somebody answered who is not podwire, or one of another version. */
export function strangeAnswer(who: string, socketPath: string): CliError {
  const what = `${who}: what answers at ${socketPath} is not podwire, or another version of it`;
  return new CliError(what, Exit.FAILED, "CLI_STRANGE");
}

/** The answer as a stream; errors as in callJson. Destroy it to end the call. */
export async function callStream(socketPath: string, who: string, call: Call): Promise<IncomingMessage> {
  const response = await open(socketPath, who, call);
  if (response.statusCode !== undefined && response.statusCode < 300) return response;
  throw serverError(who, response.statusCode ?? 0, await bodyText(response));
}

function open(socketPath: string, who: string, call: Call): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const headers =
      body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const request = httpRequest(
      { socketPath, path: call.path, method: call.method ?? "GET", headers, agent: false },
      resolve,
    );
    if (call.timeoutMs !== undefined) {
      request.setTimeout(call.timeoutMs, () =>
        request.destroy(new Error(`no answer in ${call.timeoutMs} ms`)),
      );
    }
    request.on("error", (error: NodeJS.ErrnoException) => reject(connectError(who, socketPath, error)));
    request.end(body);
  });
}

/** Why whoever listens at a socket cannot be asked. */
export function connectError(who: string, socketPath: string, error: NodeJS.ErrnoException): CliError {
  if (error.code === "ENOENT" || error.code === "ECONNREFUSED") {
    return new CliError(`${who} is not running (${socketPath})`, Exit.FAILED, "CLI_NOT_RUNNING", error);
  }
  if (error.code === "EACCES") {
    return new CliError(
      `${who}: ${socketPath}: permission denied: run as root`,
      Exit.FAILED,
      "CLI_DENIED",
      error,
    );
  }
  if (error.code?.startsWith("HPE_")) return strangeAnswer(who, socketPath); // llhttp: it is no HTTP
  if (error.code === "EPIPE" || error.code === "ECONNRESET") {
    const what = `${who}: the connection was closed without an answer`;
    return new CliError(what, Exit.FAILED, "CLI_CALL", error);
  }
  return new CliError(`${who}: ${error.message}`, Exit.FAILED, "CLI_CALL", error);
}

async function bodyText(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of response) text += chunk;
  return text;
}

/** Servers answer errors as {"error", "code"?, "exitCode"?}. */
function serverError(who: string, status: number, text: string): CliError {
  try {
    const { error, code, exitCode } = JSON.parse(text) as {
      error?: string;
      code?: string;
      exitCode?: number;
    };
    if (typeof error === "string") return new CliError(error, exitCode ?? Exit.FAILED, code ?? "CLI_SERVER");
  } catch {
    // not JSON: below
  }
  return new CliError(`${who}: HTTP ${status}: ${text.slice(0, 200)}`, Exit.FAILED, "CLI_SERVER");
}
