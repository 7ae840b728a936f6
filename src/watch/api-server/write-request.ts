/** One request, and what became of it. */
import type { ApiConnection, Asked } from "./connection.ts";
import { statusOf } from "./received.ts";

const ANSWER_MS = 30_000;
/** Of an answer more is not looked at. */
const ANSWER_MAX = 65_536;

export interface Refusal {
  /** 0: the server could not be asked, or did not answer. */
  readonly status: number;
  readonly why: string;
}

/** undefined: it is written. */
export async function writeOnce(connection: ApiConnection, asked: Asked): Promise<Refusal | undefined> {
  const answer = await askOnce(connection, asked);
  return "body" in answer ? undefined : answer;
}

/** `body`: what the server answered, as JSON; undefined: nothing that is JSON. */
export function askOnce(
  connection: ApiConnection,
  asked: Asked,
  mostMs = ANSWER_MS,
): Promise<{ readonly body: unknown } | Refusal> {
  return new Promise((resolve) => {
    let status = 0;
    const parts: Uint8Array[] = [];
    let length = 0;
    const patience = setTimeout(() => {
      call.close();
      resolve({ status: 0, why: "no answer" });
    }, mostMs);
    patience.unref();
    const call = connection.send(asked, {
      status: (code) => void (status = code),
      data: (chunk) => {
        if (length < ANSWER_MAX) parts.push(chunk);
        length += chunk.length;
      },
      end: (error) => {
        clearTimeout(patience);
        const isDone = status >= 200 && status < 300;
        const text = Buffer.concat(parts).toString();
        resolve(
          isDone
            ? { body: bodyOf(text) }
            : { status, why: error ?? statusOf(text).message ?? `status ${status}` },
        );
      },
    });
  });
}

function bodyOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
