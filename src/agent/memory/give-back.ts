/**
 * Memory that nobody holds any more, above all what reading an API server's objects took, goes back to the machine when
 * nothing has changed for a while: V8 keeps pages for little that is in them and room for young objects, the C library
 * keeps what it was given back. It takes the main thread up to 0.1 s, and packets nothing.
 */
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import type { Native } from "../../native/binding.ts";
import { compactNow } from "../../plane/warm-up.ts";
import { GiveBackTimes } from "./give-back-times.ts";

const LOOK_MS = 3000;
/** Room for young objects stays what it is then: after the next large change it would be 32 MiB and more again. */
const NO_GROWTH = "--semi-space-growth-factor=1";

export class GiveBack {
  readonly #native: Native;
  readonly #times = new GiveBackTimes();

  constructor(native: Native) {
    this.#native = native;
  }

  start(): void {
    setInterval(() => this.#look(), LOOK_MS).unref();
  }

  changed(): void {
    this.#times.changed(performance.now());
  }

  #look(): void {
    const { total_heap_size: before, used_heap_size: used } = getHeapStatistics();
    if (!this.#times.isDue(performance.now(), before, used)) return;
    compactNow();
    this.#native.trimMemory();
    setFlagsFromString(NO_GROWTH); // a thread that starts takes this one back
    this.#times.collected(performance.now(), before, getHeapStatistics().total_heap_size);
  }
}
