// Preloaded by `scripts/bench --cpu-prof` (NODE_OPTIONS=--require) into every program of its labs: an agent's data-plane
// threads then sample their JavaScript from their first line to their last, and write it as V8 has it, beside the command
// line that says whose it is. node --cpu-prof cannot be asked for by NODE_OPTIONS.
"use strict";
const { isMainThread, threadId } = require("node:worker_threads");
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const INTERVAL_US = 500;

const command = readFileSync("/proc/self/cmdline", "utf8").split("\0");
if (!isMainThread && command.includes("agent")) {
  const { Session } = require("node:inspector");
  const session = new Session();
  const post = (method, params) => {
    let result;
    session.post(method, params, (error, answer) => {
      if (error) throw new Error(`${method}: ${error.message}`);
      result = answer;
    });
    return result;
  };
  session.connect();
  post("Profiler.enable");
  post("Profiler.setSamplingInterval", { interval: INTERVAL_US });
  post("Profiler.start");
  process.on("exit", () => {
    const file = join(process.env.PODWIRE_BENCH_PROFILES, `${process.pid}-${threadId}.json`);
    writeFileSync(file, JSON.stringify({ command, ...post("Profiler.stop") }));
  });
}
