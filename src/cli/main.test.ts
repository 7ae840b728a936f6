import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { CommandLine } from "../testing/command-line.ts";
import { projectRoot } from "../testing/tidy/source-tree.ts";
import { VERBS, verbOf } from "./verbs.ts";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));
const env = { PODWIRE_LAB: "" };

const commands = new CommandLine(env);
t.teardown(() => commands.close());
const podwire = (...args: string[]) => commands.run(args);

t.test("a program of its own says and ends as a command line beside others does", async (t) => {
  for (const args of [["--version"], ["--help"], ["nosuch"], [], ["get", "pods", "--lab", "t-none"]]) {
    const options = { encoding: "utf8", env: { ...process.env, ...env } } as const;
    const { status, stdout, stderr } = spawnSync(join(projectRoot(), "podwire"), args, options);
    t.same({ status, stdout, stderr }, podwire(...args), args.join(" "));
  }
});

t.test("a full disk behind standard output is told in one line", async (t) => {
  for (const args of ["--help", "completion bash"]) {
    const line = `"${process.execPath}" "${MAIN}" ${args} >/dev/full`;
    const { status, stderr } = spawnSync("sh", ["-c", line], { encoding: "utf8" });
    t.equal(status, 1, args);
    t.equal(stderr, "error: standard output: no space left on device\n", args);
  }
});

t.test("the verb is the first word that is no global flag", async (t) => {
  t.equal(verbOf(["-o", "json", "--lab", "x", "get", "pods"]), "get");
  t.equal(verbOf(["-v", "lab", "up"]), "lab");
  t.equal(verbOf(["--help"]), undefined);
});

t.test("wrong usage: status 2 and one line on stderr", async (t) => {
  const cases = [
    ["nosuch"],
    ["flows"],
    ["lab", "up", "--nosuch"],
    ["lab", "nosuch"],
    ["get"],
    ["get", "pods", "-o", "xml"],
    ["apply"],
    ["apply", "-f", "x", "--dry-run=maybe"],
    ["create"],
    ["get", "pods", "-f", "x"],
    ["delete", "pod"],
    ["delete", "pod", "x", "--grace-period=soon"],
    ["exec", "web"],
    ["show", "nosuch"],
    ["lab", "up", "--timeout", "soon"],
    ["get", "pods", "-o", "go-template={{.}}"],
    ["get", "pods", "-l", "a=b=c"],
    ["get", "pods", "--sort-by", "["],
    ["scale", "deploy", "x"],
    ["scale", "deploy/x", "--replicas=y"],
    ["logs"],
    ["logs", "x", "-p", "-f"],
    ["logs", "x", "--since", "soon"],
    ["logs", "x", "--since=0s"],
    ["logs", "x", "--since-time", "10:00"],
    ["logs", "x", "--since", "1m", "--since-time", "2026-01-01T10:00:00Z"],
    ["get", "pods", "--output-watch-events"],
    ["label", "pod", "x"],
    ["annotate", "pod", "x", "a=b", "a-"],
    ["wait", "pod/x"],
    ["wait", "pod/x", "--for=Ready"],
    ["wait", "pod", "--for=delete"],
    ["rollout", "undone", "deploy/x"],
    ["rollout", "undo", "deploy/x", "-o", "name"],
    ["rollout", "pause", "deploy/x", "-o", "name"],
    ["logs", "x", "--tail", "y"],
    ["completion", "powershell"],
    ["cni", "nosuch"],
    ["agent"],
    ["check", "--dns-name", "a b"],
    ["check", "--dns-name", ""],
    ["check", "--dns-name", "a..b"],
  ];
  for (const args of cases) {
    const { status, stdout, stderr } = podwire(...args, "--lab", "t-none");
    t.equal(status, 2, `${args.join(" ")}: ${stderr}`);
    t.equal(stdout, "");
    t.match(stderr, /^error: [^\n]+\n$/, args.join(" "));
  }
});

t.test("what failed: status 1, one line that says what to do", async (t) => {
  for (const args of [
    ["get", "pods"],
    ["exec", "web", "--", "true"],
    ["show", "fdb"],
    ["apply", "-f", "/dev/null"],
  ]) {
    const { status, stderr } = podwire("--lab", "t-none", ...args);
    t.equal(status, 1, args.join(" "));
    t.match(stderr, /^error: [^\n]+\n$/);
  }
  t.match(
    podwire("get", "pods", "--lab", "t-none").stderr,
    /lab t-none: not running: podwire lab up --lab t-none/,
  );
});

t.test("--agent: a socket to ask, only where somebody is asked", async (t) => {
  const none = podwire("--agent", "/nonexistent.sock", "show", "fdb");
  t.equal(none.status, 1);
  t.match(none.stderr, /^error: no agent answers at \/nonexistent\.sock: systemctl start [^\n]+\n$/);
  t.equal(
    podwire("show", "fdb", "--agent", "/nonexistent.sock").stderr,
    none.stderr,
    "behind the command too",
  );
  const usage = [
    ["show", "fdb", "--lab", "x"],
    ["lab", "up"],
    ["apply", "-f", "/dev/null"],
    ["bench"],
    ["explain", "-f", "/dev/null", "--manifest-only"],
    ["rules", "-f", "/dev/null"],
  ];
  for (const words of usage) {
    const { status, stderr } = podwire(...words, "--agent", "/nonexistent.sock");
    t.equal(status, 2, `${words.join(" ")}: ${stderr}`);
    t.match(stderr, /^error: [^\n]*--agent[^\n]+\n$/);
  }
  const { status, stdout } = podwire("status", "--agent", "/nonexistent.sock", "-o", "json");
  t.equal(status, 3);
  t.match(JSON.parse(stdout), {
    ready: false,
    labs: [],
    agents: [{ state: "dead" }],
    checks: [{ ok: false }],
  });
  const lab = podwire("status", "--lab", "t-none");
  t.equal(lab.status, 1);
  t.match(lab.stderr, /^error: lab t-none: no such lab: podwire lab up --lab t-none makes it/);
});

t.test("--help and --version go to stdout with status 0", async (t) => {
  const help = podwire("--help");
  t.equal(help.status, 0);
  for (const { name } of VERBS.filter((verb) => verb.hidden !== true)) {
    t.match(help.stdout, new RegExp(`^  ${name} `, "m"));
    t.match(podwire(name, "--help").stdout, new RegExp(`^Usage: podwire ${name}`), `${name} is there`);
  }
  t.match(help.stdout, /^Usage: podwire/);
  t.match(podwire("lab", "up", "--help").stdout, /--file/);
  t.match(podwire("--version").stdout, /^\d+\.\d+\.\d+\n$/);
  t.equal(podwire().status, 2, "no command at all is wrong usage");
});

t.test("wrong usage is one sentence that ends with where help is", async (t) => {
  const cases: [args: string[], message: RegExp][] = [
    [
      ["rules", "--format", "nftables"],
      /are iptables-save, nft, ipvsadm, ipset: see podwire rules --help\n$/,
    ],
    [
      ["show", "route"],
      /^error: 'route' is no table\. Allowed choices are fdb, .*drops: see podwire show --help\n$/,
    ],
    [["explain", "pods"], /got 1: see podwire explain --help\n$/],
    [["cni", "foo"], /^error: unknown command 'foo': see podwire cni --help\n$/],
    [
      ["cni", "install", "--bin-dir", "opt/cni"],
      /^error: [^\n]*--bin-dir[^\n]*It is no absolute path: see podwire cni --help\n$/,
    ],
    [["cni", "remove", "--conf-dir", ""], /--conf-dir[^\n]*It is no absolute path/],
    [["agent", "--node-name", "x"], /^error: podwire agent: .*--config FILE/],
    [["check", "--dns-name", "a b"], /^error: --dns-name "a b": no name for DNS/],
    [["scale", "deploy", "web"], /--replicas <n>' not specified: see podwire scale --help\n$/],
  ];
  for (const [args, message] of cases)
    t.match(podwire(...args), { status: 2, stderr: message }, args.join(" "));
});

t.test("cni install tells a file in the place of a folder, and who may not write there", async (t) => {
  const install = (folder: string) => podwire("cni", "install", "--bin-dir", folder, "--conf-dir", folder);
  for (const [folder, why] of [
    [MAIN, "is no folder: name one"],
    [join(MAIN, "below"), "what it is to be in is no folder: name one"],
    ["/proc/podwire", "cannot be made there: name a folder elsewhere"],
  ])
    t.match(install(folder), { status: 1, stderr: new RegExp(`^error: cni: [^\\n]*${why}\\n$`) }, folder);
});

t.test("a lab without a name, a path for one, no socket and no file are told", async (t) => {
  const cases: [words: string[], status: number, message: RegExp][] = [
    [["get", "pods", "--lab", ""], 2, /^error: lab name ""/],
    [["show", "fdb", "--lab", "../x"], 2, /^error: lab name "\.\.\/x"/],
    [["show", "fdb", "--agent", ""], 2, /^error: --agent: no socket is named/],
    [
      ["lab", "down", "--lab", "t-none", "--grace-period", "99999999999"],
      2,
      /not a number of seconds up to 2147483/,
    ],
    [["rules", "-f", ""], 1, /^error: "": no such file\n$/],
  ];
  for (const [words, status, stderr] of cases)
    t.match(podwire(...words), { status, stderr }, words.join(" "));
});

t.test("the help of uninstall says in which order it goes", async (t) => {
  const { stdout } = podwire("uninstall", "--help");
  const steps = [
    "delete daemonset podwire",
    "uninstall --print | kubectl apply",
    "rollout status",
    "--ignore-not-found -f -",
  ];
  const places = steps.map((step) => stdout.indexOf(step));
  t.same(
    places,
    [...places].sort((a, b) => a - b),
  );
  t.ok(places[0] > 0, stdout);
});

t.test("completion proposes verbs, subcommands, flags and tables", async (t) => {
  t.match(podwire("__complete", "--", "co").stdout, /^conntrack\ncompletion\n$/);
  t.match(podwire("__complete", "--", "lab", "").stdout, /up\ndown\nstatus\nlist/);
  t.match(podwire("__complete", "--", "lab", "up", "--f").stdout, /--file/);
  t.match(podwire("__complete", "--", "show", "f").stdout, /^fdb\n$/);
  t.match(podwire("__complete", "--", "get", "-o", "").stdout, /wide/);
  t.equal(podwire("__complete", "--", "apply", "-f", "x").stdout, ":files\n");
  for (const shell of ["bash", "zsh", "fish"])
    t.match(podwire("completion", shell).stdout, /podwire __complete/);
});
