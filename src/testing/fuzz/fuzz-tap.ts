// Fuzz target `tap`: the hostile corpus over real TAPs. Two pods of a lab send it from their own network namespaces by
// packet sockets, as fast as their node's agent reads; superframes and partial sums go by way of the kernel, which
// refuses some of what lies. The agent must live through it, count no internal error, hold its memory, have read what
// was sent, and then serve a connection as before.
import { readFile } from "node:fs/promises";
import { IoKind } from "../../base/addon.ts";
import { loadNative, type Native, PacketFlag } from "../../native/binding.ts";
import { TestLab } from "../lab/lab.ts";
import { client, pod, service } from "../lab/objects.ts";
import { Corpus, Delivery, deliver } from "./fuzz-corpus.ts";
import { createNode } from "./fuzz-pipeline.ts";

const BATCH = 64;
const STRIDE = 66_048;
const HEADROOM = 128;
const SEND_BUFFER = 8 << 20;
const AGAIN = new Set([-11, -105]); // EAGAIN, ENOBUFS: the TAP's queue is full
const TRIES_MAX = 3;
const IDLE_MAX = 1000; // calls in which nothing could be sent, 0.2 ms each
const PAUSE = new Int32Array(new SharedArrayBuffer(4));
const MEMORY_GROWTH_MAX_MB = 16;
const WARM_UP_MAX = 200_000; // frames after which every table has been in use
/** The corpus names these as 10.244.1.2 and 10.244.1.3; in that order the lab gives the addresses. */
const SENDERS = ["sender-1", "sender-2"];

export interface TapResult {
  readonly lines: string[];
  readonly findings: string[];
}

interface Sender {
  readonly fds: Int32Array;
  readonly kinds: Int32Array;
  readonly offs: Int32Array;
  readonly lens: Int32Array;
  readonly results: Int32Array;
  /** Calls in which others were sent. */
  readonly tries: Int32Array;
  /** Calls in which nothing was sent. */
  idle: number;
  count: number;
  sent: number;
  refused: number;
  unsent: number;
}

interface Facts {
  readonly pid: number;
  readonly memoryMb: number;
  readonly received: number;
  readonly drops: Readonly<Record<string, number>>;
}

export async function runTap(o: { seed: number; frames: number; lab?: string }): Promise<TapResult> {
  if (process.getuid?.() !== 0) return { lines: [], findings: ["target tap needs root"] };
  const objects = [
    ...SENDERS.map((name) => client(name, "node1")),
    pod("web-1", "node1", { app: "web" }),
    pod("web-2", "node2", { app: "web" }),
    client("client-1", "node1"),
    service("web", { clusterIP: "10.96.0.10" }),
  ];
  const lab = await TestLab.up(o.lab ?? "fuzz", {
    objects,
    conntrack: { max: 16_384 }, // soon full: what is larger afterwards has grown
    dataplane: { antiSpoofing: false }, // else most frames would go no further than that check
  });
  try {
    return await flood(lab, o.seed, o.frames);
  } finally {
    await lab.down();
  }
}

async function flood(lab: TestLab, seed: number, frames: number): Promise<TapResult> {
  const corpus = new Corpus(createNode({ poolSlots: 4 }), seed);
  const before = await factsOf(lab);
  const native = loadNative();
  const senders = SENDERS.map((name, i) =>
    openSender(native, `/run/netns/pw-${lab.name}-p-default-${name}`, i * BATCH),
  );
  const startMs = performance.now();
  const warm = Math.min(WARM_UP_MAX, frames >> 1);
  send(native, senders, corpus, seed, 0, warm);
  const warmed = await factsOf(lab);
  send(native, senders, corpus, seed, warm, frames);
  const seconds = (performance.now() - startMs) / 1000;
  for (const { fds } of senders) native.closeFd(fds[0]);
  const after = await settled(lab);
  const sent = senders.reduce((sum, s) => sum + s.sent, 0);
  const refused = senders.reduce((sum, s) => sum + s.refused, 0);
  const unsent = senders.reduce((sum, s) => sum + s.unsent, 0);
  const received = after.received - before.received;
  const findings: string[] = [];
  if (after.pid !== before.pid) findings.push(`the agent was process ${before.pid}, now ${after.pid}`);
  if (after.drops.INTERNAL_ERROR) findings.push(`${after.drops.INTERNAL_ERROR} internal errors`);
  if (received < sent * 0.999) findings.push(`${sent} frames went into the TAPs, ${received} were read`);
  if (sent + refused < frames * 0.99) findings.push(`${unsent} of ${frames} frames could not be sent`);
  if (after.memoryMb - warmed.memoryMb > MEMORY_GROWTH_MAX_MB)
    findings.push(`the agent grew from ${warmed.memoryMb} to ${after.memoryMb} MB`);
  findings.push(...(await stillServes(lab)));
  return {
    lines: [
      `${frames} frames in ${seconds.toFixed(1)} s: ${Math.round(frames / seconds)} frames/s; ` +
        `${sent} into the TAPs, ${refused} refused by the kernel, ${unsent} given up`,
      `${received} frames read by the agent of node1, process ${after.pid}; ` +
        `resident ${before.memoryMb} MB, ${warmed.memoryMb} MB after ${warm} frames, ${after.memoryMb} MB at the end`,
      `  ${"DROP REASON".padEnd(28)} ${"FRAMES".padStart(12)}`,
      ...Object.entries(after.drops).map(([name, n]) => `  ${name.padEnd(28)} ${`${n}`.padStart(12)}`),
    ],
    findings,
  };
}

function openSender(native: Native, netns: string, first: number): Sender {
  const flags = PacketFlag.VNET_HDR | PacketFlag.QDISC_BYPASS;
  const fd = native.openPacket(netns, "eth0", flags, 0, SEND_BUFFER);
  if (fd < 0) throw new Error(`cannot open a packet socket on eth0 in ${netns}: ${fd}`);
  return {
    fds: new Int32Array(BATCH).fill(fd),
    kinds: new Int32Array(BATCH).fill(IoKind.PACKET_VNET),
    offs: Int32Array.from({ length: BATCH }, (_, i) => (first + i) * STRIDE + HEADROOM),
    tries: new Int32Array(BATCH),
    idle: 0,
    lens: new Int32Array(BATCH),
    results: new Int32Array(BATCH),
    count: 0,
    sent: 0,
    refused: 0,
    unsent: 0,
  };
}

function send(
  native: Native,
  senders: readonly Sender[],
  corpus: Corpus,
  seed: number,
  from: number,
  to: number,
): void {
  const arena = new Uint8Array(senders.length * BATCH * STRIDE);
  const view = new DataView(arena.buffer);
  const delivery = new Delivery();
  for (let number = from; number < to; number++) {
    // What would come from the fabric or the node itself is sent by the second pod as well.
    const sender = senders[delivery.port === 2 ? 0 : 1];
    const off = sender.offs[sender.count];
    deliver(corpus, seed, number, arena, view, off, delivery);
    if (delivery.len === 0) {
      sender.refused++;
      continue;
    }
    sender.lens[sender.count] = delivery.len;
    sender.tries[sender.count] = 0;
    sender.count++;
    while (sender.count === BATCH) transmit(native, arena, sender);
  }
  for (const sender of senders) while (sender.count > 0) transmit(native, arena, sender);
}

/**
 * Sends what is gathered. What finds the queue full stays for the next call; the kernel says the same of frames that it
 * will never take, so one that was passed over a few times while others went is given up.
 */
function transmit(native: Native, arena: Uint8Array, s: Sender): void {
  native.transmit(s.fds, s.kinds, arena, s.offs, s.lens, s.count, s.results);
  let left = 0;
  let sent = 0;
  for (let i = 0; i < s.count; i++) {
    const result = s.results[i];
    if (result === 0) sent++;
    else if (!AGAIN.has(result) || s.tries[i] >= TRIES_MAX) s.refused++;
    else swap(s, left++, i);
  }
  s.sent += sent;
  s.count = left;
  s.idle = sent > 0 ? 0 : s.idle + 1;
  if (sent > 0) for (let i = 0; i < left; i++) s.tries[i]++;
  if (s.idle > 0) Atomics.wait(PAUSE, 0, 0, 0.2);
  if (s.idle < (s.count === BATCH ? IDLE_MAX : IDLE_MAX / 20)) return;
  s.unsent += s.count;
  s.count = 0;
  s.idle = 0;
}

function swap(s: Sender, a: number, b: number): void {
  for (const column of [s.offs, s.lens, s.tries]) [column[a], column[b]] = [column[b], column[a]];
}

async function factsOf(lab: TestLab): Promise<Facts> {
  const status = await lab.json("lab", "status");
  const { pid } = status.nodes.find((node: { name: string }) => node.name === "node1");
  const proc = await readFile(`/proc/${pid}/status`, "utf8");
  const memoryMb = Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(proc)?.[1]) / 1024);
  const drops = await lab.json("show", "drops", "--node", "node1");
  const ports = await lab.json("show", "ports", "--node", "node1");
  const received = ports.items
    .filter((port: { pod: string }) => SENDERS.some((name) => port.pod === `default/${name}`))
    .reduce((sum: number, port: { rxPackets: number }) => sum + port.rxPackets, 0);
  return {
    pid,
    memoryMb,
    received,
    drops: Object.fromEntries(
      drops.items.map((d: { reason: string; packets: number }) => [d.reason, d.packets]),
    ),
  };
}

/** The agent works off what waits: until its counters stand still. */
async function settled(lab: TestLab): Promise<Facts> {
  let last = await factsOf(lab);
  for (let tries = 0; tries < 20; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    const now = await factsOf(lab);
    if (now.received === last.received) return now;
    last = now;
  }
  return last;
}

/** A new connection through the service, to either node's endpoint, and a ping. */
async function stillServes(lab: TestLab): Promise<string[]> {
  const problems: string[] = [];
  for (let n = 0; n < 8; n++) {
    const { stdout } = await lab.exec("client-1", ["curl", "-s", "-m", "3", "http://10.96.0.10/"]);
    if (stdout === "") problems.push(`afterwards: request ${n} to the service was not answered`);
  }
  const { stdout } = await lab.exec("client-1", [
    "ping",
    "-c",
    "2",
    "-i",
    "0.2",
    "-W",
    "2",
    await lab.podAddress("web-2"),
  ]);
  if (!/2 received/.test(stdout)) problems.push(`afterwards: ping: ${stdout}`);
  return problems;
}
