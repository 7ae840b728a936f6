/**
 * What a node knew of its cluster, on disk, for an agent that starts while the API server is away. Its owner alone can
 * read it; it is replaced as a whole, so that a full disk or a crash leaves the one before. Several agents may have one
 * file, as those of a machine do whose configurations were copied: each has a draft of its own, and the last one counts.
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, gunzipSync } from "node:zlib";
import type { KubeObject } from "../../kube/objects.ts";

/** Changes with what is kept of objects: another version's is not read. */
const VERSION = 1;
const FORMAT = "podwire objects";
/** Objects that are written in a turn: a tenth of a millisecond. */
const AT_ONCE = 64;
/** A draft that nobody has written to for so long is of an agent that was killed. */
const DEAD_MS = 600_000;
const DRAFT = /^\.([0-9a-f]{12}\.)?new$/; // without a tag: of an older version

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
  readonly #draft: string;
  #isSwept = false;

  /** `tag`: of its drafts, which no other agent has. */
  constructor(file: string, tag = randomBytes(6).toString("hex")) {
    this.#file = file;
    this.#draft = `${file}.${tag}.new`;
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

  /** "", or a line that says why it was not written. Takes many turns: whoever else waits for this thread has his. */
  async write(objects: readonly KubeObject[], now = new Date()): Promise<string> {
    const head = { format: FORMAT, version: VERSION, savedAt: now.toISOString(), objects: objects.length };
    let why: Error | undefined; // of a full disk the pipeline would say that it was aborted
    try {
      await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
      await this.#sweep().catch(() => {}); // what is left there harms nobody
      const file = await open(this.#draft, "w", 0o600);
      try {
        const pieces = Readable.from(textsOf(head, objects));
        const put = (packed: AsyncIterable<Buffer>): Promise<void> =>
          writeFile(file, packed).catch((error) => Promise.reject((why = error)));
        await pipeline(pieces, createGzip({ level: 1 }), put);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(this.#draft, this.#file);
      return "";
    } catch (error) {
      await rm(this.#draft, { force: true }).catch(() => {}); // what hinders that has hindered the writing
      return `${this.#file}: what is known could not be kept: ${(why ?? (error as Error)).message}`;
    }
  }

  /** Once: takes away drafts that nobody goes on with. */
  async #sweep(): Promise<void> {
    if (this.#isSwept) return;
    this.#isSwept = true;
    const folder = dirname(this.#file);
    const own = basename(this.#file);
    for (const name of await readdir(folder)) {
      if (!name.startsWith(own) || !DRAFT.test(name.slice(own.length))) continue;
      const draft = join(folder, name);
      const found = await stat(draft).catch(() => undefined); // another agent was faster
      if (found?.isFile() === true && Date.now() - found.mtimeMs > DEAD_MS) await rm(draft, { force: true });
    }
  }
}

/** A line each, some at a time: of 40,000 objects it is 34 MiB of text. */
function* textsOf(head: Head, objects: readonly KubeObject[]): Generator<string> {
  yield `${JSON.stringify(head)}\n`;
  for (let at = 0; at < objects.length; at += AT_ONCE) {
    const lines = objects.slice(at, at + AT_ONCE).map((object) => `${JSON.stringify(object)}\n`);
    yield lines.join("");
  }
}
