/**
 * The memory of a real agent whose connection table is full: a lab of one node, and a pod that sends one packet of each
 * connection to another pod, from an address of its own each. scripts/agent-memory is the command.
 */
import { readFile } from "node:fs/promises";
import { IoKind } from "../base/addon.ts";
import { loadNative, PacketFlag } from "../native/binding.ts";
import { setWord } from "../testing/frames/adjust-sum.ts";
import { tcpFrame, udpFrame } from "../testing/frames/frame-builder.ts";
import { TestLab } from "../testing/lab/lab.ts";
import { client } from "../testing/lab/objects.ts";

const BATCH = 64;
const STRIDE = 256;
const HEADROOM = 128;
const GATEWAY_MAC = "0a:58:0a:f4:01:01";
const IP_SUM_AT = 24;
const SOURCE_AT = 26;
const SUM_AT = Object.freeze({ tcp: 50, udp: 40 });
const SEND_BUFFER = 4 << 20;
const PASSES_MAX = 6;
const LONGER_SEC = 600; // than it takes

export interface AgentMemoryOptions {
  readonly lab: string;
  readonly transport: "tcp" | "udp";
  readonly connections: number;
  /** Packets a second. */
  readonly rate: number;
}

export interface AgentMemory {
  readonly entries: number;
  /** Resident, MiB: with no connection, and with all of them. */
  readonly before: number;
  readonly after: number;
}

export async function measureAgentMemory(o: AgentMemoryOptions): Promise<AgentMemory> {
  const lab = await TestLab.up(o.lab, {
    nodes: [{ name: "node1" }],
    objects: [client("sender", "node1"), client("sink", "node1")],
    conntrack: {
      max: 2 ** Math.ceil(Math.log2(o.connections)),
      nf_conntrack_udp_timeout: LONGER_SEC,
      nf_conntrack_tcp_timeout_unacknowledged: LONGER_SEC,
    },
    dataplane: { antiSpoofing: false },
  });
  try {
    await lab.exec("sink", ["ip", "route", "del", "default"]); // it answers nobody
    const before = await residentMiB(lab);
    let entries = 0;
    for (let pass = 0; pass < PASSES_MAX && entries < o.connections; pass++) {
      await sendAll(lab, o); // what a device dropped comes again, what is known stays one connection
      entries = Number(await lab.output(["conntrack", "count", "--node", "node1"]));
    }
    return { entries, before, after: await residentMiB(lab) };
  } finally {
    await lab.down();
  }
}

async function residentMiB(lab: TestLab): Promise<number> {
  const status = await lab.json("lab", "status");
  const { pid } = status.nodes.find((node: { name: string }) => node.name === "node1");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** One packet of each connection, as evenly as a timer allows. */
async function sendAll(lab: TestLab, o: AgentMemoryOptions): Promise<void> {
  const native = loadNative();
  const namespace = `/run/netns/pw-${lab.name}-p-default-sender`;
  const fd = native.openPacket(namespace, "eth0", PacketFlag.QDISC_BYPASS, 0, SEND_BUFFER);
  if (fd < 0) throw new Error(`cannot open a packet socket in ${namespace}: ${fd}`);
  const frame = await frameFor(lab, o.transport);
  const arena = new Uint8Array(BATCH * STRIDE);
  const offs = Int32Array.from({ length: BATCH }, (_, i) => i * STRIDE + HEADROOM);
  const lens = new Int32Array(BATCH).fill(frame.length);
  const results = new Int32Array(BATCH);
  const [fds, kinds] = [new Int32Array(BATCH).fill(fd), new Int32Array(BATCH).fill(IoKind.PACKET)];
  for (const off of offs) arena.set(frame, off);
  const startMs = performance.now();
  let sent = 0;
  try {
    while (sent < o.connections) {
      const due = Math.min(o.connections, ((performance.now() - startMs) / 1000) * o.rate);
      while (sent < due) {
        const count = Math.min(BATCH, o.connections - sent);
        for (let i = 0; i < count; i++) writeSource(arena, offs[i], sent + i, SUM_AT[o.transport]);
        native.transmit(fds, kinds, arena, offs, lens, count, results);
        sent += count;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    native.closeFd(fd);
  }
}

/** 100.64.0.0/12 and on, an address a connection: nobody's (RFC 6598). */
function writeSource(arena: Uint8Array, frame: number, n: number, transportSumAt: number): void {
  for (const [at, word] of [
    [SOURCE_AT, (100 << 8) | (64 + (n >>> 16))],
    [SOURCE_AT + 2, n & 0xffff],
  ]) {
    const [hi, lo] = [arena[frame + at], arena[frame + at + 1]];
    setWord(arena, frame + at, word, frame + IP_SUM_AT);
    arena[frame + at] = hi;
    arena[frame + at + 1] = lo;
    setWord(arena, frame + at, word, frame + transportSumAt);
  }
}

async function frameFor(lab: TestLab, transport: "tcp" | "udp"): Promise<Uint8Array> {
  const { items } = await lab.json("show", "ports", "--node", "node1");
  const srcMac = items.find((port: { name: string }) => port.name === "eth0 default/sender").mac;
  const pods = await lab.json("get", "pods");
  const dst = pods.items.find((pod: { metadata: { name: string } }) => pod.metadata.name === "sink").status
    .podIP;
  const path = { src: "100.64.0.0", srcMac, dstMac: GATEWAY_MAC, dst, srcPort: 1024, dstPort: 9 };
  return transport === "tcp"
    ? tcpFrame({ ...path, flags: ".", seq: 1, ack: 1 })
    : udpFrame({ ...path, payload: 18 });
}
