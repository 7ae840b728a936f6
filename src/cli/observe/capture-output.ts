// Where captured packets go: a pcapng file (or stdout, for a pipe into Wireshark), or one line each on the
// terminal.
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { packetLine, packetRecord } from "../../capture/packet-line.ts";
import type {
  CaptureInterface,
  CapturePacket,
  InterfaceStatistics,
  NameEntry,
} from "../../capture/pcapng.ts";
import { PcapngWriter } from "../../capture/pcapng-writer.ts";
import { type OutputForm, recordText } from "../context.ts";
import { CliError, Exit } from "../errors.ts";

export interface CaptureOutput {
  addInterface(description: CaptureInterface): number;
  packet(packet: CapturePacket): void;
  names(entries: readonly NameEntry[]): void;
  statistics(statistics: InterfaceStatistics): void;
  /** Writes what is still held back. Throws when the disk is full. */
  flush(): void;
  close(): void;
}

const FLUSH_BYTES = 256 * 1024;

/** `path` "-" is standard output. */
export function openCaptureFile(path: string, application: string): CaptureOutput {
  const sink = path === "-" ? new PipeSink() : new FileSink(path);
  const writer = new PcapngWriter((blocks) => sink.write(blocks), { application, os: "Linux" });
  return {
    addInterface: (description) => writer.addInterface(description),
    packet: (packet) => writer.packet(packet),
    names: (entries) => writer.names(entries),
    statistics: (statistics) => writer.statistics(statistics),
    flush: () => sink.flush(),
    close: () => sink.close(),
  };
}

class PipeSink {
  write(blocks: Uint8Array): void {
    process.stdout.write(blocks); // at once, to a pipe on Linux; a reader that has gone is main.ts' affair
  }
  flush(): void {}
  close(): void {}
}

/** Whole blocks only: when the disk is full the file is cut back to the last block that fitted. */
class FileSink {
  readonly #path: string;
  readonly #fd: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #written = 0; //   bytes in the file, always a block's end
  #isFull = false;

  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openSync(path, "w");
    } catch (error) {
      throw new CliError(`${path}: ${reason(error)}`, Exit.FAILED, "CAPTURE_OPEN", error);
    }
  }

  write(block: Uint8Array): void {
    this.#held.push(block);
    this.#heldBytes += block.length;
    if (this.#heldBytes >= FLUSH_BYTES) this.flush();
  }

  flush(): void {
    if (this.#isFull || this.#held.length === 0) return;
    const blocks = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    const bytes = Buffer.concat(blocks);
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(this.#fd, bytes, done);
      this.#written += bytes.length;
    } catch (error) {
      this.#isFull = true;
      this.#cutBack(blocks, done);
      const isFull = (error as NodeJS.ErrnoException).code === "ENOSPC";
      const hint = isFull ? "no space left on device" : reason(error);
      const message = `${this.#path}: ${hint}: the ${this.#written} bytes written are a whole capture`;
      throw new CliError(message, Exit.FAILED, "CAPTURE_WRITE", error);
    }
  }

  close(): void {
    try {
      this.flush();
    } finally {
      closeSync(this.#fd);
    }
  }

  #cutBack(blocks: readonly Uint8Array[], done: number): void {
    let whole = 0;
    for (const block of blocks) {
      if (whole + block.length > done) break;
      whole += block.length;
    }
    this.#written += whole;
    try {
      ftruncateSync(this.#fd, this.#written);
    } catch {
      // a device, not a file: nothing to cut
    }
  }
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const texts: Readonly<Record<string, string>> = {
    ENOENT: "no such directory",
    EACCES: "permission denied",
    EISDIR: "is a directory",
    EROFS: "read-only file system",
    EDQUOT: "disk quota exceeded",
  };
  return texts[code ?? ""] ?? message;
}

/** One line a packet, or a record as JSON or YAML. */
export async function openPacketLines(form: OutputForm): Promise<CaptureOutput> {
  const interfaces: CaptureInterface[] = [];
  const from = ({ interfaceId }: CapturePacket): CaptureInterface => interfaces[interfaceId];
  const text = await recordText(
    form,
    (packet: CapturePacket) => packetRecord(packet, from(packet)),
    (packet) => packetLine(packet, from(packet)),
  );
  return {
    addInterface: (description) => interfaces.push(description) - 1,
    packet: (packet) => {
      process.stdout.write(`${text(packet)}\n`);
    },
    names: () => {},
    statistics: () => {},
    flush: () => {},
    close: () => {},
  };
}
