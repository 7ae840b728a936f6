// Imported before a test file: a signal ends its process as the file's own end does, so that what it has made is taken
// away (lab/at-end.ts, namespaces).
import { constants } from "node:os";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
