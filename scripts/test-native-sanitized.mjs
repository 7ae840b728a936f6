// Runs the tests of the addon and the devices with an addon built under AddressSanitizer and UBSan.
//   node scripts/test-native-sanitized.mjs [--only SUBJECT[,SUBJECT]] [--report FILE] [FILE.test.ts…]
// Node itself is not instrumented, so libasan is preloaded; ArrayBuffers come from malloc and get red zones
// by that. Before anything else a planted error must be found: a run in which the sanitizer sleeps proves
// nothing. Needs root for the tests under native-test, and gcc's libasan (apt-get install libasan8).
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = resolve(import.meta.dirname, "..");
process.chdir(root);
const cc = process.env.CC ?? "cc";
const addon = join(root, "build/native", `${process.platform}-${process.arch}-sanitized`, "podwire.node");
const { values, positionals: named } = parseArgs({
  options: { only: { type: "string", multiple: true, default: [] }, report: { type: "string" } },
  allowPositionals: true,
});
const runner = join(root, "build/src/testing/runner");
if (!existsSync(runner)) fail(`${runner} is not there: npm run build`);
const { filesOf } = await import(join(runner, "subjects.js"));
const { addToReport } = await import(join(runner, "report.js"));
const { runSaving } = await import(join(runner, "saved.js"));
const { stopOnSignals } = await import(join(runner, "stop-on-signals.js"));
const MARK = " (sanitized)"; // in the report the same files have run without, too

const all =
  named.length > 0
    ? named
    : [
        "src/native/binding.test.ts",
        "src/native/offload.test.ts",
        "src/testing/fuzz/fuzz-hostile.test.ts",
        ...(process.getuid() === 0
          ? ["addon-tap", "addon-packet", "addon-vxlan", "addon-listen", "device"].map(
              (name) => `native-test/addon/${name}.test.ts`,
            )
          : []),
      ];
const subjects = values.only.flatMap((words) => words.split(","));
const tests = subjects.length > 0 ? subjects.flatMap((subject) => filesOf(subject, all)) : all;
if (tests.length === 0) {
  console.log("0 passed, 0 failed");
  process.exit(0);
}
const missing = tests.map(compiled).find((file) => !existsSync(file));
if (missing !== undefined) fail(`${missing} is not there: npm run build`);
if (named.length === 0 && process.getuid() !== 0)
  console.log("sanitized: without root only the tests in src");

function compiled(file) {
  return join("build", file.replace(MARK, "").replace(/\.ts$/, ".js"));
}

function fail(message) {
  console.error(`sanitized: ${message}`);
  process.exit(1);
}

function runtime(name) {
  const { stdout } = spawnSync(cc, [`-print-file-name=${name}`], { encoding: "utf8" });
  const path = stdout?.trim() ?? "";
  if (!path.startsWith("/")) fail(`${name} not found. On Debian/Ubuntu: apt-get install libasan8`);
  return realpathSync(path); // gcc may name a link; a linker script cannot be preloaded
}

const env = {
  ...process.env,
  PODWIRE_NATIVE: addon,
  LD_PRELOAD: runtime("libasan.so"),
  // Node frees little at exit; its own signal stack confuses ASan.
  ASAN_OPTIONS: "detect_leaks=0:use_sigaltstack=0:abort_on_error=0:exitcode=99",
  UBSAN_OPTIONS: "print_stacktrace=1",
};
const node = (args, over = {}) =>
  spawnSync(process.execPath, args, { env: { ...env, ...over }, encoding: "utf8" });

/** A tiny addon that writes one byte past a typed array: must be reported. */
function checkThatItBites() {
  const work = mkdtempSync(join(tmpdir(), "podwire-asan-"));
  try {
    const source = join(work, "planted.c");
    const planted = join(work, "planted.node");
    writeFileSync(
      source,
      `#define NAPI_VERSION 8
       #include <node_api.h>
       #include <stdint.h>
       static napi_value plant(napi_env env, napi_callback_info info) {
         size_t argc = 1, n; napi_value v; void *data;
         napi_get_cb_info(env, info, &argc, &v, NULL, NULL);
         napi_get_typedarray_info(env, v, NULL, &n, &data, NULL, NULL);
         ((uint8_t *)data)[n] = 1;
         return NULL;
       }
       NAPI_MODULE_INIT() {
         napi_value f; napi_create_function(env, "plant", NAPI_AUTO_LENGTH, plant, NULL, &f);
         napi_set_named_property(env, exports, "plant", f); return exports;
       }`,
    );
    const include = createRequire(import.meta.url)("node-api-headers").include_dir;
    const flags = [
      "-O1",
      "-g",
      "-shared",
      "-fPIC",
      "-fsanitize=address",
      "-I",
      include,
      "-o",
      planted,
      source,
    ];
    if (spawnSync(cc, flags, { stdio: "inherit" }).status !== 0) fail("cannot build the planted error");
    for (const memory of ["ArrayBuffer", "SharedArrayBuffer"]) {
      const script = `require(${JSON.stringify(planted)}).plant(new Uint8Array(new ${memory}(1000)))`;
      const { stderr, status } = node(["-e", script]);
      if (status !== 99 || !/heap-buffer-overflow/.test(stderr))
        fail(`a planted write past an ${memory} went unseen`);
    }
    console.log("sanitized: a planted write past the end was found, in plain and in shared memory");
  } finally {
    rmSync(work, { recursive: true });
  }
}

if (
  spawnSync(process.execPath, ["scripts/build-native.mjs", "--sanitize"], { stdio: "inherit" }).status !== 0
) {
  process.exit(1);
}
checkThatItBites();
const onResult = ({ file, passed, failed, seconds, output }) => {
  if (failed > 0)
    console.error(
      output
        .split("\n")
        .filter((line) => /not ok|Sanitizer|runtime error|^ +#\d/.test(line))
        .join("\n"),
    );
  const word = failed > 0 ? "FAILED" : "ok";
  console.log(`sanitized: ${compiled(file)}: ${word}, ${passed} passed (${seconds.toFixed(1)} s)`);
};
const stop = stopOnSignals();
const jobs = Math.min(2, availableParallelism());
const options = { jobs, timeoutSeconds: 600, compiled, env, onResult, stop };
const { results, saved } = await runSaving(
  tests.map((file) => `${file}${MARK}`),
  options,
);
if (stop.aborted) process.exit(stop.reason);
if (values.report !== undefined) addToReport(values.report, results, saved);
const sum = (field) => results.reduce((total, result) => total + result[field], 0);
console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
process.exitCode = sum("failed") === 0 ? 0 : 1;
