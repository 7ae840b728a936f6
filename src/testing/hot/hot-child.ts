// The process in which hot code is measured: node [flags] hot-child.js MODULE EXPORT WARM_UNITS UNITS
// [V8_LOG]. Prints one line of JSON: bytes allocated between warm-up and end, collections meanwhile, length
// of the V8 log at the end of the warm-up. Run by hot-run.ts only.
import { statSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate, setTimeout } from "node:timers/promises";
import type { CreateHotSubject, HotSubject } from "./hot-subject.ts";

const PAUSE_MS = 5;
const [moduleUrl, exportName, warmUnits, units, v8Log] = process.argv.slice(2);

function spend(subject: HotSubject, count: number): number {
  let done = 0;
  while (done < count) {
    subject.run();
    done += subject.units;
  }
  return done;
}

const module = (await import(moduleUrl)) as Record<string, CreateHotSubject>;
const subject = module[exportName]();
// Several turns with a pause, so that what V8 compiles in the background is in use before the count begins.
for (let turn = 0; turn < 10; turn++) {
  spend(subject, Number(warmUnits) / 10);
  await setTimeout(PAUSE_MS);
}
let collections = 0;
const observer = new PerformanceObserver((list) => {
  collections += list.getEntries().length;
});
const collect = (globalThis as { gc?: () => void }).gc;
collect?.();
collect?.();
await setImmediate();
observer.observe({ entryTypes: ["gc"] });
process.memoryUsage(); // the first call allocates what later ones reuse
const logBytes = v8Log === undefined ? 0 : statSync(v8Log).size;
const before = process.memoryUsage();
const done = spend(subject, Number(units));
const after = process.memoryUsage();
await setImmediate();
await setImmediate();
subject.check?.();
const heapBytes = after.heapUsed - before.heapUsed;
const bufferBytes = after.arrayBuffers - before.arrayBuffers;
console.log(JSON.stringify({ units: done, heapBytes, bufferBytes, collections, logBytes }));
