// Objects from manifest files: named files, and every .yaml, .yml and .json of named directories. A change is read
// after a short quiet time, as a whole; a file that is broken or half written leaves the objects as they were. Of what
// is read again, only the documents that changed are parsed.
import { existsSync, type FSWatcher, statSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { warningsOf } from "../kube/fields/warnings.ts";
import type { CustomKinds } from "../kube/manifest/custom-kind.ts";
import { type Manifest, type ManifestText, parseSteps, type Readings } from "../kube/manifest/manifest.ts";
import { withMirroredSlices } from "../kube/mirrored-slices.ts";
import { PassedOver } from "../kube/passed-over.ts";
import { InputError, isReadOnce, manifestsIn, readText } from "./input.ts";
import { ObjectSet } from "./object-set.ts";
import type { ObjectSource, SourceListener } from "./source.ts";

const QUIET_MS = 20; // editors and `kubectl`-like writers touch a file several times
const TURN_MS = 10; // of reading many objects; then whoever else waits for this thread has his turn
const STEPS_AT_ONCE = 64; // what is small is read before start() returns, however slow the machine

export interface FilesOptions {
  /** Kinds that somebody has defined are read as well. */
  readonly customKinds?: CustomKinds;
  /** And kinds of the API that are not the network's of a node. */
  readonly carries?: boolean;
}

export class FilesSource implements ObjectSource {
  readonly #paths: readonly string[];
  readonly #options: FilesOptions;
  readonly #set = new ObjectSet();
  readonly #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  #listener: SourceListener | undefined;
  #lastTexts: readonly ManifestText[] = [];
  #isRead = false;
  /** What was read last could not be taken in. */
  #isBroken = false;
  #readings: Readings = new Map();
  readonly #warned = new Set<string>();
  #reading = false;
  #again = false;
  #lastNotes: readonly string[] = [];

  constructor(paths: readonly string[], options: FilesOptions = {}) {
    this.#paths = paths;
    this.#options = options;
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
      if (this.#isRead && areSame(texts, this.#lastTexts)) {
        if (this.#isBroken) this.#listener?.events([], true); // mended: as it was before
        this.#isBroken = false;
        return;
      }
      this.#reading = true;
      const readings: Readings = new Map();
      const passed = new PassedOver();
      const options = { ...this.#options, passed, configuration: "pass over" } as const; // an agent's file may lie beside
      const steps = parseSteps(texts, options, this.#readings, readings);
      this.#read({ texts, readings, steps, passed });
    } catch (error) {
      this.#broken(error as Error);
    }
  }

  #broken(error: Error): void {
    this.#isBroken = true;
    this.#listener?.problem(error);
  }

  #read(run: Run): void {
    if (this.#listener === undefined) return;
    const untilMs = performance.now() + TURN_MS;
    try {
      for (let i = 0; i < STEPS_AT_ONCE || performance.now() < untilMs; i++) {
        const step = run.steps.next();
        if (step.done !== true) continue;
        this.#finish(step.value, run);
        return;
      }
      setImmediate(() => this.#read(run));
    } catch (error) {
      this.#reading = false;
      this.#broken(error as Error);
      this.#reloadAgain();
    }
  }

  #finish(manifests: readonly Manifest[], { texts, readings, passed }: Run): void {
    this.#reading = false;
    this.#isRead = true;
    this.#isBroken = false;
    this.#lastTexts = texts;
    this.#readings = readings;
    this.#note(passed.notes());
    if (this.#options.carries !== true) this.#warn(manifests); // those are of what a node does
    const objects = withMirroredSlices(manifests.map((m) => m.object));
    this.#listener?.events(this.#set.replace(objects), true);
    this.#reloadAgain();
  }

  /** Once, and again when it says something else. */
  #note(lines: readonly string[]): void {
    for (const line of lines) if (!this.#lastNotes.includes(line)) this.#listener?.note?.(line);
    this.#lastNotes = lines;
  }

  /** Each field of a kind once. */
  #warn(manifests: readonly Manifest[]): void {
    for (const { key, line } of warningsOf(manifests, "node")) {
      if (!this.#warned.has(key)) this.#listener?.note?.(line);
      this.#warned.add(key);
    }
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

/** One reading of all files. */
interface Run {
  readonly texts: readonly ManifestText[];
  readonly readings: Readings;
  readonly steps: Generator<void, Manifest[]>;
  readonly passed: PassedOver;
}

function areSame(a: readonly ManifestText[], b: readonly ManifestText[]): boolean {
  return a.length === b.length && a.every(({ file, text }, i) => file === b[i].file && text === b[i].text);
}

/** The texts of files and of the manifests in directories, by name. */
function readManifestTexts(paths: readonly string[]): ManifestText[] {
  const files = paths.flatMap((path) => manifestsIn(path) ?? [path]);
  refuseReadOnce(files);
  return files.map((file) => ({ file, text: readText(file) }));
}

/**
 * Standard input, pipes and descriptors give their objects once, and a file that changes beside them has all read again:
 * theirs would be gone.
 */
export function refuseReadOnce(paths: readonly string[]): void {
  const path = paths.find(isReadOnce);
  if (path === undefined) return;
  const why = "can be read only once, and an agent reads its objects again whenever one changes";
  throw new InputError("SOURCE_READ_ONCE", `source.files: ${path}: ${why}: name a file or a directory`);
}
