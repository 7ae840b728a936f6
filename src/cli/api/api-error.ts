// What an API server refuses, as kubectl says it: one line, "Error from server (NotFound): pods "a" not found".
import type { IncomingMessage } from "node:http";
import type { Status } from "../../apiserver/status.ts";
import { CliError, Exit } from "../errors.ts";

export class ApiError extends CliError {
  readonly status: Status;

  constructor(status: Status) {
    super(messageOf(status), Exit.FAILED, codeOf(status));
    this.status = status;
  }

  /** Nothing is served at the path: the kind is not there, or has no such subresource. */
  get isNoPath(): boolean {
    return this.status.code === 404 && this.status.details?.name === undefined;
  }
}

/** Of an answer that is none of success: a Status, or whatever stands between us and the server said. */
export function apiError(code: number, text: string): ApiError {
  const status = statusOf(text);
  return new ApiError({ ...(status ?? plainStatus(code, text)), code: status?.code ?? code });
}

export function statusOf(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Partial<Status> | null;
    return value?.kind === "Status" ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}

const SHOWN_MAX = 200;

function plainStatus(code: number, text: string): Status {
  const line = text.trim().split("\n", 1)[0].slice(0, SHOWN_MAX);
  const message = `HTTP ${code}${line === "" ? "" : `: ${line}`}`;
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message };
}

function messageOf({ reason, message = "" }: Status): string {
  if (reason === "Unauthorized")
    return "You must be logged in to the server (Unauthorized): look at the user of the kubeconfig";
  const text = message.replaceAll(/\s*\n\s*/g, " ");
  return `Error from server${reason === undefined || reason === "" ? "" : ` (${reason})`}: ${text}`;
}

const CODES: Readonly<Record<string, string>> = {
  NotFound: "NOT_FOUND",
  AlreadyExists: "ALREADY_EXISTS",
  Conflict: "CONFLICT",
  Expired: "EXPIRED",
  Gone: "EXPIRED",
};

function codeOf({ reason = "", code }: Status): string {
  return CODES[reason] ?? (code === 410 ? "EXPIRED" : "API_REFUSED");
}

/** Of a request that was to become something else. */
export async function refusal(response: IncomingMessage): Promise<Error> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return apiError(response.statusCode ?? 0, Buffer.concat(chunks).toString("utf8"));
}
