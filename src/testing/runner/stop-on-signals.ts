// Whoever ends a run of tests ends those that run as well, and waits until they have taken away what they made.
import { constants } from "node:os";

/** Aborted by the first signal that would end this process; the reason is the exit status then. */
export function stopOnSignals(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      if (!stop.signal.aborted) stop.abort(128 + constants.signals[signal]);
    });
  return stop.signal;
}
