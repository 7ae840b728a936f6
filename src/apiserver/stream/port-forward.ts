// Port-forwarding: each connection is a pair of streams, one for its bytes and one for what went wrong.
import type { Duplex, Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** The client's ends of one connection. */
export interface ForwardStreams {
  readonly input: Readable;
  readonly output: Writable;
  readonly error: Writable;
}

interface Forward {
  readonly pod: string;
  readonly port: number;
  connect(port: number): Promise<Duplex>;
}

/** Resolves when both directions are over. */
export async function forward({ pod, port, connect }: Forward, streams: ForwardStreams): Promise<void> {
  const { input, output, error } = streams;
  let connection: Duplex;
  try {
    connection = await connect(port);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    input.resume();
    output.end();
    error.end(`error forwarding port ${port} to pod ${pod}: ${why}`);
    return;
  }
  error.end();
  // Each direction ends by itself: whoever has sent all may still be waiting for the answer.
  await Promise.all([
    pipeline(input, connection).catch(() => connection.destroy()),
    pipeline(connection, output).catch(() => connection.destroy()),
  ]);
  connection.destroy();
}

/** A number from 1 to 65535, as text. */
export function portOf(text: string | undefined): number | undefined {
  const port = /^\d{1,5}$/.test(text ?? "") ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}
