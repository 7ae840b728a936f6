// Pods' programs for tests of streams: they are functions.
import { type AddressInfo, connect, createServer } from "node:net";
import { type Duplex, PassThrough } from "node:stream";
import type { LogOptions, PodPrograms, Program, ProgramIo } from "../apiserver/stream/pod-programs.ts";
import type { Pod } from "../kube/objects.ts";

/**
 * `cat` gives its input back, on a terminal in capitals; `exit N` ends so; `both` says something on each output; `none`
 * is not there; others stay. Port 7 echoes and ends when its client does; 8 sends a lot to whoever says "more"; others
 * refuse.
 */
export class TestPrograms implements PodPrograms {
  readonly sizes: [number, number][] = [];
  readonly started: string[] = [];
  stopped = 0;
  readonly logged: LogOptions[] = [];
  logIsAborted = false;
  readonly #echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  readonly #source = createServer((socket) =>
    socket.once("data", () => socket.end(Buffer.alloc(1 << 20, "x"))),
  );

  async listen(): Promise<void> {
    for (const server of [this.#echo, this.#source])
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }

  close(): void {
    this.#echo.close();
    this.#source.close();
  }

  async exec(pod: Pod, container: string, command: readonly string[], io: ProgramIo): Promise<Program> {
    this.started.push(`${pod.metadata.name}/${container} ${command.join(" ")}${io.tty ? " tty" : ""}`);
    if (command[0] === "none") throw new Error('exec: "none": executable file not found in $PATH');
    return this.#program(command, io);
  }

  async attach(_pod: Pod, _container: string, io: ProgramIo): Promise<Program> {
    return this.#program(["both"], io);
  }

  async connect(_pod: Pod, port: number): Promise<Duplex> {
    const server = port === 7 ? this.#echo : port === 8 ? this.#source : undefined;
    if (server === undefined) throw new Error(`failed to connect to localhost:${port}: connection refused`);
    const to = (server.address() as AddressInfo).port;
    return connect({ port: to, host: "127.0.0.1", allowHalfOpen: true });
  }

  async *log(
    _pod: Pod,
    _container: string,
    options: LogOptions,
    gone: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    this.logged.push(options);
    yield Buffer.from("one\n");
    if (options.follow) await new Promise((resolve) => gone.addEventListener("abort", resolve));
    this.logIsAborted = gone.aborted;
    yield Buffer.from("two\n");
  }

  #program([name, word]: readonly string[], io: ProgramIo): Program {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    let end: (code: number) => void = () => {};
    const ended = new Promise<number>((resolve) => (end = resolve));
    const finish = (code: number): void => {
      stdout.end();
      stderr.end();
      end(code);
    };
    if (name === "cat") {
      stdin.on("data", (chunk: Buffer) => {
        const isMore = stdout.write(io.tty ? chunk.toString().toUpperCase() : chunk);
        if (isMore) return;
        stdin.pause();
        stdout.once("drain", () => stdin.resume());
      });
      stdin.on("end", () => finish(0));
    } else if (name === "both") {
      stdout.write("out");
      if (io.stderr) stderr.write("err");
      finish(0);
    } else if (name === "exit") finish(Number(word));
    return {
      stdin: io.stdin ? stdin : undefined,
      stdout: io.stdout ? stdout : undefined,
      stderr: io.stderr ? stderr : undefined,
      resize: (columns, rows) => this.sizes.push([columns, rows]),
      ended,
      stop: () => {
        this.stopped++;
        finish(137);
      },
    };
  }
}
