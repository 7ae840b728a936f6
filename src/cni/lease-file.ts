/**
 * The leases of a node on disk. The file is replaced as a whole, so that it is always one that was written to its end;
 * done is done when it is on the disk, its name too. Changes that come while one is written go together into the next.
 */
import type { MakeDirectoryOptions } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { CniCode, CniError } from "./cni-error.ts";

/** What is asked of a file system: node:fs/promises has it. */
export interface FileSystem {
  mkdir(path: string, options: MakeDirectoryOptions): Promise<unknown>;
  open(path: string, flags: string, mode?: number): Promise<Pick<FileHandle, "writeFile" | "sync" | "close">>;
  rename(from: string, to: string): Promise<void>;
}

const OWNER_ONLY = 0o600;

export class LeaseFile {
  readonly #path: string;
  readonly #fs: FileSystem;
  readonly #text: () => string;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** text: what is to be in the file now. */
  constructor(path: string, fs: FileSystem, text: () => string) {
    this.#path = path;
    this.#fs = fs;
    this.#text = text;
  }

  /** Resolves when what is true now, or something later, is on the disk. */
  save(): Promise<void> {
    this.#next ??= this.#after(this.#running);
    return this.#next;
  }

  async #after(before: Promise<void> | undefined): Promise<void> {
    await before?.catch(() => {}); // whoever waits for that one is told
    const mine = this.#next;
    this.#running = mine;
    this.#next = undefined;
    try {
      await this.#replace(this.#text());
    } catch (error) {
      const message = `${this.#path}: leases cannot be kept: ${(error as Error).message}`;
      throw new CniError(CniCode.IO_FAILURE, message, error);
    }
  }

  async #replace(text: string): Promise<void> {
    const folder = dirname(this.#path);
    const draft = `${this.#path}.new`;
    await this.#fs.mkdir(folder, { recursive: true, mode: 0o700 });
    await this.#write(draft, "w", async (file) => {
      await file.writeFile(text);
      await file.sync();
    });
    await this.#fs.rename(draft, this.#path);
    await this.#write(folder, "r", (file) => file.sync());
  }

  async #write(
    path: string,
    flags: string,
    work: (file: Awaited<ReturnType<FileSystem["open"]>>) => Promise<void>,
  ): Promise<void> {
    const file = await this.#fs.open(path, flags, OWNER_ONLY);
    try {
      await work(file);
    } finally {
      await file.close();
    }
  }
}
