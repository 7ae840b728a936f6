// Objects from manifest files: named files, and every .yaml, .yml and .json of named directories. A change is read
// after a short quiet time, as a whole; a file that is broken or half written leaves the objects as they were.
import { existsSync, type FSWatcher, readdirSync, readFileSync, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Manifest, type ManifestText, parseSteps } from "../manifest/manifest.ts";
import { ObjectSet } from "./object-set.ts";
import type { ObjectSource, SourceListener } from "./source.ts";

const QUIET_MS = 20; // editors and `kubectl`-like writers touch a file several times
const OBJECTS_A_TURN = 256; // some ten milliseconds: of many objects no more are read at once

export class FilesSource implements ObjectSource {
  readonly #paths: readonly string[];
  readonly #set = new ObjectSet();
  readonly #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  #listener: SourceListener | undefined;
  #lastTexts: readonly ManifestText[] = [];
  #isRead = false;
  #reading = false;
  #again = false;

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  start(listener: SourceListener): void {
    this.#listener = listener;
    // A file is watched through its directory: writers that replace it by rename would be lost otherwise.
    const directories = new Map<string, Set<string> | undefined>();
    for (const path of this.#paths) {
      const isDirectory = existsSync(path) && statSync(path).isDirectory();
      const directory = isDirectory ? path : dirname(path);
      const names = directories.get(directory);
      if (isDirectory) directories.set(directory, undefined);
      else if (!directories.has(directory)) directories.set(directory, new Set([basename(path)]));
      else names?.add(basename(path));
    }
    for (const [directory, names] of directories) this.#watch(directory, names);
    this.reload();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers.length = 0;
    this.#listener = undefined;
  }

  /** Reads everything and tells what changed: at once, or over several turns when that takes long. */
  reload(): void {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    try {
      const texts = readManifestTexts(this.#paths);
      if (this.#isRead && areSame(texts, this.#lastTexts)) return;
      this.#reading = true;
      this.#read(parseSteps(texts), texts);
    } catch (error) {
      this.#listener?.problem(error as Error);
    }
  }

  #read(steps: Generator<void, Manifest[]>, texts: readonly ManifestText[]): void {
    if (this.#listener === undefined) return;
    try {
      for (let i = 0; i < OBJECTS_A_TURN; i++) {
        const step = steps.next();
        if (step.done !== true) continue;
        this.#finish(step.value, texts);
        return;
      }
      setImmediate(() => this.#read(steps, texts));
    } catch (error) {
      this.#reading = false;
      this.#listener.problem(error as Error);
      this.#reloadAgain();
    }
  }

  #finish(manifests: readonly Manifest[], texts: readonly ManifestText[]): void {
    this.#reading = false;
    this.#isRead = true;
    this.#lastTexts = texts;
    const objects = manifests.filter((m) => m.info.stored).map((m) => m.object);
    this.#listener?.events(this.#set.replace(objects), true);
    this.#reloadAgain();
  }

  /** The files changed while they were read. */
  #reloadAgain(): void {
    if (this.#again) this.#changed();
    this.#again = false;
  }

  #watch(directory: string, names: ReadonlySet<string> | undefined): void {
    try {
      const watcher = watch(directory, (_, name) => {
        if (names === undefined || name === null || names.has(name)) this.#changed();
      });
      watcher.on("error", (error) => this.#listener?.problem(error));
      this.#watchers.push(watcher);
    } catch (error) {
      this.#listener?.problem(error as Error);
    }
  }

  #changed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.reload(), QUIET_MS);
  }
}

function areSame(a: readonly ManifestText[], b: readonly ManifestText[]): boolean {
  return a.length === b.length && a.every(({ file, text }, i) => file === b[i].file && text === b[i].text);
}

/** The texts of files and of the manifests in directories, by name. "-" is standard input. */
export function readManifestTexts(paths: readonly string[]): ManifestText[] {
  return paths.flatMap((path) => {
    if (path === "-") return [{ file: path, text: readFileSync(0, "utf8") }];
    if (!statSync(path).isDirectory()) return [{ file: path, text: readFileSync(path, "utf8") }];
    return readdirSync(path)
      .filter((name) => /\.(ya?ml|json)$/.test(name))
      .sort()
      .map((name) => join(path, name))
      .map((file) => ({ file, text: readFileSync(file, "utf8") }));
  });
}
