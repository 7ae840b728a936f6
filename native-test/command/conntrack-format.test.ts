/** The kernel's own lines, read into entries and printed again, must come out byte for byte. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import t from "tap";
import {
  CONNTRACK_XML_END,
  CONNTRACK_XML_HEAD,
  conntrackSave,
  conntrackXml,
} from "../../src/observe/conntrack-documents.ts";
import { createConntrackFilter } from "../../src/observe/conntrack-filter.ts";
import {
  type ConntrackFormat,
  formatConntrackEntry,
  formatConntrackEvent,
  parseConntrackEvent,
  parseConntrackLine,
} from "../../src/observe/conntrack-format.ts";

const CLIENT = `pwt-ct-c-${process.pid}`;
const SERVER = `pwt-ct-s-${process.pid}`;
const children: ChildProcess[] = [];

const SERVER_PROGRAM = `
  const net = require("net"), udp = require("dgram").createSocket("udp4");
  net.createServer((s) => s.on("error", () => {}).write("x")).listen(8080, "::");
  udp.on("message", (m, from) => { if (from.port !== 5555) udp.send(m, from.port, from.address); });
  udp.bind(5353, () => console.log("ready"));`;
const CLIENT_PROGRAM = `
  const net = require("net"), dgram = require("dgram");
  const keep = (host, port) => net.connect(port, host).on("error", () => {});
  keep("10.9.0.2", 80); keep("fd00:9::2", 8080); keep("10.9.0.2", 9);
  net.connect(8080, "10.9.0.2", function () { this.end(); });
  const a = dgram.createSocket("udp4"), b = dgram.createSocket("udp4");
  a.send("a", 5353, "10.9.0.2", () => a.send("b", 5353, "10.9.0.2"));
  b.bind(5555, () => b.send("a", 5353, "10.9.0.2"));
  setTimeout(() => console.log("ready"), 300);`;

function missing(): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  for (const [program, flag] of [
    ["ip", "-V"],
    ["conntrack", "--version"],
    ["iptables", "--version"],
  ]) {
    if (spawnSync(program, [flag]).error) return `${program} is not installed`;
  }
  return false;
}

const ip = (...args: string[]) => execFileSync("ip", args, { stdio: ["ignore", "pipe", "pipe"] });
const inside = (namespace: string, ...command: string[]) =>
  spawnSync("ip", ["netns", "exec", namespace, ...command], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });

async function start(namespace: string, program: string): Promise<void> {
  const child = spawn("ip", ["netns", "exec", namespace, process.execPath, "-e", program]);
  children.push(child);
  await new Promise((resolve) => child.stdout.once("data", resolve));
}

function setUp(): void {
  for (const name of [CLIENT, SERVER]) ip("netns", "add", name);
  ip("link", "add", "v0", "netns", CLIENT, "type", "veth", "peer", "name", "v0", "netns", SERVER);
  for (const [name, host] of [
    [CLIENT, 1],
    [SERVER, 2],
  ] as const) {
    ip("-n", name, "addr", "add", `10.9.0.${host}/24`, "dev", "v0");
    ip("-n", name, "addr", "add", `fd00:9::${host}/64`, "dev", "v0", "nodad");
    ip("-n", name, "link", "set", "lo", "up");
    ip("-n", name, "link", "set", "v0", "up");
  }
  const nat = ["-A", "PREROUTING", "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to", "10.9.0.2:8080"];
  const watch = ["-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT"];
  for (const command of [
    ["iptables", "-t", "nat", ...nat],
    ["iptables", ...watch],
    ["ip6tables", ...watch],
  ]) {
    const result = inside(SERVER, ...command);
    if (result.status !== 0) throw new Error(result.stderr);
  }
}

t.teardown(() => {
  for (const child of children) child.kill("SIGKILL");
  for (const name of [CLIENT, SERVER]) spawnSync("ip", ["netns", "del", name]);
});

function kernelLines(...options: string[]): string[] {
  const { stdout, status, stderr } = inside(SERVER, "conntrack", "-L", ...options);
  if (status !== 0) throw new Error(stderr);
  return stdout.split("\n").filter((line) => line !== "");
}

t.test("the kernel's conntrack lines survive parse and format", { skip: missing() }, async (t) => {
  setUp();
  await start(SERVER, SERVER_PROGRAM);
  await start(CLIENT, CLIENT_PROGRAM);
  for (const address of ["10.9.0.2", "fd00:9::2"]) inside(CLIENT, "ping", "-c1", "-W1", address);

  for (const accounting of ["0", "1"]) {
    for (const name of ["nf_conntrack_acct", "nf_conntrack_timestamp"]) {
      inside(SERVER, "sysctl", "-qw", `net.netfilter.${name}=${accounting}`);
    }
    if (accounting === "1") await start(CLIENT, CLIENT_PROGRAM); // counted from now on
    const cases: { options: string[]; format: ConntrackFormat }[] = [
      { options: [], format: {} },
      { options: ["-o", "extended"], format: { extended: true } },
      { options: ["-o", "id"], format: { id: true } },
      { options: ["-o", "ktimestamp"], format: { ktimestamp: true } },
      { options: ["-o", "extended,id"], format: { extended: true, id: true } },
    ];
    for (const { options, format } of cases) {
      const theirs = kernelLines(...options);
      t.ok(theirs.length >= 5, `${theirs.length} entries`);
      const entries = theirs.map(parseConntrackLine);
      const ours = entries.map((entry) => (entry ? formatConntrackEntry(entry, format) : "not read"));
      t.same(
        ours,
        theirs.map((line) => line.trimEnd()),
        options.join(" ") || "plain",
      );
    }
  }
});

/** Entries that no packet of ours makes: marks, a zone, states. */
const MADE = [
  "-p tcp -s 10.9.8.1 -d 10.9.0.2 --sport 1000 --dport 80 --state ESTABLISHED -u ASSURED,SEEN_REPLY -t 300 -m 6",
  "-p udp -s 10.9.9.1 -d 10.9.0.2 --sport 1000 --dport 53 -t 300 -w 5",
  "-p udp -s 10.9.9.2 -d 10.9.0.3 --sport 1000 --dport 53 -t 300",
  "-p gre -s 10.9.9.1 -d 10.9.0.2 --srckey 0x10 --dstkey 0x20 --reply-key-src 0x20 --reply-key-dst 0x10 -t 300",
  "-p gre -s 10.9.9.2 -d 10.9.0.2 --srckey 22 --dstkey 20 --reply-key-src 20 --reply-key-dst 22 -t 300",
  "-p udp -s 10.9.9.3 -d 10.9.0.3 --sport 1000 --dport 53 -t 300 -m 16",
];

t.test("the kernel's entries as XML and as options", { skip: missing() }, async (t) => {
  for (const words of MADE) inside(SERVER, "conntrack", "-I", ...words.split(" "));
  const all = kernelLines("-o", "id,ktimestamp,extended").map((line) => parseConntrackLine(line)!);
  t.ok(all.length >= 9, `${all.length} entries`);
  t.match(
    all,
    all.map((_, i) => ({ zone: all[i].orig.src === "10.9.9.1" && all[i].proto === 17 ? 5 : undefined })),
  );
  // Seconds may pass between two listings.
  const still = (text: string) =>
    text.replace(/(<timeout>|<deltatime>|-t )\d+/g, "$1N").replace(/<start>(\d{10})\d{9}</g, "<start>$1<");
  const theirs = kernelLines("-o", "xml,ktimestamp").map(still);
  t.same([theirs[0], theirs[1], theirs.at(-1)], [...CONNTRACK_XML_HEAD.split("\n"), CONNTRACK_XML_END]);
  t.same(all.map((entry) => still(conntrackXml(entry, true))).sort(), theirs.slice(2, -1).sort());
  t.same(all.map((entry) => still(conntrackSave(entry))).sort(), kernelLines("-o", "save").map(still).sort());
});

t.test("our filters choose what conntrack(8) chooses", { skip: missing() }, async (t) => {
  const all = kernelLines("-o", "id").map((line) => parseConntrackLine(line)!);
  const cases: { options: string[]; filter: Record<string, string> }[] = [
    { options: ["-p", "tcp"], filter: { proto: "tcp" } },
    { options: ["-p", "udp"], filter: { proto: "udp" } },
    { options: ["-f", "ipv6"], filter: { family: "ipv6" } },
    { options: ["-s", "10.9.0.0/24"], filter: { src: "10.9.0.0/24" } },
    { options: ["-d", "10.9.0.2"], filter: { dst: "10.9.0.2" } },
    { options: ["-s", "10.9.0.9/24"], filter: { src: "10.9.0.9/24" } },
    {
      options: ["-s", "10.9.0.9", "--mask-src", "255.255.248.0"],
      filter: { src: "10.9.0.9", "mask-src": "255.255.248.0" },
    },
    {
      options: ["-s", "10.7.9.9", "--mask-src", "255.0.255.0"],
      filter: { src: "10.7.9.9", "mask-src": "255.0.255.0" },
    },
    {
      options: ["-s", "10.9.0.9/32", "--mask-src", "255.255.0.0"],
      filter: { src: "10.9.0.9/32", "mask-src": "255.255.0.0" },
    },
    {
      options: ["-d", "10.9.0.3", "--mask-dst", "255.255.255.254"],
      filter: { dst: "10.9.0.3", "mask-dst": "255.255.255.254" },
    },
    {
      options: ["-s", "fd00:9::9", "--mask-src", "ffff:ffff::"],
      filter: { src: "fd00:9::9", "mask-src": "ffff:ffff::" },
    },
    { options: ["-w", "0"], filter: { zone: "0" } },
    { options: ["-w", "5"], filter: { zone: "5" } },
    { options: ["-w", "6"], filter: { zone: "6" } },
    { options: ["--orig-zone", "0"], filter: { "orig-zone": "0" } },
    { options: ["--reply-zone", "5"], filter: { "reply-zone": "5" } },
    { options: ["-c", "0"], filter: { secmark: "0" } },
    { options: ["-m", "6"], filter: { mark: "6" } },
    { options: ["-m", "2/2"], filter: { mark: "2/2" } },
    { options: ["-m", "6/4"], filter: { mark: "6/4" } },
    { options: ["-m", "0/1"], filter: { mark: "0/1" } },
    { options: ["-u", "SEEN_REPLY,ASSURED"], filter: { status: "SEEN_REPLY,ASSURED" } },
    { options: ["-u", "FIXED_TIMEOUT"], filter: { status: "FIXED_TIMEOUT" } },
    { options: ["-u", "OFFLOAD"], filter: { status: "OFFLOAD" } },
    // Numbers: 16, 0x10 and 020 are one, 0x16 is another; ports are decimal whatever they begin with.
    ...["16", "0x10", "020", "0x16", "6", "0x6", "06", "010"].map((mark) => ({
      options: ["-m", mark],
      filter: { mark },
    })),
    ...["0x5", "05", "010"].map((zone) => ({ options: ["-w", zone], filter: { zone } })),
    ...["0x11", "021", "17"].map((proto) => ({ options: ["-p", proto], filter: { proto } })),
    { options: ["-p", "udp", "--sport", "01000"], filter: { proto: "udp", sport: "01000" } },
    { options: ["-r", "10.9.0.2"], filter: { "reply-src": "10.9.0.2" } },
    { options: ["-q", "10.9.0.1"], filter: { "reply-dst": "10.9.0.1" } },
    { options: ["-u", "ASSURED"], filter: { status: "ASSURED" } },
    { options: ["-u", "UNREPLIED"], filter: { status: "UNREPLIED" } },
    { options: ["-p", "tcp", "--dport", "80"], filter: { proto: "tcp", dport: "80" } },
    { options: ["-p", "tcp", "-g"], filter: { proto: "tcp", "dst-nat": "" } },
    { options: ["-p", "tcp", "-n"], filter: { proto: "tcp", "src-nat": "" } },
    { options: ["-p", "tcp", "-j"], filter: { proto: "tcp", "any-nat": "" } },
    { options: ["-p", "udp", "--sport", "5555"], filter: { proto: "udp", sport: "5555" } },
    { options: ["-p", "tcp", "--state", "ESTABLISHED"], filter: { proto: "tcp", state: "ESTABLISHED" } },
    {
      options: ["-p", "tcp", "--reply-port-src", "8080"],
      filter: { proto: "tcp", "reply-port-src": "8080" },
    },
  ];
  for (const { options, filter } of cases) {
    const ids = kernelLines("-o", "id", ...options).map((line) => parseConntrackLine(line)?.id);
    const ours = all.filter(createConntrackFilter(Object.entries(filter))).map((entry) => entry.id);
    t.same(ours.sort(), ids.sort(), `${options.join(" ")}: ${ids.length}`);
  }
  // What conntrack(8) itself calls wrong usage is wrong here.
  const wrong: { options: string[]; filter: Record<string, string> }[] = [
    { options: ["--mask-src", "255.255.255.0"], filter: { "mask-src": "255.255.255.0" } },
    {
      options: ["-s", "10.9.0.1", "--mask-src", "ffff::"],
      filter: { src: "10.9.0.1", "mask-src": "ffff::" },
    },
    { options: ["-p", "tcp", "--icmp-type", "8"], filter: { proto: "tcp", "icmp-type": "8" } },
    { options: ["-p", "icmp", "--sport", "8"], filter: { proto: "icmp", sport: "8" } },
    { options: ["-p", "udp", "--srckey", "8"], filter: { proto: "udp", srckey: "8" } },
    { options: ["-p", "tcp", "--state", "foo"], filter: { proto: "tcp", state: "foo" } },
    { options: ["-u", "foo"], filter: { status: "foo" } },
  ];
  for (const { options, filter } of wrong) {
    t.equal(inside(SERVER, "conntrack", "-L", ...options).status, 2, options.join(" "));
    t.throws(() => createConntrackFilter(Object.entries(filter)), options.join(" "));
  }
});

/**
 * conntrack(8) 1.4.7 reads keys in `-I`, as decimal, hexadecimal or octal numbers of 16 bits, but passes over them in
 * `-L` and `-D`, which then mean every GRE connection. Ours are filters there, too.
 */
t.test(
  "GRE's keys are read as conntrack(8) reads them, and they are filters",
  { skip: missing() },
  async (t) => {
    const keys = ["16", "0x16", "020", "040", "0x20", "9", "65535"];
    inside(SERVER, "conntrack", "-D", "-p", "gre");
    for (const [i, key] of keys.entries()) {
      const words = `-I -p gre -s 10.9.7.${i} -d 10.9.0.2 --srckey ${key} --dstkey 1 --reply-key-src 1 --reply-key-dst ${key}`;
      t.equal(inside(SERVER, "conntrack", ...words.split(" "), "-t", "300").status, 0, key);
    }
    const all = kernelLines("-p", "gre").map((line) => parseConntrackLine(line)!);
    t.equal(all.length, keys.length);
    const values = new Map(all.map(({ orig }) => [orig.src, orig.srcKey]));
    for (const [i, key] of keys.entries()) {
      const value = values.get(`10.9.7.${i}`);
      for (const option of ["srckey", "reply-key-dst"]) {
        const ours = all.filter(
          createConntrackFilter([
            ["proto", "gre"],
            [option, key],
          ]),
        );
        const wanted = all.filter(({ orig }) => orig.srcKey === value);
        t.same(ours, wanted, `--${option} ${key}: ${value}`);
      }
      const theirs = kernelLines("-p", "gre", "--srckey", key).length;
      t.ok(theirs === all.length || theirs === 1 || theirs === 2, `conntrack -L: ${theirs}`);
    }
    t.same(
      keys.map((_, i) => values.get(`10.9.7.${i}`)),
      [16, 22, 16, 32, 32, 9, 65535],
    );
    inside(SERVER, "conntrack", "-D", "-p", "gre");
  },
);

t.test(
  "conntrack(8)'s exit statuses, which ours follow in observe-cli.test.ts",
  { skip: missing() },
  async (t) => {
    for (const [words, status] of [
      ["-L -p sctp", 0],
      ["-C", 0],
      ["-S", 0],
      ["-D -p sctp", 1],
      ["-D -p tcp --sport 1", 1],
      ["-F -p tcp", 2],
      ["-L -D", 2],
      ["-L -p nosuch", 2],
      ["-L nosuch", 2],
    ] as const) {
      t.equal(inside(SERVER, "conntrack", ...words.split(" ")).status, status, words);
    }
  },
);

/** SCTP, UDP-Lite, GRE and ESP from CLIENT to SERVER, with real programs. */
async function talk(): Promise<void> {
  const peer = fileURLToPath(new URL("../support/sctp-peer.js", import.meta.url));
  const server = spawn("ip", ["netns", "exec", SERVER, process.execPath, peer, "serve", "2905"]);
  children.push(server);
  await new Promise((resolve) => server.stdout.once("data", resolve));
  inside(CLIENT, process.execPath, peer, "ask", "10.9.0.2", "2905");
  inside(CLIENT, process.execPath, peer, "ask", "fd00:9::2", "2905");
  const say = "printf '\\000\\000\\010\\000text' | socat -u STDIN";
  for (const proto of [47, 50]) inside(CLIENT, "sh", "-c", `${say} IP4-SENDTO:10.9.0.2:${proto}`);
  // The kernel's own conntrack takes UDP-Lite over veth for damaged.
  inside(SERVER, "sh", "-c", `${say} UDP4-DATAGRAM:127.0.0.1:700,protocol=136`);
  inside(CLIENT, "ping", "-c1", "-W1", "10.9.0.2");
}

const noTalk = missing() || (spawnSync("socat", ["-V"]).error ? "socat is not installed" : false);
t.test("events and protocols without states survive parse and format", { skip: noTalk }, async (t) => {
  const words = ["netns", "exec", SERVER, "conntrack", "-E", "-o", "timestamp,id,extended"];
  const events = spawn("ip", words, { stdio: ["ignore", "pipe", "inherit"] });
  children.push(events);
  let text = "";
  events.stdout.on("data", (chunk) => {
    text += String(chunk);
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  await talk();
  const listed = kernelLines();
  inside(SERVER, "conntrack", "-D", "-p", "icmp");
  inside(SERVER, "conntrack", "-D", "-p", "sctp");
  await new Promise((resolve) => setTimeout(resolve, 300));

  for (const proto of ["sctp", "udplite", "gre", "unknown"]) {
    const theirs = listed.filter((line) => line.startsWith(proto)).map((line) => line.trimEnd());
    t.ok(theirs.length > 0, `${proto}: ${theirs.length}`);
    const entries = theirs.map(parseConntrackLine);
    t.same(
      entries.map((entry) => entry && formatConntrackEntry(entry)),
      theirs,
    );
  }
  // Who deleted it is conntrack's own affair.
  const lines = text.split("\n").filter((line) => line !== "");
  const theirs = lines.map((line) => line.replace(/ *\[USERSPACE\].*/, "").trimEnd());
  const format = { timestamp: true, id: true, extended: true };
  const ours = theirs.map((line) => {
    const event = parseConntrackEvent(line, 0);
    return event ? formatConntrackEvent(event, format) : "not read";
  });
  t.same(ours, theirs);
  for (const kind of ["[NEW] ", "[UPDATE] ", "[DESTROY] "]) t.match(text, kind);
  t.match(text, /\[UPDATE\] ipv6 +10 sctp +132 210 ESTABLISHED /);
});
