// A process that runs test files one after another (shared-process.ts starts it): importing tap and podwire takes longer
// than most files do. Names of compiled files come in by descriptor 3, a line each. What a file says is TAP on standard
// output; a line that begins with MARK ends it and tells what it took. One without a file says that this is ready.
//
// A file's `t` is tap's own root, one a process. Here it leads to a subtest of it, one a file, so that counts, limits and
// teardowns are the file's. A file ends as it would alone: when its tests are through and nothing keeps the event loop
// alive. What it changed of the process is put back; what cannot be put back fails it. The process of a file that failed
// runs no other.
import { Socket } from "node:net";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import * as tap from "tap";
import { type FileEnd, MARK } from "./shared-process.ts";
import { usedByChildren } from "./test-process.ts";

const COMMANDS_FD = 3;

const root = tap.t;
/** Of the root itself, when `root` leads elsewhere. */
const own = Object.getPrototypeOf(root) as typeof root;
const { test: startTest } = root;
let current: tap.Test | undefined;

/**
 * What is asked of `t` is the current file's. tap puts everything behind the prototype of an object without properties. A
 * bound function is no line in a stack, so that failures name the file's own.
 */
function leadToCurrent(): void {
  const get = (target: object, name: string | symbol): unknown => {
    if (current === undefined) return Reflect.get(target, name, root);
    const value: unknown = Reflect.get(current, name);
    return typeof value === "function" ? value.bind(current) : value;
  };
  Object.setPrototypeOf(root, new Proxy(own, { get }));
}

/** What keeps the event loop alive, by kind. */
function countResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/** Waits for what was not there before to go; names what stays. */
async function whatStays(before: ReadonlyMap<string, number>, graceMs: number): Promise<string[]> {
  const begin = performance.now();
  for (;;) {
    const now = countResources();
    const more = [...now.keys()].filter((kind) => (now.get(kind) ?? 0) > (before.get(kind) ?? 0));
    if (more.length === 0 || performance.now() - begin > graceMs) return more;
    await wait(5);
  }
}

class ProcessState {
  readonly #env = { ...process.env };
  readonly #directory = process.cwd();
  readonly #resources = countResources();
  readonly #listeners = countListeners();

  /** Puts back what can be; one line for each thing that cannot. */
  async restore(graceMs: number): Promise<string[]> {
    const stays = await whatStays(this.#resources, graceMs);
    for (const name of Object.keys(process.env)) if (!(name in this.#env)) delete process.env[name];
    for (const [name, value] of Object.entries(this.#env))
      if (process.env[name] !== value) process.env[name] = value;
    if (process.cwd() !== this.#directory) process.chdir(this.#directory);
    const problems = stays.map((kind) => `left behind: ${kind}`);
    if (process.exitCode !== undefined) problems.push(`process.exitCode was set to ${process.exitCode}`);
    process.exitCode = undefined;
    return problems;
  }

  /** Whoever listens to the process would hear of other files. */
  get isListenedTo(): boolean {
    return countListeners() > this.#listeners;
  }
}

const countListeners = (): number =>
  process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);

/** Of this process, its threads, and what it started and waited for. */
function usedSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 + usedByChildren();
}

async function runFile(file: string, timeoutMs: number, graceMs: number): Promise<FileEnd> {
  const state = new ProcessState();
  const usedBefore = usedSeconds();
  const pointsBefore = own.count;
  let test: tap.Test | undefined;
  await startTest(file, { timeout: timeoutMs }, async (sub) => {
    current = test = sub as tap.Test;
    await import(pathToFileURL(resolve(file)).href);
  });
  const problems = await state.restore(graceMs);
  await wait(0); // what was asserted beside the subtest is counted behind it
  current = undefined;
  const { pass, fail, skip, todo } = test?.counts ?? new tap.Counts();
  // The file is one; others can only come from functions that were imported from tap beside its t.
  const strays = own.count - pointsBefore - 1;
  if (strays > 0) problems.push(`${strays} assertions were not of its t: import t from "tap", not functions`);
  let failed = fail;
  if (failed === 0 && (problems.length > 0 || test === undefined || !test.passing())) failed = 1;
  for (const problem of problems) console.log(`not ok - ${file}: ${problem}`);
  const isLast = failed > 0 || state.isListenedTo;
  return { passed: pass, failed, skipped: skip + todo, cpuSeconds: usedSeconds() - usedBefore, isLast };
}

async function main(): Promise<void> {
  await startTest("tap listens to the process from its first test on", { silent: true }, async () => {});
  leadToCurrent();
  const [timeoutMs, graceMs] = process.argv.slice(2).map((seconds) => Number(seconds) * 1000);
  const commands = new Socket({ fd: COMMANDS_FD, readable: true, writable: false });
  const say = (end: object): boolean => process.stdout.write(`\n${MARK}${JSON.stringify(end)}\n`);
  say({});
  for await (const file of createInterface({ input: commands })) say(await runFile(file, timeoutMs, graceMs));
}

await main();
