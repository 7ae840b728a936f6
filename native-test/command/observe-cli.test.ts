// conntrack, capture and trace on the command line, against an agent that answers what the test wants.
import { spawnSync } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync, statSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { decodeBpf } from "../../src/base/bpf-program.ts";
import { readCapture } from "../../src/capture/capture-file.ts";
import { PcapngWriter } from "../../src/capture/pcapng-writer.ts";
import type { ConntrackEntry } from "../../src/observe/conntrack-entry.ts";
import { createConntrackFilter } from "../../src/observe/conntrack-filter.ts";
import { run, sleep } from "../../src/testing/lab/process.ts";
import { FakeLab } from "../support/fake-lab.ts";

const isMissing = (program: string): boolean => spawnSync(program, ["--version"]).error !== undefined;
const skip =
  process.getuid?.() !== 0 ? "needs root" : isMissing("tcpdump") ? "tcpdump is not installed" : false;

const ENTRIES: ConntrackEntry[] = [
  {
    family: "ipv4",
    proto: 6,
    state: "ESTABLISHED",
    timeoutSec: 431999,
    orig: { src: "10.244.1.2", dst: "10.96.0.1", sport: 41000, dport: 80 },
    reply: { src: "10.244.2.2", dst: "10.244.1.2", sport: 8080, dport: 41000 },
    status: ["SEEN_REPLY", "ASSURED", "CONFIRMED", "DST_NAT"],
    mark: 0,
    id: 7,
  },
  {
    family: "ipv4",
    proto: 17,
    timeoutSec: 29,
    orig: { src: "10.244.1.2", dst: "10.96.0.10", sport: 5000, dport: 53 },
    reply: { src: "10.244.2.9", dst: "10.244.1.2", sport: 53, dport: 5000 },
    status: ["CONFIRMED", "DST_NAT"],
    mark: 0,
    id: 8,
  },
];
const TCP_LINE =
  "tcp      6 431999 ESTABLISHED src=10.244.1.2 dst=10.96.0.1 sport=41000 dport=80 " +
  "src=10.244.2.2 dst=10.244.1.2 sport=8080 dport=41000 [ASSURED] mark=0 use=1\n";
// IPv4 UDP 10.244.1.2:5000 → 10.244.2.2:53 "test"
const IP_UDP = "4500002000010000401100000af401020af40202" + "13880035000c000074657374";
const FRAME = Buffer.from(`0a580af401010a580af401020800${IP_UDP}`, "hex");
const PACKETS = 50;

/** Requests that the agent saw, for the test to look at. */
const seen: URL[] = [];

function agent(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://agent");
  seen.push(url);
  const json = (body: unknown) => response.end(JSON.stringify(body));
  const route = `${request.method} ${url.pathname}`;
  if (route === "GET /conntrack/count") json({ count: 2, max: 262144 });
  else if (route === "GET /show/counters") json({ items: [{ counter: "ct_early_drop", value: 3 }] });
  else if (route === "GET /show/drops") json({ items: [{ reason: "CT_INVALID", packets: 4 }] });
  else if (url.pathname === "/conntrack")
    json({ items: ENTRIES.filter(createConntrackFilter(url.searchParams)) });
  else if (route === "GET /status")
    json({ ports: [{ id: 4, name: "default/web-1 eth0", kind: "pod", pod: "default/web-1" }] });
  else if (route === "GET /capture") sendPackets(response);
  else if (route === "GET /trace") sendTrace(response);
  else response.writeHead(404).end("{}");
}

function sendPackets(response: ServerResponse): void {
  const writer = new PcapngWriter((blocks) => response.write(blocks), { application: "test" });
  const interfaceId = writer.addInterface({ name: "default/web-1 eth0" });
  let sent = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < 10; i++, sent++) {
      const timestampNs = BigInt(Date.now()) * 1_000_000n;
      writer.packet({
        interfaceId,
        timestampNs,
        data: FRAME,
        direction: "in",
        comments: [`packet ${sent}: forward`],
      });
    }
    if (sent >= PACKETS) clearInterval(timer);
  }, 20);
  response.on("close", () => clearInterval(timer));
}

function sendTrace(response: ServerResponse): void {
  const tuple = { src: "10.244.1.2", dst: "10.96.0.1", sport: 41000, dport: 80 };
  const step = {
    verdict: "next",
    bridged: false,
    fromTunnel: false,
    inPort: 4,
    outPort: -1,
    family: 4,
    protocol: 6,
  };
  const more = { timeMs: 1, length: 60, tcpFlags: 2, gsoSize: 0, etherType: 0x800, translated: false };
  const base = { ...step, ...more, from: tuple, to: tuple, in: "default/web-1 eth0", hook: "" };
  for (const packet of [1, 2]) {
    for (const stage of ["parse", "classify"])
      response.write(`${JSON.stringify({ ...base, packet, stage })}\n`);
  }
  response.end(`${JSON.stringify({ node: "node1", lost: 3 })}\n`);
}

const lab = new FakeLab("pwt-obs", [{ name: "node1", agent: "podwire" }]);
const directory = mkdtempSync(join(tmpdir(), "podwire-observe-"));
t.before(async () => {
  if (skip !== false) return;
  await lab.agent("node1", agent);
  const pods = [{ namespace: "default", name: "web-1", node: "node1", ip: "10.244.1.2" }];
  await lab.lab({ "/status": { pods } });
});
t.teardown(() => {
  lab.close();
  rmSync(directory, { recursive: true });
});

t.test("conntrack list prints conntrack's lines, and its count on stderr", { skip }, async (t) => {
  const tcp = await lab.run("conntrack", "list", "-p", "tcp");
  t.equal(tcp.stdout, TCP_LINE);
  t.equal(tcp.stderr, "podwire conntrack: 1 flow entries have been shown.\n");
  t.equal(seen.at(-1)?.search, "?proto=tcp");
  const all = await lab.run("conntrack", "list", "-o", "extended,id");
  t.match(all.stdout, /^ipv4 {5}2 tcp .* use=1 id=7\nipv4 .* id=8\n$/);
  const json = await lab.run("conntrack", "list", "--dst-nat", "10.244.2.9", "-o", "json");
  t.match(JSON.parse(json.stdout), { kind: "conntrack", items: [{ id: 8, node: "node1" }] });
});

t.test("conntrack count and delete", { skip }, async (t) => {
  t.equal((await lab.run("conntrack", "count", "--node", "node1")).stdout, "2\n");
  t.match((await lab.run("conntrack", "count")).stdout, /^NODE +COUNT +MAX\nnode1 +2 +262144\n$/);
  const deleted = await lab.run("conntrack", "delete", "--orig-src", "10.244.1.0/24", "-p", "udp");
  t.match(deleted.stdout, /^udp {6}17 29 /);
  t.equal(deleted.stderr, "podwire conntrack: 1 flow entries have been deleted.\n");
  t.equal((await lab.run("conntrack", "delete")).status, 2);
  for (const words of [
    ["delete", "-p", "sctp"],
    ["-D", "-p", "tcp", "--sport", "1"],
    ["-D", "-p", "sctp", "-o", "xml"],
  ]) {
    const none = await lab.run("conntrack", ...words);
    t.equal(none.status, 1, `${words.join(" ")}: as conntrack -D`);
    t.equal(
      none.stderr,
      words.includes("xml") ? "" : "podwire conntrack: 0 flow entries have been deleted.\n",
    );
  }
  t.equal((await lab.run("conntrack", "-L", "-p", "sctp")).status, 0, "an empty list is an answer");
  t.equal((await lab.run("conntrack", "-F", "-f", "ipv6")).status, 0, "nothing to empty");
});

t.test("conntrack(8)'s own spelling: actions as options, masks, zones, labels", { skip }, async (t) => {
  t.equal((await lab.run("conntrack", "-L", "-p", "tcp")).stdout, TCP_LINE);
  t.equal((await lab.run("conntrack", "-p", "tcp", "-L", "conntrack")).stdout, TCP_LINE);
  t.equal((await lab.run("conntrack", "-C", "--node", "node1")).stdout, "2\n");
  t.match(
    (await lab.run("conntrack", "-D", "-p", "udp", "-o", "save")).stdout,
    /^-A -t 29 -u UNSET -s 10\.244\.1\.2 /,
  );
  t.match((await lab.run("conntrack", "-F")).stderr, "connection tracking table has been emptied");
  const stats = await lab.run("conntrack", "-S");
  t.match(
    stats.stdout,
    /^cpu=0 {3}\tfound=0 invalid=4 insert=0 insert_failed=0 drop=0 early_drop=3 error=0 .*\n$/,
  );
  const count = async (...words: string[]) =>
    /: (\d+) flow/.exec((await lab.run("conntrack", ...words)).stderr)?.[1];
  t.equal(await count("-L", "-s", "10.244.9.9", "--mask-src", "255.255.0.0"), "2");
  t.equal(await count("-L", "-s", "10.244.9.9", "--mask-src", "255.255.255.0"), "0");
  t.equal(await count("-L", "-w", "0"), "2");
  t.equal(await count("-L", "-w", "1"), "0");
  t.equal(await count("-L", "-l", "blue", "-l", "red"), "0");
  t.equal(seen.at(-1)?.search, "?label=blue%2Cred");
  const xml = await lab.run("conntrack", "-L", "-o", "xml");
  t.match(xml.stdout, /^<\?xml .*\n<conntrack>\n<flow>.*\n<flow>.*\n<\/conntrack>\n$/);
});

t.test("filters that make no sense are usage errors of one line", { skip }, async (t) => {
  const cases: string[][] = [
    ["conntrack", "list", "-p", "nosuch"],
    ["conntrack", "list", "-s", "10.1"],
    ["conntrack", "list", "-o", "nosuch"],
    ["conntrack", "list", "--node", "node9"],
    ["conntrack", "-L", "--mask-src", "255.255.255.0"],
    ["conntrack", "-L", "-z"],
    ["conntrack", "-L", "-t", "30"],
    ["conntrack", "-L", "expect"],
    ["conntrack", "-L", "-D"],
    ["conntrack", "-F", "-p", "tcp"],
    ["conntrack", "delete", "--all", "--any-nat"],
    ["conntrack", "-I", "-p", "tcp"],
    ["conntrack", "-E", "-o", "xml"],
    ["capture", "tcp", "portt", "80"],
    ["capture", "web-9"],
    ["capture", "-c", "0"],
    ["trace", "--port", "70000"],
    ["trace", "--protocol", "ipx"],
  ];
  for (const words of cases) {
    const { status, stderr } = await lab.run(...words);
    t.equal(status, 2, words.join(" "));
    t.match(stderr, /^error: [^\n]+\n$/, stderr.trim());
  }
  t.equal((await lab.run("capture", "client/outside")).status, 1);
});

t.test("capture prints one line a packet and ends at the count", { skip }, async (t) => {
  const result = await lab.run("capture", "web-1", "-c", "5", "udp port 53");
  t.equal(result.status, 0, result.stderr);
  const lines = result.stdout.trimEnd().split("\n");
  t.equal(lines.length, 5);
  t.match(
    lines[0],
    /^\d\d:\d\d:\d\d\.\d{6} default\/web-1 eth0 In {2}IP 10\.244\.1\.2\.5000 > .* \[packet 0: forward\]$/,
  );
  t.match(
    result.stderr,
    /listening on default\/web-1 eth0\n5 packets captured\n0 packets dropped by podwire\n$/,
  );
  const request = seen.at(-1);
  t.equal(request?.searchParams.get("ports"), "4");
  t.ok(decodeBpf(Buffer.from(request?.searchParams.get("filter") ?? "", "base64url")).length > 10);
});

t.test("capture -w writes a file that an interrupt closes cleanly", { skip }, async (t) => {
  const file = join(directory, "a.pcapng");
  const running = await lab.start(/listening on all ports of node1/, "capture", "-w", file);
  await sleep(600);
  await running.stop("SIGINT");
  t.match(running.output(), new RegExp(`${PACKETS} packets captured`));
  let packets = 0;
  for await (const item of readCapture(createReadStream(file))) if (item.type === "packet") packets++;
  t.equal(packets, PACKETS);
});

t.test("capture -w - is pcapng on standard output", { skip }, async (t) => {
  const result = await lab.run("capture", "-w", "-", "-c", "3");
  t.equal(Buffer.from(result.stdout, "latin1").readUInt32BE(0), 0x0a0d0d0a);
});

t.test("a full disk is one line and status 1; what was written stays readable", { skip }, async (t) => {
  const mount = `mount -t tmpfs -o size=4k none ${directory}/small`;
  const script = [
    `mkdir -p ${directory}/small && ${mount} || exit 99`,
    `"$@" -w ${directory}/small/full.pcapng`,
    `status=$?; cp ${directory}/small/full.pcapng ${directory}/full.pcapng; exit $status`,
  ].join("; ");
  const result = await run(["unshare", "-m", "sh", "-c", script, "sh", ...lab.command("capture")]);
  t.equal(result.status, 1, result.stderr);
  t.match(
    result.stderr,
    /packets captured\n[^\n]+\nerror: \S+full\.pcapng: no space left on device: the \d+ bytes/,
  );
  const file = join(directory, "full.pcapng");
  t.ok(statSync(file).size <= 4096);
  let packets = 0;
  for await (const item of readCapture(createReadStream(file))) if (item.type === "packet") packets++;
  t.ok(packets > 5, `${packets} packets`);
});

t.test("trace tells each packet's stages together", { skip }, async (t) => {
  const result = await lab.run("trace", "-c", "2", "--from", "pod/web-1", "--port", "80");
  t.equal(result.status, 0, result.stderr);
  const lines = result.stdout.trimEnd().split("\n");
  t.equal(lines.length, 4);
  t.match(
    lines[0],
    /^#1 node1 default\/web-1 eth0 {2}parse +IPv4 TCP 10\.244\.1\.2:41000 .* 10\.96\.0\.1:80 SYN/,
  );
  t.match(result.stderr, /3 records of node1 were lost/);
  t.match(result.stderr, /2 packets traced\n$/);
  const json = await lab.run("trace", "-o", "json", "arp");
  const records = json.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  t.match(records, [
    { node: "node1", packet: 1, steps: [{ stage: "parse" }, { stage: "classify" }] },
    { packet: 2 },
  ]);
});

t.test("an agent that is not there is one line", { skip }, async (t) => {
  const empty = new FakeLab("pwt-obs-e", [{ name: "node1", agent: "podwire" }]);
  t.teardown(() => empty.close());
  for (const words of [["conntrack", "list"], ["capture"], ["trace"]]) {
    const { status, stderr } = await empty.run(...words);
    t.equal(status, 1);
    t.match(
      stderr,
      /^error: agent of node1 is not running|^error: the agent of node1 is not running/,
      stderr,
    );
  }
});
