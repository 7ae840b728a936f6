/** One request that writes, and what became of it. */
import type { ApiConnection, Asked } from "./connection.ts";
import { statusOf } from "./received.ts";

const ANSWER_MS = 30_000;
/** Of an answer more is not looked at. */
const REFUSAL_MAX = 65_536;

export interface Refusal {
  /** 0: the server could not be asked, or did not answer. */
  readonly status: number;
  readonly why: string;
}

/** undefined: it is written. */
export function writeOnce(connection: ApiConnection, asked: Asked): Promise<Refusal | undefined> {
  return new Promise((resolve) => {
    let status = 0;
    let text = "";
    const patience = setTimeout(() => {
      call.close();
      resolve({ status: 0, why: "no answer" });
    }, ANSWER_MS);
    patience.unref();
    const call = connection.send(asked, {
      status: (code) => void (status = code),
      data: (chunk) => {
        if (text.length < REFUSAL_MAX) text += Buffer.from(chunk).toString("latin1");
      },
      end: (error) => {
        clearTimeout(patience);
        const isWritten = status >= 200 && status < 300;
        resolve(
          isWritten ? undefined : { status, why: error ?? statusOf(text).message ?? `status ${status}` },
        );
      },
    });
  });
}
