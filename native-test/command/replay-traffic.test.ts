// Traffic of many kinds, captured at many places of a lab: nothing healthy is called dropped or different, and what is
// made wrong in a capture is named, alone. A node of the kernel's judges the same independently of the plane.
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { readCapture } from "../../src/capture/capture-file.ts";
import type { CapturePacket } from "../../src/capture/pcapng.ts";
import { PcapngWriter } from "../../src/capture/pcapng-writer.ts";
import { cannotRun, type LabSpec, TestLab } from "../../src/testing/lab/lab.ts";
import { NODE_PORT } from "../../src/testing/lab/objects.ts";
import * as checksum from "../../src/wire/bytes/checksum.ts";
import * as ipv4 from "../../src/wire/ip/ipv4.ts";
import {
  capture,
  LATE,
  NODE1,
  OUTSIDE,
  PLACES,
  type Place,
  trafficObjects,
} from "../support/replay-traffic.ts";

const skip = cannotRun("tcpdump", "curl", "ping", "socat", "traceroute", "timeout");
const IP = 14; // in a frame without tags
const L4 = 34;

interface Answer {
  number: number;
  direction: string;
  verdict: string;
  summary: string;
  dropText?: string;
  differences?: string[];
  notes?: string[];
}

async function labOf(name: string, spec: LabSpec): Promise<TestLab> {
  const clusterCIDR = "10.244.0.0/16,fd00:10:244::/56";
  return TestLab.up(name, { clusterCIDR, objects: trafficObjects(), ...spec });
}

async function take(lab: TestLab, places: readonly Place[], late: readonly Place[] = []): Promise<void> {
  await capture(lab, places, late);
  const dump = await lab.output(["get", "pods,services,nodes,endpointslices", "-A", "-o", "yaml"]);
  await writeFile(join(lab.folder, "objects.yaml"), dump);
}

async function replay(lab: TestLab, file: string, node: string) {
  const args = ["replay", join(lab.folder, file), "-f", join(lab.folder, "objects.yaml"), "--node", node];
  const { status, stdout, stderr } = await lab.podwire([...args, "-o", "json"]);
  const lines = stdout.split("\n").filter(Boolean);
  return { status, stderr, answers: lines.map((line) => JSON.parse(line) as Answer) };
}

/** A drop is healthy where its sender was told: what expires in traceroute. */
async function healthy(t: Test, lab: TestLab, [name, , , node]: Place): Promise<void> {
  const { status, stderr, answers } = await replay(lab, `${name}.pcap`, node);
  const wrong = answers.filter(({ verdict, dropText }) => {
    return verdict === "differs" || (verdict === "drop" && dropText !== "TTL exceeded");
  });
  t.same(wrong, []);
  t.equal(status, 0, stderr);
  const compared = answers.filter(({ verdict }) => verdict === "as captured").length;
  t.ok(compared >= 8, `${compared} of ${answers.length} packets are as captured`);
}

/** What is made wrong: in the first packet that the plane sent of which tcpdump's line says so. */
interface Lie {
  readonly capture: string;
  readonly of: RegExp;
  readonly change: (view: DataView) => void;
  readonly want: RegExp;
}

/** 32 bits of a packet's addresses or ports change, and its checksums with them. */
function rewrite(view: DataView, at: number, value: number, sumAt: number): void {
  const sum = view.getUint16(sumAt);
  const difference = checksum.difference32(view.getInt32(at), value);
  view.setInt32(at, value);
  if (sumAt !== L4 + 2)
    checksum.adjustBy(view, sumAt, difference); // ICMP has no pseudo-header
  else view.setUint16(sumAt, sum);
  ipv4.computeChecksum(view, IP);
}

const LIES: Record<string, Lie> = {
  "a TCP checksum": {
    capture: "client",
    of: /\.80 > 10\.244\.1\.2\.\d+: Flags \[P\.\].* length \d\d/,
    change: (view) => view.setUint8(L4 + 16, view.getUint8(L4 + 16) ^ 0x55),
    want: /^wrong TCP checksum$/,
  },
  "a MAC address of somebody else": {
    capture: "client",
    of: /\.80 > 10\.244\.1\.2\.\d+: Flags \[P\.\].* length \d\d/,
    change: (view) => view.setUint8(5, view.getUint8(5) ^ 0x40),
    want: /^destination MAC 0a:58:0a:f4:01:42, the pod has 0a:58:0a:f4:01:02$/,
  },
  "a source that was not masqueraded": {
    capture: "uplink",
    of: new RegExp(`IP ${NODE1} > ${OUTSIDE}: ICMP echo request`),
    change: (view) => rewrite(view, IP + 12, 0x0af40102, L4 + 2),
    want: /^source 10\.244\.1\.2, the plane sends 192\.168\.50\.11$/,
  },
  "an answer from another node port": {
    capture: "uplink",
    of: new RegExp(`IP ${NODE1}\\.${NODE_PORT} > ${OUTSIDE}\\.\\d+: Flags \\[P\\.\\]`),
    change: (view) => rewrite(view, L4, view.getInt32(L4) + 0x10000, L4 + 16),
    want: /^wrong TCP checksum$|^source \S+:30081, the plane sends \S+:30080$/, // unfinished sums are not mended
  },
};

async function packetsOf(file: string): Promise<CapturePacket[]> {
  const packets: CapturePacket[] = [];
  for await (const item of readCapture(createReadStream(file)))
    if (item.type === "packet") packets.push(item.packet);
  return packets;
}

async function told(t: Test, lab: TestLab, { capture: name, of, change, want }: Lie): Promise<void> {
  const { answers } = await replay(lab, `${name}.pcap`, "node1");
  const at = answers.findIndex(({ summary, verdict }) => verdict === "as captured" && of.test(summary));
  t.ok(at >= 0, "there is such a packet");
  const packets = await packetsOf(join(lab.folder, `${name}.pcap`));
  const data = packets[at].data.slice();
  change(new DataView(data.buffer, data.byteOffset, data.length));
  const blocks: Uint8Array[] = [];
  const writer = new PcapngWriter((bytes) => blocks.push(bytes));
  writer.addInterface({ name: "eth0" });
  for (const [i, packet] of packets.entries())
    writer.packet({ interfaceId: 0, timestampNs: packet.timestampNs, data: i === at ? data : packet.data });
  await writeFile(join(lab.folder, "lie.pcapng"), Buffer.concat(blocks));
  const { status, answers: judged } = await replay(lab, "lie.pcapng", "node1");
  t.equal(status, 3);
  const wrong = judged.filter(
    ({ direction, differences = [] }) => direction === "out" && differences.length > 0,
  );
  t.equal(wrong[0]?.number, at + 1, "the packet is the first that is wrong");
  t.match(wrong[0]?.differences?.[0] ?? "", want);
}

t.test("traffic of many kinds through two nodes", { skip, timeout: 300_000 }, async (t) => {
  const lab = await labOf("replay-traffic", {});
  t.teardown(() => lab.down());
  await take(lab, PLACES, LATE);
  for (const place of [...PLACES, ...LATE]) await t.test(place[0], (t) => healthy(t, lab, place));
  for (const [what, lie] of Object.entries(LIES))
    await t.test(`made wrong: ${what}`, (t) => told(t, lab, lie));
});

t.test("the same at a node of the kernel's", { skip, timeout: 300_000 }, async (t) => {
  const nodes = [{ name: "node1" }, { name: "node2", agent: "kernel" as const }];
  const lab = await labOf("replay-kernel", { nodes });
  t.teardown(() => lab.down());
  const places = PLACES.filter(([name]) => name === "far-client" || name === "far-uplink");
  await take(lab, places);
  for (const place of places) await t.test(place[0], (t) => healthy(t, lab, place));
});
