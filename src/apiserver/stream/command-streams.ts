// exec's and attach's streams: over SPDY, a stream for each, named by a header; over a WebSocket, channels 0 to 4.
import type { WebSocket } from "ws";
import { Channels, V5 } from "./channels.ts";
import type { ProgramIo } from "./pod-programs.ts";
import type { CommandStreams } from "./remote-command.ts";
import type { SpdySession, SpdyStream } from "./spdy/session.ts";

/** Of SPDY, the best first. The first version has no half-closed input, the first two no sizes. */
export const COMMAND_PROTOCOLS: readonly string[] = [
  "v4.channel.k8s.io",
  "v3.channel.k8s.io",
  "v2.channel.k8s.io",
  "channel.k8s.io",
];
const WITH_SIZES = COMMAND_PROTOCOLS.slice(0, 2);
/** For the client to open all its streams. */
const STREAMS_MS = 30_000;
/** For the client to read what was sent last. */
const LAST_MS = 10_000;

const Channel = Object.freeze({ STDIN: 0, STDOUT: 1, STDERR: 2, ERROR: 3, RESIZE: 4 } as const);

/** Takes the streams of a session as they are opened; `ready` once when all that were asked for are there. */
export class SpdyCommand {
  readonly #wanted: readonly string[];
  readonly #protocol: string;
  readonly #streams = new Map<string, SpdyStream>();
  readonly #ready: (streams: CommandStreams) => void;
  readonly #late: NodeJS.Timeout;
  #session: SpdySession | undefined;

  constructor(io: ProgramIo, protocol: string, ready: (streams: CommandStreams) => void) {
    this.#protocol = protocol;
    this.#ready = ready;
    this.#wanted = [
      "error",
      ...(["stdin", "stdout", "stderr"] as const).filter((name) => io[name]),
      ...(io.tty && WITH_SIZES.includes(protocol) ? ["resize"] : []),
    ];
    this.#late = setTimeout(() => this.#session?.destroy(), STREAMS_MS).unref();
  }

  /** Of this session. */
  begin(session: SpdySession): void {
    this.#session = session;
    session.onClose(() => clearTimeout(this.#late));
  }

  take(stream: SpdyStream): void {
    const type = stream.headers.get("streamtype") ?? "";
    if (!this.#wanted.includes(type) || this.#streams.has(type)) return void stream.destroy();
    this.#streams.set(type, stream);
    if (type !== "stdin" && type !== "resize") stream.resume(); // nothing is to come from there
    if (this.#streams.size < this.#wanted.length || this.#session === undefined) return;
    clearTimeout(this.#late);
    const session = this.#session;
    const of = (name: string): SpdyStream | undefined => this.#streams.get(name);
    this.#ready({
      stdin: of("stdin"),
      stdout: of("stdout"),
      stderr: of("stderr"),
      resize: of("resize"),
      error: of("error") as SpdyStream,
      isStatus: this.#protocol === COMMAND_PROTOCOLS[0],
      onClose: (call) => session.onClose(call),
      end: () => session.end(LAST_MS),
    });
  }
}

export function webSocketStreams(socket: WebSocket, io: ProgramIo, protocol: string): CommandStreams {
  const channels = new Channels(socket, protocol === V5);
  const streams: CommandStreams = {
    stdin: io.stdin ? channels.input(Channel.STDIN) : undefined,
    stdout: io.stdout ? channels.output(Channel.STDOUT) : undefined,
    stderr: io.stderr ? channels.output(Channel.STDERR) : undefined,
    resize: io.tty ? channels.input(Channel.RESIZE) : undefined,
    error: channels.output(Channel.ERROR),
    isStatus: true,
    onClose: (call) => channels.onClose(call),
    end: () => channels.end(),
  };
  // Clients wait for a first message to know that they are through.
  (streams.stdout ?? streams.stderr ?? streams.error).write(Buffer.alloc(0));
  return streams;
}
