// The streams of a port-forwarding client. Over SPDY (alone, or inside a WebSocket) it opens a pair for each connection;
// over a WebSocket without it, each port of the request has two channels, whose first message from us is its number.
import type { WebSocket } from "ws";
import { Channels } from "./channels.ts";
import { type ForwardStreams, portOf } from "./port-forward.ts";
import type { SpdyStream } from "./spdy/session.ts";

/** For the other stream of a pair to come. */
const PAIR_MS = 30_000;
const PAIRS_MAX = 1000;

type Take = (port: number, streams: ForwardStreams) => void;

/** Puts the streams of a session together to pairs, by the number that the client gives its connections. */
export class ForwardPairs {
  readonly #open = new Map<string, { stream: SpdyStream; late: NodeJS.Timeout }>();
  readonly #take: Take;

  constructor(take: Take) {
    this.#take = take;
  }

  take(stream: SpdyStream): void {
    const type = stream.headers.get("streamtype");
    const port = portOf(stream.headers.get("port"));
    const isData = type === "data";
    if (port === undefined || (!isData && type !== "error")) return void stream.destroy();
    // Clients of before 1.1 give no number: the data's stream is the next after the error's.
    const id = stream.headers.get("requestid") ?? String(isData ? stream.id - 2 : stream.id);
    const other = this.#open.get(id);
    if (other === undefined) {
      if (this.#open.size >= PAIRS_MAX) return void stream.destroy();
      const late = setTimeout(() => stream.destroy(), PAIR_MS).unref();
      this.#open.set(id, { stream, late });
      stream.once("close", () => {
        clearTimeout(late);
        if (this.#open.get(id)?.stream === stream) this.#open.delete(id);
      });
      return;
    }
    if ((other.stream.headers.get("streamtype") === "data") === isData) return void stream.destroy();
    clearTimeout(other.late);
    this.#open.delete(id);
    const [data, error] = isData ? [stream, other.stream] : [other.stream, stream];
    error.resume();
    this.#take(port, { input: data, output: data, error });
  }
}

/** The pair of each port. */
export function webSocketForwards(socket: WebSocket, ports: readonly number[], take: Take): void {
  const channels = new Channels(socket, false);
  for (const [i, port] of ports.entries()) {
    const number = Buffer.from([port & 0xff, port >> 8]);
    const streams = {
      input: channels.input(2 * i),
      output: channels.output(2 * i),
      error: channels.output(2 * i + 1),
    };
    streams.output.write(number);
    streams.error.write(number);
    take(port, streams);
  }
}
