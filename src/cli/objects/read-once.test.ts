// Input that can be read once: what a shell makes of <(command), standard input under its names, a fifo. Every command
// answers as it does for a file with the same text.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { PcapngWriter } from "../../capture/pcapng-writer.ts";
import { type Said, SERVER } from "../../testing/command-line.ts";
import { tcpFrame } from "../../testing/frames/frame-builder.ts";

const PODWIRE = `${process.execPath} ${fileURLToPath(new URL("../main.js", import.meta.url))}`;
/** Many command lines in one process: a start takes longer than the command. */
const BATCH = `${process.execPath} ${SERVER} --batch`;
const directory = mkdtempSync(join(tmpdir(), "podwire-once-"));
t.teardown(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

/** In bash, for <(command); what hangs would wait for a pipe's other end. */
function shell(script: string, input?: string) {
  const options = { encoding: "utf8", cwd: directory, timeout: 60_000, input } as const;
  return spawnSync("bash", ["-c", script], options);
}

/** What each of these command lines says; they share the files that the script opens. */
function batch(
  lines: readonly string[],
  script = (command: string): string => command,
): [number, string, string][] {
  const { stdout, stderr } = shell(script(`${BATCH} ${lines.join(" ,, ")}`));
  const said = JSON.parse(stdout || "[]") as Said[];
  if (said.length !== lines.length) throw new Error(`${said.length} answers to ${lines.length}: ${stderr}`);
  return said.map(({ status, stdout, stderr }) => [status, stdout, stderr]);
}

// The Service waits for its address, the pods for their slices: what is missing has to be filled in from all objects.
const objects = file(
  "objects.yaml",
  `
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec: { nodeName: node1, containers: [ { name: c, image: podwire/echo } ] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [ { name: http, port: 80, targetPort: 8080 } ] }
`,
);
const service = (address: string): string => `
apiVersion: v1
kind: Node
metadata: { name: node1 }
spec: { podCIDR: 10.244.1.0/24 }
status: { addresses: [ { type: InternalIP, address: 192.168.50.11 } ] }
---
apiVersion: v1
kind: Service
metadata: { name: api }
spec: { clusterIP: ${address}, ports: [ { name: http, port: 80 } ] }
`;
const dump = file("dump.yaml", service("10.96.0.80"));
const former = file("former.yaml", service("10.96.0.81"));
const proxy = file(
  "proxy.yaml",
  "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: nftables\nclusterCIDR: 10.244.0.0/16\n",
);
const flows = file("flows.jsonl", '{"from":"10.244.1.2","to":"10.96.0.80","port":80}\n'.repeat(2));
const empty = file("empty.yaml", "");
const comments = file("comments.yaml", "# nothing here\n---\n# nor here\n");

const chunks: Uint8Array[] = [];
const writer = new PcapngWriter((bytes) => chunks.push(bytes));
writer.addInterface({ name: "eth0" });
const frame = tcpFrame({ src: "10.244.1.2", dst: "10.96.0.80", srcPort: 41_000, dstPort: 80, flags: "S" });
writer.packet({ interfaceId: 0, timestampNs: 1_700_000_000_000_000_000n, data: frame });
const capture = file("in.pcapng", Buffer.concat(chunks));

/** Each stands for the file; $F is the file, p0 … are fifos that give it, and descriptor 3 is it. */
const WAYS: Readonly<Record<string, (command: (name: string) => string) => string>> = {
  "<(…)": (command) => command('<(cat "$F")'),
  "- from a file": (command) => `"<$F" ${command("-")}`,
  "- from a fifo": (command) => `"<p0" ${command("-")}`,
  "/dev/stdin": (command) => `"<p1" ${command("/dev/stdin")}`,
  "/dev/fd/0": (command) => `"<p2" ${command("/dev/fd/0")}`,
  "/proc/self/fd/3": (command) => command("/proc/self/fd/3"),
  "a fifo": (command) => command("p3"),
};

const ask = "--from 10.244.1.2 --to 10.96.0.80 --port 80 --node node1";
/** A `stream` is read as it comes; all else is read whole before anything happens. */
const COMMANDS: readonly { file: string; command: (name: string) => string; stream?: true }[] = [
  { file: objects, command: (name) => `rules -f ${name}` },
  { file: dump, command: (name) => `rules -f ${name}` },
  { file: dump, command: (name) => `rules -f ${objects} -f ${name} --node node1` },
  { file: proxy, command: (name) => `rules -f ${objects} --config ${name}` },
  { file: dump, command: (name) => `explain -f ${name} ${ask}` },
  { file: dump, command: (name) => `explain -f ${name} --manifest-only` },
  { file: former, command: (name) => `explain -f ${dump} --previous ${name} ${ask}` },
  { file: proxy, command: (name) => `explain -f ${dump} --config ${name} ${ask}` },
  { file: flows, command: (name) => `explain -f ${dump} --node node1 --flows ${name}`, stream: true },
  { file: capture, command: (name) => `replay ${name} -f ${objects}`, stream: true },
  { file: objects, command: (name) => `replay ${capture} -f ${name}` },
  { file: proxy, command: (name) => `replay ${capture} -f ${objects} --config ${name}` },
];

t.test("one command, in all ways", async (t) => {
  const [{ file, command }] = COMMANDS;
  const want = shell(`${PODWIRE} ${command(file)}`);
  t.match(want.stdout, /\S/, want.stderr);
  const piped = shell(`cat ${file} | ${PODWIRE} ${command("-")}`);
  t.same([piped.status, piped.stdout], [want.status, want.stdout], `- from a pipe: ${piped.stderr}`);
  const feed = 'rm -f p?; mkfifo p0 p1 p2 p3; for p in p0 p1 p2 p3; do cat "$F" >$p & done';
  const said = batch(
    Object.values(WAYS).map((way) => way(command)),
    (line) => `F=${file}; ${feed}; ${line} 3<"$F"`,
  );
  for (const [i, way] of Object.keys(WAYS).entries())
    t.same(said[i].slice(0, 2), [want.status, want.stdout], `${way}: ${said[i][2]}`);
});

t.test("all commands, in the ways that differ most", async (t) => {
  const whole = COMMANDS.filter(({ stream }) => !stream);
  /** Each gets its file by a fifo of its own. */
  const fifos = [
    ...COMMANDS.map(({ file }, i) => ({ fifo: `named${i}`, file })),
    ...whole.map(({ file }, i) => ({ fifo: `input${i}`, file })),
  ];
  const names = fifos.map(({ fifo }) => fifo).join(" ");
  const feed = fifos.map(({ fifo, file }) => `{ cat ${file} >${fifo} & }`).join("; ");
  const said = batch(
    [
      ...COMMANDS.map(({ file, command }) => command(file)),
      ...COMMANDS.map(({ file, command }) => command(`<(cat ${file})`)),
      ...COMMANDS.map(({ command }, i) => command(`named${i}`)),
      ...whole.map(({ command }, i) => `'<input${i}' ${command("/dev/stdin")}`),
    ],
    (script) => `rm -f ${names}; mkfifo ${names} && ${feed}; ${script}`,
  );
  const [wanted, piped, named, fed] = [0, 1, 2, 3].map((i) =>
    said.slice(i * COMMANDS.length, (i + 1) * COMMANDS.length),
  );
  for (const [i, { file, command, stream }] of COMMANDS.entries()) {
    const name = command("FILE").replaceAll(`${directory}/`, "");
    const [status, stdout] = wanted[i];
    t.match(stdout, /\S/, name);
    t.same(piped[i].slice(0, 2), [status, stdout], `<(…): ${name}: ${piped[i][2]}`);
    t.same(named[i].slice(0, 2), [status, stdout], `a fifo: ${name}: ${named[i][2]}`);
    // Node makes a stream of standard input once in a process.
    const input = stream ? shell(`cat ${file} | ${PODWIRE} ${command("/dev/stdin")}`) : undefined;
    const got = input === undefined ? fed.shift()! : [input.status, input.stdout, input.stderr];
    t.same(got.slice(0, 2), [status, stdout], `/dev/stdin: ${name}: ${got[2]}`);
  }
});

t.test("several pipes at once, and standard input that is a socket", async (t) => {
  const args = (a: string, b: string, c: string) =>
    `explain -f ${a} --config ${b} --flows ${c} --node node1 -o json`;
  const pipes = [dump, proxy, flows].map((name) => `<(cat ${name})`) as [string, string, string];
  const [[, want], [, got]] = batch([args(dump, proxy, flows), args(...pipes)]);
  t.same(got, want);
  t.equal(want.split("\n").length, 3);
  // What spawns with a pipe in Node gives a socket, which cannot be opened by name.
  for (const name of ["-", "/dev/stdin"]) {
    const got = shell(`${PODWIRE} explain -f ${name} --manifest-only`, service("10.96.0.80"));
    t.match(got.stdout, /Service +1/, got.stderr);
  }
});

t.test("two readers of one input are refused, whatever its names", async (t) => {
  const once = "standard input can be read only once";
  const cases = [
    { script: "rules -f - -f -", want: `-f - and -f -: ${once}` },
    { script: "rules -f /dev/stdin -f -", want: `-f /dev/stdin and -f -: ${once}` },
    { script: "rules -f - --config /dev/fd/0", want: `-f - and --config /dev/fd/0: ${once}` },
    {
      script: `explain -f - --flows /proc/self/fd/0 --node node1`,
      want: `-f - and --flows /proc/self/fd/0: ${once}`,
    },
    {
      script: `explain -f - --previous /dev/stdin ${ask}`,
      want: `-f - and --previous /dev/stdin: ${once}`,
    },
    { script: `explain -f - --config - ${ask}`, want: `-f - and --config -: ${once}` },
    { script: "replay - -f /dev/stdin", want: `- and -f /dev/stdin: ${once}` },
    { script: `replay - -f ${objects} --config -`, want: `- and --config -: ${once}` },
    { script: "rules -f p -f p", want: "-f p and -f p: a pipe can be read only once" },
    { script: "rules -f /dev/fd/3 --config -", want: `-f /dev/fd/3 and --config -: ${once}` },
  ];
  shell("rm -f p && mkfifo p");
  const said = batch(
    cases.map(({ script }) => script),
    (line) => `cat ${dump} | ${line} 3<&0`,
  );
  for (const [i, { script, want }] of cases.entries()) {
    t.same(said[i], [2, "", `error: ${want}\n`], script);
  }
});

t.test("nothing at all to answer from is no empty cluster", async (t) => {
  const cases = [
    { args: `-f ${empty}`, want: `-f: ${empty} is empty` },
    { args: "-f <(false)", want: "-f: PIPE is empty" },
    { args: "-f - </dev/null", want: "-f: - is empty" },
    { args: `-f ${objects} -f <(false)`, want: "-f: PIPE is empty" },
    { args: `-f ${comments}`, want: `-f: no objects in ${comments}` },
  ];
  const lines = [
    ...cases.map(({ args, want }) => ({ line: `rules ${args}`, want })),
    { line: `explain ${ask} -f <(false)`, want: "-f: PIPE is empty" },
    { line: `replay ${capture} -f <(false)`, want: "-f: PIPE is empty" },
  ];
  const said = batch([
    ...lines.map(({ line }) => line),
    `explain -f ${dump} --previous <(false) ${ask}`,
    `explain -f ${dump} --node node1 --flows ${empty}`,
    `rules --node n -f <(echo '{"apiVersion":"v1","kind":"List","items":[]}')`,
    `rules -f ${objects} -f ${comments}`,
  ]);
  for (const [i, { line, want }] of lines.entries()) {
    const [status, stdout, stderr] = said[i];
    const text = stderr.replace(/\/dev\/fd\/\d+/, "PIPE");
    t.same(
      [status, stdout, text],
      [1, "", `error: ${want}: give manifests with at least one object\n`],
      line,
    );
  }
  const [previous, noFlows, listed, among] = said.slice(lines.length);
  t.match(previous[2], /^error: --previous: \/dev\/fd\/\d+ is empty: [^\n]+\n$/);
  t.same(noFlows.slice(0, 2), [0, ""]);
  t.match(noFlows[2], /no flows in it/);
  t.match(listed[1], /KUBE-SERVICES/, "a list that says that there are none is an answer");
  t.equal(among[0], 0, "among others, a file of comments is none the worse");
});

t.test("what cannot be read is one line with its name", async (t) => {
  mkdirSync(join(directory, "none"));
  mkdirSync(join(directory, "some/folder.yaml"), { recursive: true });
  writeFileSync(join(directory, "some/a.yaml"), service("10.96.0.80"));
  file("latin1.yaml", Buffer.from("kind: Pod\nmetadata: { name: caf\xe9 }\n", "latin1"));
  file("utf16.yaml", Buffer.from("\ufeffkind: Pod\nmetadata: { name: a\ud800 }\n", "utf16le"));
  file("picture.yaml", Buffer.from("ffd8ffe000104a46", "hex"));
  const cases = [
    { name: "/nonexistent.yaml", want: "no such file" },
    { name: `${objects}/x`, want: "no such file" },
    {
      name: "https://example.com/web.yaml",
      want: "addresses are not fetched: curl -sSL https://example.com/web.yaml | podwire …, with - for the file",
    },
    { name: "none", want: "no .yaml, .yml or .json file in it" },
    { name: "latin1.yaml", want: "line 2 is not UTF-8 text" },
    { name: "utf16.yaml", want: "line 2 is not UTF-16 text" },
    { name: "picture.yaml", want: "line 1 is not UTF-8 text" },
    { name: "/dev/fd/77", want: "not open for reading" },
    { name: "/dev/zero", want: "longer than 256 MiB" },
    { name: "/dev/fd/0", want: "is a directory" },
  ];
  const folders = ["rules --config some -f", `explain ${ask} --config some -f`, "replay some -f"];
  const said = batch(
    [
      ...cases.map(({ name }) => `rules -f ${name}`),
      ...folders.map((args) => `${args} ${dump}`),
      "rules -f some",
    ],
    (line) => `${line} <some`,
  );
  for (const [i, { name, want }] of cases.entries())
    t.same(said[i], [1, "", `error: ${name}: ${want}\n`], name);
  for (const [i, args] of folders.entries())
    t.equal(said[cases.length + i][2], "error: some: is a directory\n", args);
  t.equal(said.at(-1)?.[0], 0, "a folder's folders are passed over");
  if (process.getuid?.() !== 0) return; // others' files are unreadable for others only
  shell("install -m 600 -o 65534 objects.yaml own.yaml"); // and root without this capability is no more than others
  const plain =
    "setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-dac_override,-dac_read_search";
  const denied = shell(`${plain} ${PODWIRE} rules -f own.yaml`);
  t.equal(denied.stderr, "error: own.yaml: permission denied\n");
});
