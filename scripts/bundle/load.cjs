// Runs a program of the bundle: its text, and what V8 made of it when it was built. What another V8 made is not taken:
// then the text is compiled, as ever.
"use strict";
const { readFileSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { pathToFileURL } = require("node:url");
const { Script } = require("node:vm");

/** `entry` is the file that stands for the program; its text and V8's code lie beside it. */
module.exports = (entry) => {
  const [text, code] = [".bundle.js", ".code"].map((ending) => entry.replace(/\.js$/, ending));
  let cachedData;
  try {
    cachedData = readFileSync(code);
  } catch {}
  // esbuild writes nothing but ASCII; no line break before it, so that a stack trace has the file's lines, and columns.
  const before = "(function (exports, require, module, entryUrl) {";
  const source = `${before}${readFileSync(text, "latin1")}\n})`;
  const script = new Script(source, { filename: text, cachedData, columnOffset: -before.length });
  // Set by bundle.mjs: what this process runs is what is kept.
  if (process.env.PODWIRE_KEEP_CODE === "1") {
    process.on("exit", () => writeFileSync(code, script.createCachedData()));
  }
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(entry), module, pathToFileURL(entry).href);
  return module.exports;
};
