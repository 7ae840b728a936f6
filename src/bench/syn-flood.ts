// A SYN flood from many forged sources against a node port, while a paced stream runs through the same node: what becomes
// of the stream, and of the connection table. scripts/syn-flood is the command; a native test runs it short.

import { readFile } from "node:fs/promises";
import { IoKind } from "../base/addon.ts";
import { Protocol } from "../base/protocols.ts";
import { loadNative, type Native, PacketFlag } from "../native/binding.ts";
import { tcpFrame } from "../testing/frames/frame-builder.ts";
import { type LabSpec, TestLab } from "../testing/lab/lab.ts";
import { client, NODE_PORT, pod, service } from "../testing/lab/objects.ts";
import { Prng } from "../testing/prng.ts";
import * as checksum from "../wire/bytes/checksum.ts";
import * as ipv4 from "../wire/ip/ipv4.ts";
import * as tcp from "../wire/transport/tcp.ts";

const BATCH = 64;
const STRIDE = 256;
const HEADROOM = 128;
const SEND_BUFFER = 4 << 20;
const NODE = "192.168.50.11";
const STREAM_PORT = 30_501;
const IP = HEADROOM + 14;
const TCP = IP + 20;
const SOURCES_FIRST = (100 << 24) | (64 << 16); // 100.64.0.0/10: nobody's (RFC 6598)
const SOURCES_MASK = (1 << 22) - 1;
const STRIDE_OF_SOURCES = 2_654_435; // odd, so that every source comes once
const LEAD_MS = 2000; // of stream before the flood

export interface SynFloodOptions {
  readonly lab: string;
  readonly seed: number;
  /** Forged sources, one SYN each. */
  readonly sources: number;
  /** SYNs a second. */
  readonly rate: number;
  readonly streamMbit: number;
  /** Entries of the connection table. */
  readonly conntrackMax: number;
  /** Flood from a pod (anti-spoofing off) instead of from outside. */
  readonly fromPod?: boolean;
}

export interface SynFloodResult {
  readonly sent: number;
  readonly seconds: number;
  /** Mbit/s of the stream before and during the flood. */
  readonly before: number;
  readonly during: number;
  readonly entriesMax: number;
  readonly earlyDrops: number;
  readonly memoryMb: { before: number; after: number };
  readonly drops: Readonly<Record<string, number>>;
}

export async function runSynFlood(o: SynFloodOptions): Promise<SynFloodResult> {
  const spec: LabSpec = {
    objects: [
      client("attacker", "node1"),
      pod("web-1", "node1", { app: "web" }),
      pod("server", "node2", { app: "stream", command: ["sleep", "infinity"] }),
      service("web"),
      streamService(),
    ],
    conntrack: { max: o.conntrackMax },
    dataplane: { antiSpoofing: o.fromPod !== true },
  };
  const lab = await TestLab.up(o.lab, spec);
  try {
    return await flood(lab, o);
  } finally {
    await lab.down();
  }
}

async function flood(lab: TestLab, o: SynFloodOptions): Promise<SynFloodResult> {
  const floodMs = (o.sources / o.rate) * 1000;
  const seconds = Math.ceil((LEAD_MS + floodMs) / 1000) + 1;
  await lab.startIn("server", ["iperf3", "-s", "--forceflush"], /listening/);
  // Through a node port too: the client's address is translated, so that a lost entry would end the connection.
  const iperf = [
    "iperf3",
    "-c",
    NODE,
    "-p",
    String(STREAM_PORT),
    "-J",
    "-i",
    "0.5",
    "-b",
    `${o.streamMbit}M`,
  ];
  const before = await memoryMb(lab);
  const beginMs = performance.now();
  const stream = lab.exec("client/outside", [...iperf, "-t", String(seconds), "--connect-timeout", "3000"], {
    timeoutMs: seconds * 1000 + 30_000,
  });
  await sleep(LEAD_MS);
  const fromMs = performance.now();
  const counts: number[] = [];
  let isFlooding = true;
  const watch = (async () => {
    while (isFlooding) counts.push(await entries(lab));
  })();
  const sent = await sendSyns(lab, o);
  const toMs = performance.now();
  isFlooding = false;
  await watch;
  counts.push(await entries(lab));
  const { stdout } = await stream;
  const rates = intervals(stdout);
  const startSec = (fromMs - beginMs) / 1000;
  const events = await lab.json("show", "counters", "--node", "node1");
  const drops = await lab.json("show", "drops", "--node", "node1");
  return {
    sent,
    seconds: (toMs - fromMs) / 1000,
    before: mean(rates.filter((r) => r.start >= 0.5 && r.end <= startSec)),
    during: mean(rates.filter((r) => r.start >= startSec && r.end <= (toMs - beginMs) / 1000)),
    entriesMax: Math.max(...counts),
    earlyDrops: counterOf(events, "ct_early_drop"),
    memoryMb: { before, after: await memoryMb(lab) },
    drops: Object.fromEntries(
      drops.items.map((d: { reason: string; packets: number }) => [d.reason, d.packets]),
    ),
  };
}

function streamService(): object {
  const ports = [{ name: "iperf", protocol: "TCP", port: 5201, targetPort: 5201, nodePort: STREAM_PORT }];
  return service("stream", { ports });
}

interface Interval {
  readonly start: number;
  readonly end: number;
  readonly mbit: number;
}

function intervals(text: string): Interval[] {
  const result = JSON.parse(text);
  if (result.error !== undefined) throw new Error(`iperf3: ${result.error}`);
  return result.intervals.map(({ sum }: { sum: Record<string, number> }) => ({
    start: sum.start,
    end: sum.end,
    mbit: sum.bits_per_second / 1e6,
  }));
}

function mean(rates: readonly Interval[]): number {
  return rates.reduce((sum, r) => sum + r.mbit, 0) / Math.max(1, rates.length);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function entries(lab: TestLab): Promise<number> {
  return Number(await lab.output(["conntrack", "count", "--node", "node1"]));
}

// biome-ignore lint/suspicious/noExplicitAny: an answer of the command line, checked here
function counterOf(answer: any, name: string): number {
  return answer.items.find((item: { counter: string }) => item.counter === name)?.value ?? 0;
}

async function memoryMb(lab: TestLab): Promise<number> {
  const status = await lab.json("lab", "status");
  const { pid } = status.nodes.find((node: { name: string }) => node.name === "node1");
  return Math.round(
    Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024,
  );
}

/** Sends one SYN from each source, as evenly as a timer allows. Returns how many the kernel took. */
async function sendSyns(lab: TestLab, o: SynFloodOptions): Promise<number> {
  const native = loadNative();
  const place = o.fromPod ? "p-default-attacker" : "c-outside";
  const flags = PacketFlag.QDISC_BYPASS;
  const fd = native.openPacket(`/run/netns/pw-${lab.name}-${place}`, "eth0", flags, 0, SEND_BUFFER);
  if (fd < 0) throw new Error(`cannot open a packet socket in ${place}: ${fd}`);
  const sender = new SynSender(native, fd, await template(lab, o), o.seed);
  const startMs = performance.now();
  try {
    while (sender.made < o.sources) {
      const due = Math.min(o.sources, Math.ceil(((performance.now() - startMs) / 1000) * o.rate));
      while (sender.made < due) sender.send(Math.min(BATCH, due - sender.made));
      await sleep(1);
    }
  } finally {
    native.closeFd(fd);
  }
  return sender.sent;
}

/** The SYN that is forged: to the node port from outside, or to the service from the pod. */
async function template(lab: TestLab, o: SynFloodOptions): Promise<Uint8Array> {
  const { items } = await lab.json("show", "ports", "--node", "node1");
  const mac = (name: string): string => items.find((port: { name: string }) => port.name === name).mac;
  const src = "100.64.0.1";
  const options = { src, srcPort: 1024, flags: "S", mss: 1460, window: 64_240 };
  if (o.fromPod) {
    const ends = { srcMac: mac("eth0 default/attacker"), dstMac: "0a:58:0a:f4:01:01" };
    return tcpFrame({ ...options, ...ends, dst: await lab.clusterIP("web"), dstPort: 80 });
  }
  const { stdout } = await lab.exec("client/outside", ["cat", "/sys/class/net/eth0/address"]);
  const ends = { srcMac: stdout.trim(), dstMac: mac("uplink eth0") };
  return tcpFrame({ ...options, ...ends, dst: NODE, dstPort: NODE_PORT });
}

class SynSender {
  made = 0;
  sent = 0;
  readonly #native: Native;
  readonly #arena = new Uint8Array(BATCH * STRIDE);
  readonly #view = new DataView(this.#arena.buffer);
  readonly #offs = Int32Array.from({ length: BATCH }, (_, i) => i * STRIDE + HEADROOM);
  readonly #lens = new Int32Array(BATCH);
  readonly #results = new Int32Array(BATCH);
  readonly #fds: Int32Array;
  readonly #kinds = new Int32Array(BATCH).fill(IoKind.PACKET);
  readonly #random: Prng;

  constructor(native: Native, fd: number, frame: Uint8Array, seed: number) {
    this.#native = native;
    this.#fds = new Int32Array(BATCH).fill(fd);
    this.#lens.fill(frame.length);
    this.#random = new Prng(seed);
    for (const off of this.#offs) this.#arena.set(frame, off);
  }

  send(count: number): void {
    for (let i = 0; i < count; i++) this.#forge(i * STRIDE, this.made++);
    const args = [this.#fds, this.#kinds, this.#arena, this.#offs, this.#lens, count, this.#results] as const;
    this.sent += this.#native.transmit(...args);
  }

  #forge(at: number, number: number): void {
    const view = this.#view;
    const source = SOURCES_FIRST + (Math.imul(number, STRIDE_OF_SOURCES) & SOURCES_MASK);
    view.setInt32(at + IP + 12, source);
    ipv4.computeChecksum(view, at + IP);
    view.setUint16(at + TCP, 1024 + this.#random.below(60_000));
    view.setInt32(at + TCP + 4, this.#random.next() | 0);
    const len = this.#lens[0] - 34;
    tcp.setChecksum(view, at + TCP, 0);
    const pseudo = checksum.pseudoSumV4(source, ipv4.dst(view, at + IP), Protocol.TCP, len);
    tcp.setChecksum(view, at + TCP, checksum.finish(checksum.sum(view, at + TCP, len, pseudo)));
  }
}
