// Preloaded by the soak test (NODE_OPTIONS=--require) into every program of its lab: in agents V8 then
// writes a line to the log for every garbage collection of any thread. A PerformanceObserver would not do,
// since the worker's event loop never turns.
const { isMainThread } = require("node:worker_threads");
if (isMainThread && process.argv.includes("agent")) require("node:v8").setFlagsFromString("--trace-gc");
