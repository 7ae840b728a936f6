/**
 * What a node knew of its cluster, on disk, for an agent that starts while the API server is away. Its owner alone can
 * read it; it is replaced as a whole, so that a full disk or a crash leaves the one before.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import type { KubeObject } from "../../kube/objects.ts";

/** Changes with what is kept of objects: another version's is not read. */
const VERSION = 1;
const FORMAT = "podwire objects";

interface Head {
  readonly format: string;
  readonly version: number;
  readonly savedAt: string;
  readonly objects: number;
}

export interface Remembered {
  /** RFC 3339. */
  readonly savedAt: string;
  readonly objects: readonly KubeObject[];
}

export class LastState {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** What was written last; else a line that says why there is nothing, "" when there never was. */
  read(): Remembered | string {
    try {
      const lines = gunzipSync(readFileSync(this.#file)).toString("utf8").split("\n");
      const head = JSON.parse(lines[0]) as Head;
      if (head.format !== FORMAT || head.version !== VERSION)
        return `${this.#file}: of another version of podwire: it is not read`;
      const objects = lines.slice(1, 1 + head.objects).map((line) => JSON.parse(line) as KubeObject);
      if (objects.length < head.objects) return `${this.#file}: is not whole: it is not read`;
      return { savedAt: head.savedAt, objects };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return code === "ENOENT" ? "" : `${this.#file}: cannot be read: ${message}`;
    }
  }

  /** "", or a line that says why it was not written. */
  write(objects: readonly KubeObject[], now = new Date()): string {
    const head: Head = {
      format: FORMAT,
      version: VERSION,
      savedAt: now.toISOString(),
      objects: objects.length,
    };
    const text = [head, ...objects].map((line) => JSON.stringify(line)).join("\n");
    const draft = `${this.#file}.new`;
    try {
      mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
      const fd = openSync(draft, "w", 0o600);
      try {
        const bytes = gzipSync(`${text}\n`, { level: 1 });
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(draft, this.#file);
      return "";
    } catch (error) {
      rmSync(draft, { force: true });
      return `${this.#file}: what is known could not be kept: ${(error as Error).message}`;
    }
  }
}
