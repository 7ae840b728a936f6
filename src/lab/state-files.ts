// The lab's objects on disk: all of them in one file, and in a second one what has changed since then, a batch behind the
// other. So a change costs its own object's writing, not that of all; and since a batch is read to its end or not at all,
// what is read again is the objects of one moment.
//
//   state.json     {"version":1,"log":3,"saved":{…},"objects":[…]}      of which the log of that number goes on
//   state.3.log    {"object":{…}} or {"kind":…,"key":…}, a line each; {"resourceVersion":…} ends a batch
import { existsSync, readFileSync } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import type { Change } from "../cluster/cluster-options.ts";
import { type SavedCluster, savedOf } from "../cluster/saved-cluster.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";
import { readJson } from "./state-dir.ts";

export interface SavedState {
  readonly saved: SavedCluster;
  readonly objects: readonly KubeObject[];
}

interface Whole extends SavedState {
  readonly version: 1;
  /** None: of an older podwire, which had no logs. */
  readonly log?: number;
}

interface Line {
  readonly object?: KubeObject;
  readonly kind?: string;
  readonly key?: string;
  readonly resourceVersion?: number;
}

/** Between two writes others have their turn: so many characters are a fraction of a millisecond's work. */
const PART_CHARACTERS = 64 << 10;
/** A log may become so long before all objects are written anew; where they are more, as long as they are. */
const LOG_CHARACTERS = 4 << 20;
const PRIVATE = 0o600; // Secrets are among them

const logPath = (path: string, log: number): string => path.replace(/(?:\.json)?$/, `.${log}.log`);
const idOf = (object: KubeObject): string => `${object.kind} ${keyOf(object)}`;

/** What was written last; "missing": nothing ever was, "wrong": the file is not one of these. */
export function readState(path: string): SavedState | "missing" | "wrong" {
  if (!existsSync(path)) return "missing";
  const found = readJson<Partial<Whole>>(path);
  const { nodes, pods, services } = found?.saved ?? {};
  const { objects, log } = found ?? {};
  const isState = Array.isArray(objects) && objects.every(isNamed);
  if (!isState || nodes === undefined || pods === undefined || services === undefined) return "wrong";
  const whole = found as Whole;
  return typeof log === "number" ? replayed(whole, logPath(path, log)) : whole;
}

function isNamed(object: Partial<KubeObject> | null | undefined): boolean {
  return typeof object?.kind === "string" && typeof object.metadata?.name === "string";
}

function replayed(whole: Whole, path: string): SavedState {
  if (!existsSync(path)) return whole;
  const objects = new Map(whole.objects.map((object) => [idOf(object), object]));
  let { resourceVersion } = whole.saved;
  let batch: Line[] = [];
  for (const text of readFileSync(path, "utf8").split("\n")) {
    const line = lineOf(text);
    if (line === undefined) break; // whoever wrote it was killed
    if (line.resourceVersion === undefined) {
      batch.push(line);
      continue;
    }
    for (const { object, kind, key } of batch) {
      if (object === undefined) objects.delete(`${kind} ${key}`);
      else objects.set(idOf(object), object);
    }
    batch = [];
    resourceVersion = line.resourceVersion;
  }
  const all = [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  return { saved: savedOf(all, resourceVersion), objects: all };
}

function lineOf(text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as Line | null;
    if (line?.object !== undefined) return isNamed(line.object) ? line : undefined;
    return line ?? undefined;
  } catch {
    return undefined;
  }
}

/** What is to be on disk, as it is now. */
export interface Stored {
  readonly version: number;
  objects(): readonly KubeObject[];
}

/** Writes what changes. One call of `write` at a time. */
export class StateWriter {
  readonly #path: string;
  readonly #stored: Stored;
  readonly #logMax: number;
  /** By kind and key, as it is; undefined: it is gone. */
  #changed = new Map<string, Change>();
  #log: number;
  #characters = 0;
  #max = 0;
  #file: FileHandle | undefined;
  /** Nobody knows what is in the files: they were another process', or the last writing failed. */
  #isUnknown = true;

  constructor(path: string, stored: Stored, logMax = LOG_CHARACTERS) {
    this.#path = path;
    this.#stored = stored;
    this.#logMax = logMax;
    this.#log = readJson<Partial<Whole>>(path)?.log ?? 0;
  }

  changed(change: Change): void {
    this.#changed.set(idOf(change.object), change);
  }

  /** Resolves when all that has changed so far is on disk. */
  async write(): Promise<void> {
    if (this.#isUnknown) return this.#writeAll();
    if (this.#changed.size === 0) return;
    const batch = this.#changed;
    this.#changed = new Map();
    this.#isUnknown = true;
    await this.#append(batch.values(), this.#stored.version);
    this.#isUnknown = false;
    if (this.#characters > this.#max) await this.#writeAll();
  }

  async #append(batch: Iterable<Change>, version: number): Promise<void> {
    this.#file ??= await open(logPath(this.#path, this.#log), "a", PRIVATE);
    const file = this.#file;
    let part = "";
    const put = async (): Promise<void> => {
      this.#characters += part.length;
      await file.appendFile(part);
      part = "";
    };
    for (const { type, object } of batch) {
      const line = type === "DELETED" ? { kind: object.kind, key: keyOf(object) } : { object };
      part += `${JSON.stringify(line)}\n`;
      if (part.length > PART_CHARACTERS) await put();
    }
    part += `${JSON.stringify({ resourceVersion: version })}\n`;
    await put();
  }

  /** A reader, and a lab that is killed, see the old file with its log, or the new one. */
  async #writeAll(): Promise<void> {
    this.#isUnknown = true;
    this.#changed = new Map();
    const file = this.#file;
    this.#file = undefined;
    const objects = this.#stored.objects();
    const saved = savedOf(objects, this.#stored.version);
    const [before, log] = [this.#log, this.#log + 1];
    await file?.close();
    await rm(logPath(this.#path, log), { force: true });
    const draft = `${this.#path}.${process.pid}.tmp`;
    const characters = await writeWhole(draft, { saved, objects }, log);
    await rename(draft, this.#path);
    this.#log = log;
    await rm(logPath(this.#path, before), { force: true });
    this.#max = Math.max(this.#logMax, characters);
    this.#characters = 0;
    this.#isUnknown = false;
  }
}

/** How many characters it has. */
async function writeWhole(path: string, { saved, objects }: SavedState, log: number): Promise<number> {
  await rm(path, { force: true });
  const file = await open(path, "w", PRIVATE);
  let characters = 0;
  try {
    let part = `{"version":1,"log":${log},"saved":${JSON.stringify(saved)},"objects":[`;
    for (const [i, object] of objects.entries()) {
      part += `${i === 0 ? "" : ","}${JSON.stringify(object)}`;
      if (part.length <= PART_CHARACTERS) continue;
      characters += part.length;
      await file.appendFile(part);
      part = "";
    }
    await file.appendFile(`${part}]}`);
    return characters + part.length;
  } finally {
    await file.close();
  }
}
