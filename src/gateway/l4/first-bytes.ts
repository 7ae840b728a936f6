// What a client sends first, looked at before anybody answers: its PROXY header, its ClientHello. What is not used up is
// put back, so that whoever comes next reads the connection from its start.
import type { Socket } from "node:net";

/** What was found, and how many of the bytes are used up; undefined: more has to come. */
export type Look<T> = (
  chunk: Buffer,
  all: () => Buffer,
) => { readonly value: T; readonly used: number } | undefined;

/** Undefined: the client ended, or `ms` went by, before there was enough. The socket is paused afterwards. */
export function lookFirst<T>(socket: Socket, ms: number, look: Look<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const all = (): Buffer => {
      if (chunks.length > 1) chunks.splice(0, chunks.length, Buffer.concat(chunks));
      return chunks[0] ?? Buffer.alloc(0);
    };
    const timer = setTimeout(() => finish(undefined), ms);
    const finish = (value: T | undefined): void => {
      clearTimeout(timer);
      socket.off("readable", onReadable);
      for (const event of ["end", "close", "error"]) socket.off(event, onEnd);
      resolve(value);
    };
    const onEnd = (): void => finish(undefined);
    const onReadable = (): void => {
      for (
        let chunk = socket.read() as Buffer | null;
        chunk !== null;
        chunk = socket.read() as Buffer | null
      ) {
        chunks.push(chunk);
        const found = look(chunk, all);
        if (found === undefined) continue;
        const rest = all().subarray(found.used);
        if (rest.length > 0) socket.unshift(rest); // in the same tick: a stream that has ended takes nothing back
        finish(found.value);
        return;
      }
    };
    for (const event of ["end", "close", "error"]) socket.once(event, onEnd);
    socket.on("readable", onReadable);
  });
}
