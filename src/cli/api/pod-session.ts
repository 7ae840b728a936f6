// A program in a pod, with this process' streams: exec and attach by the API's WebSocket (v5.channel.k8s.io; v4 of
// servers before 1.30, by which the program does not see that its input has ended).
import type { Writable } from "node:stream";
import { WebSocket } from "ws";
import type { Status } from "../../apiserver/status.ts";
import { CliError } from "../errors.ts";
import { type ApiClient, type Place, pathOf } from "./api-client.ts";
import { refusal } from "./api-error.ts";

const PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const Channel = Object.freeze({ STDIN: 0, STDOUT: 1, STDERR: 2, ERROR: 3, RESIZE: 4, CLOSE: 255 } as const);
/** For the server to answer at all. */
const HANDSHAKE_MS = 30_000;

export interface SessionOptions {
  readonly container: string;
  readonly stdin: boolean;
  /** A terminal there; ours is its other end, where we have one. */
  readonly tty: boolean;
  /** Words of the program; none: what the container's own says (attach). */
  readonly command: readonly string[];
}

/** Exit status of the program. `place`: the pod. Throws an ApiError or a CliError where it was not run, or cut off. */
export async function runSession(api: ApiClient, place: Place, options: SessionOptions): Promise<number> {
  const { container, stdin, tty, command } = options;
  const asked = new URLSearchParams({
    container,
    stdout: "true",
    stderr: String(!tty),
    stdin: String(stdin),
  });
  if (tty) asked.set("tty", "true");
  for (const word of command) asked.append("command", word);
  const subresource = command.length === 0 ? "attach" : "exec";
  const { url, ...how } = await api.upgrade(`${pathOf({ ...place, subresource })}?${asked}`);
  const socket = new WebSocket(url, PROTOCOLS, { ...how, handshakeTimeout: HANDSHAKE_MS });
  const session = new Session(socket, api.label);
  try {
    await session.opened();
    if (stdin) session.readInput(tty);
    return await session.ended();
  } finally {
    session.close();
  }
}

class Session {
  readonly #socket: WebSocket;
  readonly #label: string;
  readonly #end: Promise<number>;
  /** The terminal as it was, and no more input. */
  readonly #undo: (() => void)[] = [];
  #status: Status | undefined;
  #problem: Promise<Error> | undefined;

  constructor(socket: WebSocket, label: string) {
    this.#socket = socket;
    this.#label = label;
    socket.binaryType = "nodebuffer";
    socket.on("message", (data) => this.#received(data as Buffer));
    socket.on("unexpected-response", (_request, response) => {
      this.#problem = refusal(response);
      void this.#problem.then(() => socket.terminate());
    });
    socket.on(
      "error",
      (error) => (this.#problem ??= Promise.resolve(new CliError(`${label}: ${error.message}`))),
    );
    this.#end = new Promise((resolve) => socket.on("close", () => resolve(this.#over())));
    this.#end.catch(() => {}); // it is waited for later
  }

  async opened(): Promise<void> {
    await Promise.race([new Promise((resolve) => this.#socket.once("open", resolve)), this.#end]);
  }

  ended(): Promise<number> {
    return this.#end;
  }

  readInput(tty: boolean): void {
    const { stdin, stdout } = process;
    if (tty && stdin.isTTY) {
      stdin.setRawMode(true);
      this.#undo.push(() => stdin.setRawMode(false));
    }
    if (tty && stdout.isTTY) {
      const resize = (): void => this.#resize(stdout.columns, stdout.rows);
      resize();
      stdout.on("resize", resize);
      this.#undo.push(() => stdout.off("resize", resize));
    }
    stdin.on("data", (chunk: Buffer) => {
      stdin.pause(); // until it is sent: what a slow program does not take stays where it comes from
      this.#send(Channel.STDIN, chunk, () => stdin.resume());
    });
    stdin.on("end", () => {
      if (this.#socket.protocol === PROTOCOLS[0]) this.#send(Channel.CLOSE, Buffer.of(Channel.STDIN));
    });
    this.#undo.push(() => void stdin.destroy());
  }

  close(): void {
    for (const undo of this.#undo.splice(0)) undo();
    this.#socket.terminate();
  }

  #resize(columns: number, rows: number): void {
    this.#send(Channel.RESIZE, Buffer.from(JSON.stringify({ Width: columns, Height: rows })));
  }

  #send(channel: number, bytes: Buffer, done: () => void = () => {}): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(Buffer.concat([Buffer.of(channel), bytes]), { binary: true }, done);
  }

  #received(message: Buffer): void {
    const [channel] = message;
    const bytes = message.subarray(1);
    if (channel === Channel.STDOUT) this.#print(process.stdout, bytes);
    else if (channel === Channel.STDERR) this.#print(process.stderr, bytes);
    else if (channel === Channel.ERROR && bytes.length > 0) {
      this.#status = JSON.parse(bytes.toString("utf8")) as Status;
      this.#socket.close(1000); // v4's servers wait for us
    }
  }

  /** A reader that is slow holds the program up, and no memory. */
  #print(to: Writable, bytes: Buffer): void {
    if (bytes.length === 0 || to.write(bytes)) return;
    this.#socket.pause();
    to.once("drain", () => this.#socket.resume());
  }

  async #over(): Promise<number> {
    if (this.#status !== undefined) return this.#exitCode(this.#status);
    throw (
      (await this.#problem) ??
      new CliError(`${this.#label}: the connection was cut before the program had ended`)
    );
  }

  #exitCode({ status, message = "", details }: Status): number {
    if (status === "Success") return 0;
    const code = details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
    if (code !== undefined) return Number(code);
    throw new CliError(message.replaceAll(/\s*\n\s*/g, " "));
  }
}
