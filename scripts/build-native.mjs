// Builds the C addon (src/native/*.c), the CNI plug-in (src/cni/plugin/*.c) and what begins a lab's containers
// (src/lab/pod/enter/*.c) with the system C compiler alone: no node-gyp, no Python.
//   node scripts/build-native.mjs              build/native/<platform>-<arch>/podwire.node, podwire-cni, podwire-enter
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
const FLAGS = ["-std=gnu11", "-O3", "-Wall", "-Wextra", "-Werror", "-fno-strict-aliasing"];
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

/** C files and headers of a folder. */
function filesOf(folder) {
  return readdirSync(join(root, folder))
    .filter((name) => /\.[ch]$/.test(name))
    .map((name) => join(root, folder, name));
}

/** Compiles what has changed; `ways`: flags to try, one after the other, each with what to say of it. */
function build(name, folder, ways) {
  const inputs = filesOf(folder);
  const sources = inputs.filter((file) => file.endsWith(".c"));
  const out = join(root, "build/native", target, name);
  if (isFresh(out, [script, ...inputs])) return;
  mkdirSync(dirname(out), { recursive: true });
  // Renamed when complete: a running process keeps the file that it has mapped.
  const temporary = `${out}.${process.pid}`;
  for (const cc of [process.env.CC, "cc", "gcc", "clang"].filter(Boolean)) {
    for (const [i, { flags, remark }] of ways.entries()) {
      const isLast = i === ways.length - 1;
      const args = [...flags, "-o", temporary, ...sources];
      const run = spawnSync(cc, args, { stdio: ["ignore", "inherit", isLast ? "inherit" : "ignore"] });
      if (run.error?.code === "ENOENT") break;
      if (run.status === 0) {
        renameSync(temporary, out);
        console.log(`native: built build/native/${target}/${name} with ${cc}${remark}`);
        return;
      }
      rmSync(temporary, { force: true });
      if (!isLast) continue;
      console.error(`native: ${cc} failed`);
      process.exit(1);
    }
  }
  giveUp("no C compiler found. On Debian/Ubuntu: apt-get install --no-install-recommends gcc libc6-dev");
}

if (process.platform !== "linux") giveUp("the addon is for Linux only");
const target = `${process.platform}-${process.arch}${sanitize ? "-sanitized" : ""}`;
const extra = sanitize ? SANITIZE : [];
build("podwire.node", "src/native", [
  { flags: [...FLAGS, "-shared", "-fPIC", ...extra, "-I", headers()], remark: "" },
]);
// Static, so that it runs on whatever machine the runtime is: where libc has no static form, it says so.
build("podwire-cni", "src/cni/plugin", [
  ...(sanitize ? [] : [{ flags: [...FLAGS, "-static", "-s"], remark: ", static" }]),
  { flags: [...FLAGS, ...extra], remark: ", dynamic: it needs this machine's libc" },
]);
build("podwire-enter", "src/lab/pod/enter", [{ flags: [...FLAGS, ...extra], remark: "" }]);
