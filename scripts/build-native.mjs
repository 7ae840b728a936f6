// Builds the C addon (src/native/*.c) with the system C compiler alone: no node-gyp, no Python.
//   node scripts/build-native.mjs              build/native/<platform>-<arch>/podwire.node
//   node scripts/build-native.mjs --sanitize   the same under ASan and UBSan: <platform>-<arch>-sanitized
//   --force      build even if nothing changed
//   --optional   a missing compiler or a foreign platform is no error (postinstall); a compile error still is
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(import.meta.url);
const root = join(dirname(script), "..");
const optional = process.argv.includes("--optional");
const sanitize = process.argv.includes("--sanitize");
const force = process.argv.includes("--force");

// No -march=native: the file may be copied to another machine; the sums choose AVX2 at load time
// (checksum.c).
const FLAGS = [
  "-std=gnu11",
  "-O3",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-fno-strict-aliasing",
  "-shared",
  "-fPIC",
];
const SANITIZE = [
  "-g",
  "-fno-omit-frame-pointer",
  "-fsanitize=address,undefined",
  "-fno-sanitize-recover=all",
];

function giveUp(message) {
  console.error(`native: ${message}`);
  process.exit(optional ? 0 : 1);
}

function headers() {
  try {
    return createRequire(import.meta.url)("node-api-headers").include_dir;
  } catch {
    return join(dirname(process.execPath), "..", "include", "node"); // headers shipped beside node
  }
}

function isFresh(out, inputs) {
  if (force || !existsSync(out)) return false;
  const built = statSync(out).mtimeMs;
  return inputs.every((file) => statSync(file).mtimeMs < built);
}

if (process.platform !== "linux") giveUp("the addon is for Linux only");
const sourceDir = join(root, "src/native");
const files = readdirSync(sourceDir).filter((name) => /\.[ch]$/.test(name));
const sources = files.filter((name) => name.endsWith(".c")).map((name) => join(sourceDir, name));
const target = `${process.platform}-${process.arch}${sanitize ? "-sanitized" : ""}`;
const out = join(root, "build/native", target, "podwire.node");
if (isFresh(out, [script, ...files.map((name) => join(sourceDir, name))])) process.exit(0);

mkdirSync(dirname(out), { recursive: true });
// Renamed when complete: a running process keeps the file that it has mapped.
const temporary = `${out}.${process.pid}`;
const args = [...FLAGS, ...(sanitize ? SANITIZE : []), "-I", headers(), "-o", temporary, ...sources];
for (const cc of [process.env.CC, "cc", "gcc", "clang"].filter(Boolean)) {
  const run = spawnSync(cc, args, { stdio: "inherit" });
  if (run.error?.code === "ENOENT") continue;
  if (run.status !== 0) {
    rmSync(temporary, { force: true });
    console.error(`native: ${cc} failed`);
    process.exit(1);
  }
  renameSync(temporary, out);
  console.log(`native: built build/native/${target}/podwire.node with ${cc}`);
  process.exit(0);
}
giveUp("no C compiler found. On Debian/Ubuntu: apt-get install --no-install-recommends gcc libc6-dev");
