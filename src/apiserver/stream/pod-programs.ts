// What streams need of those who run pods: the lab implements it.
import type { Duplex, Readable, Writable } from "node:stream";
import type { Pod } from "../../kube/objects.ts";

export interface ProgramIo {
  readonly stdin: boolean;
  readonly stdout: boolean;
  /** Never together with `tty`: a terminal has one output. */
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** A program that somebody looks at. A stream is there where it was asked for. */
export interface Program {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  readonly stderr: Readable | undefined;
  /** Of its terminal, in characters; without one nothing happens. */
  resize(columns: number, rows: number): void;
  /** Its exit status, 128 + n where signal n ended it. Rejects with one line where it could not be started. */
  readonly ended: Promise<number>;
  /** Nobody looks at it any more. */
  stop(): void;
}

export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  /** Lines of what is there; -1: all. */
  readonly tailLines: number;
  /** From when on, ms since 1970; 0: all. */
  readonly sinceMs: number;
  /** Bytes; Infinity: all. */
  readonly limitBytes: number;
}

/** Errors are one line, which the client is told. */
export interface PodPrograms {
  exec(pod: Pod, container: string, command: readonly string[], io: ProgramIo): Promise<Program>;
  /** The container's own program. Stopping ends the looking, not the program. */
  attach(pod: Pod, container: string, io: ProgramIo): Promise<Program>;
  /** A TCP connection to this port of the pod's own loopback. */
  connect(pod: Pod, port: number): Promise<Duplex>;
  /** Throws before it begins where there is no such log. `isWanted`: false ends what follows. */
  log(pod: Pod, container: string, options: LogOptions, gone: AbortSignal): AsyncIterable<Uint8Array>;
}
