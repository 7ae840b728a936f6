// Captures as people take them, of real traffic in a lab: at a pod, at the uplink, at host0, of all interfaces, cut,
// merged. In none of them may replay call a healthy connection dropped or different; a planted packet it must.
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { readCapture } from "../../src/capture/capture-file.ts";
import type { CapturePacket } from "../../src/capture/pcapng.ts";
import { PcapngWriter } from "../../src/capture/pcapng-writer.ts";
import { tcpFrame } from "../../src/testing/frames/frame-builder.ts";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { NODE_PORT, service, standardObjects, UDP_PORT } from "../../src/testing/lab/objects.ts";
import { run } from "../../src/testing/lab/process.ts";
import * as tcp from "../../src/wire/transport/tcp.ts";

const skip = cannotRun("tcpdump", "mergecap", "curl", "ping", "socat");
const NODE1 = "192.168.50.11";
const OUTSIDE = "192.168.50.100";
const TCP_AT = 34; // in a frame without tags and options

/** Name of the capture, where it is taken, and tcpdump's further words. */
const TAKEN: readonly [name: string, workload: string, device: string, ...more: string[]][] = [
  ["pod", "client-1", "eth0"],
  ["pod-cut", "client-1", "eth0", "-s", "96"],
  ["server", "web-1", "eth0"],
  ["uplink", "node/node1", "eth0"],
  ["uplink-cut", "node/node1", "eth0", "-s", "128"],
  ["host", "node/node1", "host0"],
  ["any", "node/node1", "any"],
  ["any-sll", "node/node1", "any", "-y", "LINUX_SLL"],
];
const MERGED: readonly [name: string, format: string, ...of: string[]][] = [
  ["pod-and-uplink", "pcapng", "pod", "uplink"],
  ["pod-uplink-host", "pcap", "pod", "uplink", "host"],
];

/** Service, node port, other pods; IPv4 and IPv6; TCP, UDP and ICMP; fragments and the tunnel. */
async function traffic(lab: TestLab): Promise<void> {
  const [web] = (await lab.json("get", "services", "web")).spec.clusterIPs;
  const six = (await lab.json("get", "services", "web")).spec.clusterIPs[1];
  const far = await lab.podAddress("web-2");
  const curl = (url: string) => ["curl", "-sS", "--max-time", "5", url];
  const asked: [from: string, command: string[], times: number][] = [
    ["client-1", curl(`http://${web}/`), 4],
    ["client-1", curl(`http://[${six}]/`), 3],
    ["node/node1", curl(`http://${web}/`), 3],
    ["client/outside", curl(`http://${NODE1}:${NODE_PORT}/`), 3],
    ["client-1", ["ping", "-c", "2", "-i", "0.2", "-s", "4000", far], 1],
    ["client-1", ["ping", "-c", "2", "-i", "0.2", OUTSIDE], 1],
    [
      "client-1",
      ["sh", "-c", `head -c 3000 /dev/zero | tr '\\0' a | socat -t 0.5 - UDP:${web}:${UDP_PORT}`],
      1,
    ],
  ];
  for (const [from, command, times] of asked) {
    for (let i = 0; i < times; i++) {
      const { status, stdout, stderr } = await lab.exec(from, command);
      if (status !== 0 || stdout === "")
        throw new Error(`${from}: ${command.join(" ")}: ${status} ${stderr}`);
    }
  }
}

interface Answer {
  number: number;
  verdict: string;
  summary: string;
  dropReason?: string;
  differences?: string[];
}

t.test("captures taken in a lab", { skip, timeout: 240_000 }, async (t) => {
  const dual = service("web", { ipFamilyPolicy: "RequireDualStack" });
  const objects = standardObjects().map((each) =>
    (each as { kind: string }).kind === "Service" ? dual : each,
  );
  // Of frames that leave joined a cut capture has the first, and nobody knows what the others were.
  const dataplane = { tunnelBundles: false };
  const lab = await TestLab.up("replay", {
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/56",
    dataplane,
    objects,
  });
  t.teardown(() => lab.down());
  const file = (name: string) => join(lab.folder, name);
  const captures = [];
  for (const [name, workload, device, ...more] of TAKEN) {
    const command = ["tcpdump", "-i", device, "-U", "-Z", "root", ...more, "-w", file(`${name}.pcap`)];
    captures.push(await lab.startIn(workload, command, /listening on/));
  }
  await traffic(lab);
  await new Promise((done) => setTimeout(done, 300)); // tcpdump's own delay
  for (const capture of captures) await capture.stop("SIGINT");
  const dump = await lab.output(["get", "pods,services,nodes,endpointslices", "-A", "-o", "yaml"]);
  await writeFile(file("objects.yaml"), dump);
  const replay = async (path: string) => {
    const args = ["replay", path, "-f", file("objects.yaml"), "--node", "node1", "-o", "json"];
    const { status, stdout, stderr } = await lab.podwire(args);
    return {
      status,
      stderr,
      answers: stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Answer),
    };
  };

  const healthy = async (t: Test, path: string) => {
    const { status, stderr, answers } = await replay(path);
    const wrong = answers.filter(({ verdict }) => verdict === "drop" || verdict === "differs");
    t.same(wrong, []);
    t.equal(status, 0, stderr);
    const compared = answers.filter(({ verdict }) => verdict === "as captured").length;
    t.ok(compared >= 8, `${compared} of ${answers.length} packets are as captured`);
  };
  for (const [name] of TAKEN) await t.test(name, (t) => healthy(t, file(`${name}.pcap`)));
  for (const [name, format, ...of] of MERGED) {
    await t.test(name, async (t) => {
      const path = file(`${name}.${format}`);
      const merged = await run([
        "mergecap",
        "-F",
        format,
        "-w",
        path,
        ...of.map((each) => file(`${each}.pcap`)),
      ]);
      t.equal(merged.status, 0, merged.stderr);
      await healthy(t, path);
    });
  }

  const packetsOf = async (name: string): Promise<CapturePacket[]> => {
    const packets: CapturePacket[] = [];
    for await (const item of readCapture(createReadStream(file(`${name}.pcap`))))
      if (item.type === "packet") packets.push(item.packet);
    return packets;
  };
  /** The capture with a packet more behind the first SYN-ACK: that with another end. What replay says of it. */
  const planted = async (name: string, change: (o: PlantedEnds) => object) => {
    const packets = await packetsOf(name);
    const at = packets.findIndex(({ data }) => isSynAck(data));
    const { data, timestampNs } = packets[at];
    const frame = tcpFrame({ ...endsOf(data), ...change(endsOf(data)), flags: "S." } as Parameters<
      typeof tcpFrame
    >[0]);
    packets.splice(at + 1, 0, {
      ...packets[at],
      data: frame,
      timestampNs: timestampNs + 1n,
    } as CapturePacket);
    const blocks: Uint8Array[] = [];
    const writer = new PcapngWriter((bytes) => blocks.push(bytes));
    writer.addInterface({ name: "eth0" });
    for (const each of packets)
      writer.packet({ interfaceId: 0, timestampNs: each.timestampNs, data: each.data });
    await writeFile(file("planted.pcapng"), Buffer.concat(blocks));
    const { status, answers } = await replay(file("planted.pcapng"));
    const wrong = answers.filter(({ verdict }) => verdict === "drop" || verdict === "differs");
    return { status, wrong: wrong.map(({ number }) => number), number: at + 2 };
  };
  const lies: Record<string, [capture: string, change: (o: PlantedEnds) => object]> = {
    "an answer that nobody asked for": ["pod", ({ dstPort }) => ({ dstPort: dstPort ^ 1 })],
    "an answer that is not translated": ["pod", () => ({ src: "10.244.2.3", srcPort: 8080 })],
    "an answer from another port of the service": ["pod", ({ srcPort }) => ({ srcPort: srcPort + 1 })],
    "a source that is not the pod's": [
      "pod",
      ({ src, dst, srcMac, dstMac }) => ({
        src: "10.244.9.9",
        dst: src,
        srcMac: dstMac,
        dstMac: srcMac,
        dstPort: 80,
        srcPort: dst.length,
      }),
    ],
  };
  for (const [what, [name, change]] of Object.entries(lies)) {
    await t.test(`planted at ${name}: ${what}`, async (t) => {
      const { status, wrong, number } = await planted(name, change);
      t.equal(status, 3);
      t.same(wrong, [number], "the planted packet, and no other");
    });
  }
});

interface PlantedEnds {
  src: string;
  dst: string;
  srcPort: number;
  dstPort: number;
  srcMac: string;
  dstMac: string;
  seq: number;
  ack: number;
}

/** IPv4 without options, as everything here. */
function isSynAck(data: Uint8Array): boolean {
  return data[12] === 8 && data[23] === 6 && data[TCP_AT + 13] === (tcp.FLAG_SYN | tcp.FLAG_ACK);
}

function endsOf(data: Uint8Array): PlantedEnds {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const address = (at: number): string => [...data.subarray(at, at + 4)].join(".");
  const mac = (at: number): string =>
    [...data.subarray(at, at + 6)].map((b) => b.toString(16).padStart(2, "0")).join(":");
  return {
    ...{ src: address(26), dst: address(30), srcMac: mac(6), dstMac: mac(0) },
    ...{ srcPort: view.getUint16(TCP_AT), dstPort: view.getUint16(TCP_AT + 2) },
    ...{ seq: tcp.seq(view, TCP_AT) >>> 0, ack: tcp.ack(view, TCP_AT) >>> 0 },
  };
}
