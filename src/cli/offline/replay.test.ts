import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import t from "tap";
import { parseAllDocuments } from "yaml";
import { PcapngWriter } from "../../capture/pcapng-writer.ts";
import { CommandLine } from "../../testing/command-line.ts";
import { tcpFrame, udpFrame } from "../../testing/frames/frame-builder.ts";

const PODWIRE = fileURLToPath(new URL("../main.js", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "podwire-replay-"));
t.teardown(() => rmSync(directory, { recursive: true }));
const podwire = new CommandLine();
t.teardown(() => podwire.close());

const objects = join(directory, "objects.yaml");
writeFileSync(
  objects,
  `
apiVersion: v1
kind: Pod
metadata: { name: client }
spec: { nodeName: node1, containers: [ { name: c, image: podwire/echo } ] }
---
apiVersion: v1
kind: Pod
metadata: { name: web, labels: { app: web } }
spec: { nodeName: node2, containers: [ { name: c, image: podwire/echo } ] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { clusterIP: 10.96.0.80, selector: { app: web }, ports: [ { name: http, port: 80, targetPort: 8080 } ] }
`,
);
const capture = join(directory, "in.pcapng");
const chunks: Uint8Array[] = [];
const writer = new PcapngWriter((bytes) => chunks.push(bytes));
writer.addInterface({ name: "eth0" });
const web = tcpFrame({ src: "10.244.1.2", dst: "10.96.0.80", srcPort: 41000, dstPort: 80, flags: "S" });
const lost = udpFrame({ src: "10.244.1.2", dst: "10.244.1.99", srcPort: 9, dstPort: 9 });
for (const [i, data] of [web, lost].entries()) {
  writer.packet({ interfaceId: 0, timestampNs: 1_700_000_000_000_000_000n + BigInt(i), data });
}
writer.packet({ interfaceId: 0, timestampNs: 1_700_000_000_000_000_009n, data: web, direction: "out" });
const answer = tcpFrame({
  srcMac: "0a:58:00:00:00:02",
  dstMac: "0a:58:00:00:00:01",
  src: "10.96.0.80",
  dst: "10.244.1.2",
  srcPort: 80,
  dstPort: 41000,
  flags: "S.",
  ack: 1,
});
writer.packet({ interfaceId: 0, timestampNs: 1_700_000_000_000_000_010n, data: answer, direction: "in" });
writer.addInterface({ name: "node2 eth0 default/web" });
writer.packet({ interfaceId: 1, timestampNs: 1_700_000_000_000_000_010n, data: web });
writeFileSync(capture, Buffer.concat(chunks));

const replay = (...args: string[]) => podwire.run(["replay", ...args]);

t.test("each packet of a capture gets its verdict", async (t) => {
  const { stdout, stderr, status } = replay(capture, "-f", objects);
  t.equal(status, 3, "a packet was dropped");
  const lines = stdout.trimEnd().split("\n");
  t.equal(lines.length, 4, "what another node saw is not put in");
  t.match(
    lines[0],
    /eth0 default\/client: IP 10\.244\.1\.2\.41000 > .* \[.*forward to uplink.*→ 10\.244\.2\.2:8080/,
  );
  t.match(lines[1], /dropped: Neighbor unreachable/);
  t.match(lines[3], /\[received: as captured; .*NAT source 10\.244\.2\.2:8080 → 10\.96\.0\.80:80/);
  t.equal(
    stderr,
    "note: 10.244.1.2 is taken for pod/default/client, whose address is made up here (no status.podIP): " +
      "if it is another pod's, give that Pod with -f\n" +
      "4 packets replayed: 2 forward, 1 drop (Neighbor unreachable), 1 as captured\n",
  );
});

t.test("with -v the stages are told, with -o json each packet is an object", async (t) => {
  t.match(
    replay(capture, "-f", objects, "-v", "-c", "1").stdout,
    /choose-backend +nat KUBE-SERVICES → KUBE-SVC-/,
  );
  const { stdout } = replay(capture, "-f", objects, "-o", "json");
  const records = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  t.match(records, [
    { number: 1, verdict: "forward", port: "eth0 default/client", outputs: [{ port: "uplink" }] },
    { number: 2, verdict: "drop", dropReason: "NEIGHBOR_FAILED" },
    { number: 3, verdict: "forward", direction: "in" },
    { number: 4, verdict: "as captured", direction: "out", compared: "as captured", differences: [] },
  ]);
  const documents = parseAllDocuments(replay(capture, "-f", objects, "-o", "yaml").stdout);
  t.same(
    documents.map((each) => each.toJS()),
    records,
  );
});

t.test("bad input is one line with the file's name", async (t) => {
  const cut = join(directory, "cut.pcapng");
  writeFileSync(cut, Buffer.concat(chunks).subarray(0, 150));
  const cases = [
    {
      args: ["/nonexistent.pcap", "-f", objects],
      status: 1,
      want: /^error: \/nonexistent\.pcap: no such file\n$/,
    },
    { args: [cut, "-f", objects], status: 1, want: /error: \S+cut\.pcapng: the capture is truncated.*\n$/ },
    {
      args: [objects, "-f", objects],
      status: 1,
      want: /^error: \S+objects\.yaml: neither a pcap nor a pcapng file/,
    },
    {
      args: [capture, "-f", objects, "--node", "node9"],
      status: 2,
      want: /^error: --node node9: .*node1, node2\n$/,
    },
    {
      args: [capture, "-f", objects, "--via", "sea"],
      status: 2,
      want: /^error: --via sea: use pod, uplink, host\n$/,
    },
    {
      args: [capture, "-f", objects, "--at", "pod/nobody"],
      status: 2,
      want: /^error: --at pod\/nobody: not a pod of node1: it has pod\/default\/client\n$/,
    },
    { args: [capture, "-f", objects, "--at", "uplink", "--via", "pod"], status: 2, want: /not both\n$/ },
    { args: [capture, "-f", capture], status: 1, want: /^error: / },
    { args: [capture, "-f", "/nonexistent.yaml"], status: 1, want: /^error: .*nonexistent\.yaml/ },
  ];
  for (const c of cases) {
    const { status, stderr } = replay(...c.args);
    t.equal(status, c.status, `${c.args.join(" ")}: ${stderr}`);
    t.match(stderr, c.want);
  }
});

const CASES = fileURLToPath(new URL("../../../../src/cli/offline/testdata/replay/", import.meta.url));

for (const file of ["pod-side-clusterip.pcap", "snaplen96.pcap", "any-sll2.pcap"]) {
  t.test(`${file}: a healthy connection, as a pod sees it`, async (t) => {
    const { stdout, stderr, status } = replay(join(CASES, file), "-f", join(CASES, "objects.yaml"));
    t.equal(status, 0, stdout + stderr);
    t.match(stderr, /^note: [^\n]*made up here[^\n]*\n\d+ packets replayed: \d+ forward, \d+ as captured\n$/);
    t.equal(/cut in the capture \(96 of 441 bytes\)/.test(stdout), file.startsWith("snaplen"));
  });
}

t.test("a link type that cannot be read is named", async (t) => {
  const bytes = readFileSync(join(CASES, "any-sll2.pcap"));
  bytes.writeUInt32LE(127, 20);
  const file = join(directory, "radio.pcap");
  writeFileSync(file, bytes);
  const { stderr, status } = replay(file, "-f", objects);
  t.equal(status, 1);
  t.match(
    stderr,
    /^error: \S+radio\.pcap: .*link type IEEE802_11_RADIOTAP \(127\) are not read: capture with .*\n$/,
  );
});

/** The capture of a pod with this address: what it asked and the answer. */
function connectionOf(pod: string, name: string): string {
  const chunks: Uint8Array[] = [];
  const writer = new PcapngWriter((bytes) => chunks.push(bytes));
  writer.addInterface({ name: "eth0" });
  const [ask, answer] = [
    { src: pod, dst: "10.96.0.80", srcPort: 41000, dstPort: 80, flags: "S", seq: 7 },
    { src: "10.96.0.80", dst: pod, srcPort: 80, dstPort: 41000, flags: "S.", seq: 70, ack: 8 },
  ];
  for (const [i, data] of [tcpFrame(ask), tcpFrame(answer)].entries())
    writer.packet({ interfaceId: 0, timestampNs: 1_700_000_000_000_000_000n + BigInt(i), data });
  const file = join(directory, name);
  writeFileSync(file, Buffer.concat(chunks));
  return file;
}

t.test(
  "a capture of a pod that the objects leave out: said once, and nothing is called dropped",
  async (t) => {
    const file = connectionOf("10.244.1.77", "left-out.pcapng");
    const { stdout, stderr, status } = replay(file, "-f", objects);
    t.equal(status, 1, "nothing could be judged");
    t.equal(
      stderr,
      "note: the capture seems to be taken at 10.244.1.77, which none of the given objects has: give its Pod with -f, " +
        "or say --at\n" +
        "note: pods without status.podIP have made-up addresses here: default/client, default/web: if it is one of them, " +
        "say --at pod/NAME\n" +
        "2 packets replayed: 2 not compared\n",
    );
    t.match(
      stdout,
      / 1 \S+ IP 10\.244\.1\.77.* \[not compared; of 10\.244\.1\.77, which no given object has\]\n/,
    );
    const at = replay(file, "-f", objects, "--at", "pod/client");
    t.equal(at.status, 0, at.stdout);
    t.equal(
      at.stderr,
      "note: pod/default/client is taken to have 10.244.1.77, as the capture shows it\n" +
        "2 packets replayed: 1 forward, 1 as captured\n",
    );
  },
);

const HEAD = "apiVersion: v1\nkind: Pod\nmetadata: { name: other }\n";
const SPEC = "nodeName: node1, containers: [ { name: c, image: podwire/echo } ]";

t.test("where a pod's address stands in its object, and whose network it has", async (t) => {
  const file = connectionOf("10.244.1.78", "addressed.pcapng");
  for (const status of ["podIP: 10.244.1.78", "podIPs: [ { ip: 10.244.1.78 } ]"]) {
    const pods = join(directory, "pods.yaml");
    writeFileSync(
      pods,
      `${readFileSync(objects, "utf8")}---\n${HEAD}spec: { ${SPEC} }\nstatus: { ${status} }\n`,
    );
    const { stderr } = replay(file, "-f", pods);
    t.equal(stderr, "2 packets replayed: 1 forward, 1 as captured\n", status);
  }
  const pods = join(directory, "pods.yaml");
  writeFileSync(pods, `${readFileSync(objects, "utf8")}---\n${HEAD}spec: { hostNetwork: true, ${SPEC} }\n`);
  t.match(replay(file, "-f", pods, "--at", "pod/other"), {
    status: 2,
    stderr: "error: --at pod/other: it has its node's network: use --at node/node1 or --at uplink\n",
  });
  t.match(
    replay(file, "-f", pods, "--at", "pod/web").stderr,
    "--at pod/web: it is on node2: use --node node2\n",
  );
  const node = connectionOf("192.168.50.11", "node.pcapng");
  const { stdout, stderr } = replay(node, "-f", pods);
  t.match(stdout, / host0: IP 192\.168\.50\.11\.41000 > /);
  t.equal(stderr, "2 packets replayed: 1 forward, 1 as captured\n");
});

t.test("standard input is replayed as it comes", { timeout: 60_000 }, async (t) => {
  const bytes = readFileSync(connectionOf("10.244.1.2", "live.pcapng"));
  const child = spawn(process.execPath, [PODWIRE, "replay", "-", "-f", objects, "-c", "2"]);
  const end = new Promise<number | null>((done) => child.on("exit", done));
  const lines: string[] = [];
  const first = new Promise<void>((done) => {
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      lines.push(...text.trimEnd().split("\n"));
      done();
    });
  });
  const second = bytes.length - 40; // within the last packet
  child.stdin.write(bytes.subarray(0, second));
  await first;
  t.equal(lines.length, 1, "before the second packet is there");
  child.stdin.write(bytes.subarray(second));
  t.equal(await end, 0, "and -c ends it although nobody closed standard input");
  t.match(lines[1], /received: as captured/);
});

t.test("a packed capture is told from one that is none, and a single packet is no packets", async (t) => {
  const one = Buffer.concat(chunks.slice(0, 3));
  const file = join(directory, "packed.pcap");
  writeFileSync(file, gzipSync(one));
  const refused = `error: ${file}: neither a pcap nor a pcapng file`;
  t.equal(
    replay(file, "-f", objects).stderr,
    `${refused}, but packed: unpack it first (gzip -dc) (at byte 0)\n`,
  );
  writeFileSync(file, "not a capture");
  t.equal(replay(file, "-f", objects).stderr, `${refused} (at byte 0)\n`);
  t.match(replay(capture, "-f", objects, "-c", "1").stderr, /^1 packet replayed: 1 forward$/m);
});
