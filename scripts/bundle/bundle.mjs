// Puts each of podwire's programs into one file, build/bundle/…, with the code that V8 made of it: a command of 300
// modules starts in the time of one. `podwire` takes what is newer, this or build/src.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dirname, "../..");
const sources = join(root, "build/src");
const out = join(root, "build/bundle");

/** By their path in build/src, which is the one that they have in build/bundle. */
const PROGRAMS = ["cli/main", "plane/worker", "lab/pod/echo", "lab/pod/probe-helper"];
/** The same of the benchmark's, which measure what the product runs. */
const MEASURING = ["policy/policy-main", "scale/scale-main", "pipeline.bench"].map((name) => `bench/${name}`);
/** Whose functions the benchmark tells apart by their files. */
const MAPPED = ["plane/worker"];
/** Looked for beside those, but not part of the bundle. */
const PASSED_ON = ["bench/main"];
/** Packages that load an addon, and may be missing. */
const EXTERNAL = ["cap", "raw-socket"];

/** Command lines whose code is kept. None of these finds anything to do. */
const VERBS = ["get", "show", "trace", "explain", "lab", "apply", "capture", "conntrack", "rules", "status"];
const COMMANDS = [
  ...VERBS.map((verb) => [verb, "--help"]),
  ["get", "pods", "--lab", "no-such-lab"],
  ["agent", "--config", "no-such-file"],
];
/** What `podwire explain` is asked about meanwhile. */
const EXPLAINED = `
apiVersion: v1
kind: Node
metadata: { name: node1 }
spec: { podCIDR: 10.244.1.0/24 }
status: { addresses: [{ type: InternalIP, address: 192.0.2.11 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: a, namespace: default, labels: { app: a } }
spec: { nodeName: node1, containers: [{ name: a, image: a }] }
status: { phase: Running, podIPs: [{ ip: 10.244.1.2 }], conditions: [{ type: Ready, status: "True" }] }
---
apiVersion: v1
kind: Service
metadata: { name: a, namespace: default }
spec: { selector: { app: a }, clusterIP: 10.96.0.80, ports: [{ port: 80, targetPort: 8080 }] }
`;
const EXPLAIN = "explain -f - --node node1 --from pod/a --to service/a --port 80".split(" ");
/** Starts a plane and ends it: the worker's code. */
const START_PLANE = `
import { loadNative } from "./native/binding.js";
import { PlaneHandle } from "./plane/plane-handle.js";
const sizes = { conntrackLog2: 10, maxPorts: 16, fdbLog2: 8, neighborsLog2: 8, stationsLog2: 8,
  frontendsLog2: 8, endpointsLog2: 8, poolSlots: 64, seed: 7, policyRulesLog2: 8 };
const plane = new PlaneHandle(loadNative(), { sizes, spinUs: 0, cpuLatencyUs: -1, nice: 0, onExit: console.error });
plane.stop();
`;

async function loadEsbuild() {
  try {
    return await import("esbuild");
  } catch {
    return undefined;
  }
}

/** A module of `program` finds other files as it would in build/src: from where it would be in build/bundle. */
function placed(program) {
  const setup = (build) => {
    build.onLoad({ filter: /\.js$/ }, ({ path }) => {
      const file = relative(sources, path);
      if (file.startsWith("..")) return undefined;
      const url = `new URL(${JSON.stringify(relative(dirname(program), file))}, entryUrl).href`;
      const contents = readFileSync(path, "utf8").replaceAll("import.meta.url", url);
      return { contents, loader: "js" };
    });
  };
  return { name: "placed", setup };
}

async function bundle({ build }, program, input) {
  const file = join(out, `${program}.js`);
  await build({
    ...input,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    outfile: file.replace(/\.js$/, ".bundle.js"),
    external: EXTERNAL,
    plugins: [placed(program)],
    supported: { "dynamic-import": false }, // a package that is left out is required: the text has no URL of its own
    minifyWhitespace: true,
    sourcemap: MAPPED.includes(program) ? "external" : false,
    legalComments: "none",
    logLevel: "warning",
  });
  const loader = relative(dirname(program), "load.cjs");
  writeFileSync(file, `module.exports = require("./${loader}")(__filename);\n`);
}

/** Runs a program of the bundle, which then keeps the code that it used. */
function keepCode(program, args, input = "") {
  const env = { ...process.env, PODWIRE_KEEP_CODE: "1" };
  const stdio = ["pipe", "ignore", "ignore"];
  return spawnSync(process.execPath, [join(out, `${program}.js`), ...args], { env, input, stdio }).status;
}

rmSync(out, { recursive: true, force: true });
const esbuild = await loadEsbuild();
if (esbuild === undefined) {
  console.error("bundle: esbuild is not installed (npm ci), so every command starts module by module");
} else {
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, "package.json"), '{ "type": "commonjs" }\n');
  copyFileSync(join(import.meta.dirname, "load.cjs"), join(out, "load.cjs"));
  for (const program of PASSED_ON) {
    mkdirSync(dirname(join(out, program)), { recursive: true });
    const original = relative(dirname(program), `../src/${program}.js`);
    writeFileSync(join(out, `${program}.js`), `import("${original}");\n`);
  }
  const plane = { stdin: { contents: START_PLANE, resolveDir: sources } };
  await Promise.all([
    ...[...PROGRAMS, ...MEASURING].map((program) =>
      bundle(esbuild, program, { entryPoints: [join(sources, `${program}.js`)] }),
    ),
    bundle(esbuild, "start-plane", plane),
  ]);
  for (const words of COMMANDS) keepCode("cli/main", words);
  if (keepCode("cli/main", EXPLAIN, EXPLAINED) !== 0) console.error("bundle: its explain did not work");
  keepCode("start-plane", []);
}
