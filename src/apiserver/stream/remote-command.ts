// exec and attach, whatever carries them: a program's streams and the client's put together, and how it ended told.
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Program } from "./pod-programs.ts";

/** The client's ends. */
export interface CommandStreams {
  stdin?: Readable | undefined;
  stdout?: Writable | undefined;
  stderr?: Writable | undefined;
  /** JSON texts {"Width":80,"Height":24}. */
  resize?: Readable | undefined;
  /** How it ended. */
  error: Writable;
  /** v4 and later: a Status in JSON. Before: text, and nothing where all went well. */
  isStatus: boolean;
  onClose(call: () => void): void;
  /** What was written arrives; then it is over. */
  end(): void;
}

const SIZE_MAX = 4096; // bytes of one size's JSON
const CELLS_MAX = 65_535; // columns, rows: the kernel has 16 bits for each

/** Resolves when the program has ended and the client was told. */
export async function runCommand(streams: CommandStreams, starting: Promise<Program>): Promise<void> {
  let program: Program;
  try {
    program = await starting;
  } catch (error) {
    return finish(streams, failed(error));
  }
  streams.onClose(() => program.stop());
  if (streams.resize !== undefined) resizeBy(streams.resize, program);
  if (streams.stdin !== undefined) join(streams.stdin, program.stdin);
  const outputs = [join(program.stdout, streams.stdout), join(program.stderr, streams.stderr)];
  const end = await program.ended.then(ended, failed);
  await Promise.all(outputs);
  await finish(streams, end);
}

interface End {
  status: object;
  /** "": it ended well. */
  text: string;
}

function ended(code: number): End {
  if (code === 0) return { status: { metadata: {}, status: "Success" }, text: "" };
  const message = `command terminated with non-zero exit code: exit status ${code}`;
  const details = { causes: [{ reason: "ExitCode", message: String(code) }] };
  return {
    status: { metadata: {}, status: "Failure", message, reason: "NonZeroExitCode", details },
    text: message,
  };
}

function failed(error: unknown): End {
  const why = error instanceof Error ? error.message : String(error);
  const message = `Internal error occurred: error executing command in container: ${why}`;
  const details = { causes: [{ message: why }] };
  const status = { metadata: {}, status: "Failure", message, reason: "InternalError", details, code: 500 };
  return { status, text: message };
}

async function finish(streams: CommandStreams, { status, text }: End): Promise<void> {
  const { error, isStatus } = streams;
  const last = isStatus ? JSON.stringify(status) : text;
  await new Promise<void>((resolve) => {
    error.once("close", resolve);
    error.end(last, resolve);
  });
  streams.end();
}

/** A side that goes away ends it; what the other one still has to say is let go. */
async function join(from: Readable | undefined, to: Writable | undefined): Promise<void> {
  if (from === undefined || to === undefined) {
    from?.resume();
    return to === undefined ? undefined : void to.end();
  }
  await pipeline(from, to).catch(() => from.resume());
}

/** Texts follow each other without anything between them, split anywhere. */
function resizeBy(resize: Readable, program: Program): void {
  let text = "";
  resize.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    for (let end = text.indexOf("}"); end >= 0; end = text.indexOf("}")) {
      const size = sizeOf(text.slice(0, end + 1));
      text = text.slice(end + 1);
      if (size !== undefined) program.resize(...size);
    }
    if (text.length > SIZE_MAX) text = "";
  });
  resize.on("error", () => {});
}

function sizeOf(text: string): [columns: number, rows: number] | undefined {
  const number = (name: string): number =>
    Number(new RegExp(`"${name}"\\s*:\\s*(\\d{1,5})\\b`).exec(text)?.[1]);
  const size: [number, number] = [number("Width"), number("Height")];
  return size.every((each) => each > 0 && each <= CELLS_MAX) ? size : undefined;
}
