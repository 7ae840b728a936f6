// Preloaded into agents by the soak test (NODE_OPTIONS=--require): V8 then writes a line to the agent's log for every
// garbage collection in any thread. A PerformanceObserver would not do, since the worker's event loop never turns.
const { isMainThread } = require("node:worker_threads");
if (isMainThread) require("node:v8").setFlagsFromString("--trace-gc");
