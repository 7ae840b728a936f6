/** The judge is tcpdump: for each filter it and we must pick the same frames out of the same file. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { type BpfInstruction, createBpfProgram, decodeBpf, encodeBpf } from "../../base/bpf-program.ts";
import { compileFilter } from "../../capture/bpf-compile.ts";
import { createPcapReader } from "../../capture/pcap-reader.ts";
import { run } from "./bpf.ts";

const noTcpdump = spawnSync("tcpdump", ["--version"]).error ? "tcpdump is not installed" : false;
const directory = mkdtempSync(join(tmpdir(), "podwire-bpf-"));
t.teardown(() => rmSync(directory, { recursive: true }));

const IP4 = "0a580af40102 0a580af40101 0800";
const IP6 = "0a580af40102 0a580af40101 86dd";
const PORTS_WEB = "a028 0050"; // 41000 → 80
const BASE_FRAMES = [
  `${IP4} 45000034 00004000 40060000 0af40102 0a600001 ${PORTS_WEB} 00000001 00000000 5002ffff 00000000`,
  `${IP4} 45000034 00004000 3f060000 0a600001 0af40102 0050 a028 00000001 00000002 5012ffff` +
    " 00000000 aabbccdd",
  `${IP4} 46000038 00000000 40060000 0af40102 c0a83264 01010101 ${PORTS_WEB} 00000001 00000000 8018ffff 0000`,
  `${IP4} 45000020 00002000 40110000 0af40102 0af40202 1388 0035 000c 0000 74657374`, // first fragment
  `${IP4} 45000020 00000040 40110000 0af40102 0af40202 1388 0035 000c 0000 74657374`, // later fragment
  `${IP4} 45000020 00010000 01110000 0af40102 0af40202 1388 2118 000c 0000 08000000 00000100`,
  `${IP4} 45000054 00010000 40010000 0af40101 0af40202 0800 0000 0007 0001 ${"61".repeat(56)}`,
  `${IP4} 45000038 00010000 40010000 0af40101 0af40202 0304 0000 0000 05aa 4500005400010000`,
  `${IP4} 4500001c 00010000 40840000 0af40101 0af40202 1388 0050 00000000`, // SCTP
  `${IP4} 4500001c 00010000 40320000 0af40101 e0000001 0000000000000000`, // ESP to a group
  `${IP6} 60000000 0014 06 40 fd000010024400000000000000000002 fd000010024400010000000000000003` +
    ` ${PORTS_WEB} 00000001 00000000 5002ffff 00000000`,
  `${IP6} 60000000 000c 11 40 fd000010024400000000000000000002 ff020000000000000000000000000001` +
    " 1388 0035 000c 0000 74657374",
  `${IP6} 60000000 0008 3a ff fe800000000000000000000000000002 ff0200000000000000000001ff000003` +
    " 8700000000000000",
  `${IP6} 60000000 0010 00 40 fd000010024400000000000000000002 fd000010024400010000000000000003` +
    " 3a00050200000000 8000000000070001",
  "ffffffffffff 0a580af40102 0806 0001 0800 06 04 0001 0a580af40102 0af40102 000000000000 0af40101",
  "0a580af40102 0a580af40101 8100 0064 0800 45000020 00010000 40110000 0af40102 0af40202" +
    " 1388 0035 000c 0000 74657374",
  "0180c2000000 0a580af40101 0026 424203 000000000080000000000000000000000000",
  "0a580af40102 0a580af40101 88b5 0000",
  "0a580af40102 0a580af4",
];

const FILTERS = [
  "",
  "ip",
  "ip6",
  "arp",
  "tcp",
  "udp",
  "icmp",
  "icmp6",
  "sctp",
  "port 80",
  "tcp port 80",
  "src port 41000",
  "udp dst port 53",
  "portrange 50-100",
  "host 10.244.1.2",
  "src host 10.244.1.2 and dst net 10.96.0.0/12",
  "net 192.168.0.0/16 or net 10.244.2.0/24",
  "not ip",
  "ip host 10.244.1.2 and not tcp",
  "ip6 host fd00:10:244::2",
  "ip6 net fd00:10:244::/48 and tcp",
  "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
  "tcp[13] = 18",
  "icmp[icmptype] = icmp-echo",
  "icmp[0] = 3 and icmp[1] = 4",
  "ip[6:2] & 0x1fff != 0",
  "ip[6:2] & 0x2000 != 0",
  "ip[8] < 2",
  "ip[0] & 0xf > 5",
  "ether host 0a:58:0a:f4:01:02",
  "ether broadcast",
  "ether multicast",
  "ip multicast",
  "ether proto 0x88b5",
  "stp",
  "vlan",
  "vlan 100 and udp",
  "greater 60",
  "less 40",
  "len = 74",
  "len % 7 = 3",
  "len / 3 * 2 - 5 > 30",
  "(ip[2:2] - ((ip[0] & 0xf) << 2)) - ((tcp[12] & 0xf0) >> 2) != 0",
  "ip[12:4] = 0x0af40102",
  "ip[12:4] > 0xc0000000",
  "udp port 8472 and udp[8:2] & 0x0800 != 0",
  "ip proto 50",
  "ip[ip[0] & 3] ^ 0x45 = 0",
  "ether[ether[0]] > 4",
  "tcp port 80 or (udp and (port 53 or port 8472)) and not src host 10.244.1.1",
];

interface Frame {
  data: Uint8Array;
  wireLength: number;
}

/** The base frames, each also cut short, and each with single bytes changed. Deterministic. */
function corpus(): Frame[] {
  const frames: Frame[] = [];
  for (const hex of BASE_FRAMES) {
    const whole = new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));
    frames.push({ data: whole, wireLength: whole.length });
    for (let bytes = 10; bytes < whole.length; bytes += 3) {
      frames.push({ data: whole.slice(0, bytes), wireLength: bytes % 2 === 0 ? bytes : whole.length });
    }
    for (let at = 0; at < whole.length; at += 2) {
      const changed = whole.slice();
      changed[at] = (changed[at] + 1 + at * 37) & 0xff;
      frames.push({ data: changed, wireLength: changed.length });
    }
  }
  return frames;
}

/** Classic pcap; the frame's number is its timestamp. */
function pcapOf(frames: readonly Frame[]): Uint8Array {
  const head = Buffer.from("d4c3b2a10200040000000000000000000000040001000000", "hex");
  const parts: Uint8Array[] = [head];
  frames.forEach(({ data, wireLength }, index) => {
    const record = new DataView(new ArrayBuffer(16));
    record.setUint32(0, index, true);
    record.setUint32(8, data.length, true);
    record.setUint32(12, wireLength, true);
    parts.push(new Uint8Array(record.buffer), data);
  });
  return Buffer.concat(parts);
}

t.test("we and tcpdump pick the same frames", { skip: noTcpdump }, async (t) => {
  const frames = corpus();
  const file = join(directory, "frames.pcap");
  writeFileSync(file, pcapOf(frames));
  for (const filter of FILTERS) {
    const result = spawnSync("tcpdump", ["-r", file, "-w", "-", "--", filter], { maxBuffer: 64 << 20 });
    t.equal(result.status, 0, String(result.stderr));
    const reader = createPcapReader(result.stdout);
    const theirs = reader.push(result.stdout).flatMap((item) => {
      return item.type === "packet" ? [Number(item.packet.timestampNs / 1_000_000_000n)] : [];
    });
    const program = createBpfProgram(await compileFilter(filter));
    const ours: number[] = [];
    frames.forEach(({ data, wireLength }, index) => {
      // Off the start of a larger buffer full of other bytes, as in the arena.
      const arena = new Uint8Array(data.length + 64).fill(0xa5);
      arena.set(data, 32);
      if (run(program, new DataView(arena.buffer), 32, data.length, wireLength) !== 0) ours.push(index);
    });
    t.same(ours, theirs, `${filter || "(empty)"}: ${theirs.length} of ${frames.length}`);
  }
});

const ret = (k: number): BpfInstruction => ({ code: 0x06, jt: 0, jf: 0, k });
const op = (code: number, k = 0, jt = 0, jf = 0): BpfInstruction => ({ code, jt, jf, k });

t.test("programs that could run wild are refused", async (t) => {
  const cases = [
    { name: "empty", program: [], want: /1 to 4096/ },
    { name: "too long", program: Array(4097).fill(ret(0)), want: /1 to 4096/ },
    { name: "no return at the end", program: [ret(1), op(0x00, 1)], want: /does not return/ },
    { name: "test jumps out", program: [op(0x15, 0, 1, 0), ret(0)], want: /jump out/ },
    { name: "jump backwards", program: [op(0x05, -1), ret(0)], want: /loops/ },
    { name: "jump far out", program: [op(0x05, 0x7fffffff), ret(0)], want: /jump out/ },
    { name: "unknown opcode", program: [op(0xff), ret(0)], want: /unknown opcode 0xff/ },
    { name: "opcode above a byte", program: [op(0x115), ret(0)], want: /unknown opcode/ },
    { name: "division by zero", program: [op(0x34, 0), ret(0)], want: /division by zero/ },
    { name: "remainder by zero", program: [op(0x94, 0), ret(0)], want: /division by zero/ },
    { name: "scratch cell 16", program: [op(0x02, 16), ret(0)], want: /no scratch cell 16/ },
    { name: "scratch cell -1", program: [op(0x02, -1), ret(0)], want: /no scratch cell/ },
    { name: "cell read first", program: [op(0x60, 3), ret(0)], want: /before it is written/ },
    {
      name: "cell written on one way only",
      program: [op(0x15, 0, 0, 1), op(0x02, 3), op(0x60, 3), ret(0)],
      want: /before it is written/,
    },
    { name: "offset of the Linux kernel", program: [op(0x28, 0xfffff004), ret(0)], want: /Linux kernel/ },
  ];
  for (const c of cases)
    t.throws(() => createBpfProgram(c.program), { message: c.want, code: "BPF_INVALID" }, c.name);
});

t.test("arithmetic is that of unsigned 32-bit words", async (t) => {
  const cases = [
    { name: "add wraps", code: 0x04, a: 0xffffffff, k: 2, want: 1 },
    { name: "subtract wraps", code: 0x14, a: 1, k: 2, want: 0xffffffff },
    { name: "multiply wraps", code: 0x24, a: 0x10001, k: 0x10001, want: 0x20001 },
    { name: "divide is unsigned", code: 0x34, a: 0xfffffffe, k: 2, want: 0x7fffffff },
    { name: "remainder is unsigned", code: 0x94, a: 0xffffffff, k: 10, want: 5 },
    { name: "shift left by 32 is zero", code: 0x64, a: 1, k: 32, want: 0 },
    { name: "shift right is logical", code: 0x74, a: 0x80000000, k: 31, want: 1 },
    { name: "shift right by 99 is zero", code: 0x74, a: 0x80000000, k: 99, want: 0 },
    { name: "negate", code: 0x84, a: 1, k: 0, want: 0xffffffff },
    { name: "or", code: 0x44, a: 0xf0, k: 0x0f, want: 0xff },
    { name: "and", code: 0x54, a: 0xf0, k: 0x30, want: 0x30 },
    { name: "exclusive or", code: 0xa4, a: 0xf0, k: 0x30, want: 0xc0 },
  ];
  const view = new DataView(new ArrayBuffer(0));
  for (const c of cases) {
    for (const source of ["k", "x"]) {
      const act = source === "k" ? [op(c.code, c.k)] : [op(0x01, c.k), op(c.code | 8)];
      const program = createBpfProgram([op(0x00, c.a), ...act, op(0x15, c.want, 0, 1), ret(7), ret(0)]);
      t.equal(run(program, view, 0, 0, 0), 7, `${c.name}, ${source}`);
    }
  }
});

t.test("division by a zero that the packet chose rejects it", async (t) => {
  for (const code of [0x3c, 0x9c]) {
    t.equal(
      run(createBpfProgram([op(0x01, 0), op(code), ret(1)]), new DataView(new ArrayBuffer(0)), 0, 0, 0),
      0,
    );
  }
});

t.test("loads at and past the end", async (t) => {
  const view = new DataView(Uint8Array.of(9, 9, 1, 2, 3, 4, 9, 9, 9, 9).buffer);
  const cases = [
    { name: "word at 0", program: [op(0x20, 0)], want: 1 },
    { name: "word at 1", program: [op(0x20, 1)], want: 0 },
    { name: "half at 2", program: [op(0x28, 2)], want: 1 },
    { name: "half at 3", program: [op(0x28, 3)], want: 0 },
    { name: "byte at 3", program: [op(0x30, 3)], want: 1 },
    { name: "byte at 4", program: [op(0x30, 4)], want: 0 },
    { name: "byte at 2³¹-1", program: [op(0x30, 0x7fffffff)], want: 0 },
    { name: "header length at 4", program: [op(0xb1, 4)], want: 0 },
    { name: "indirect word", program: [op(0x01, 0), op(0x40, 0)], want: 1 },
    { name: "indirect half past", program: [op(0x01, 2), op(0x48, 1)], want: 0 },
    { name: "indirect, x above 2³¹", program: [op(0x01, -1), op(0x50, 2)], want: 0 },
    { name: "indirect, both large", program: [op(0x01, 0x7fffffff), op(0x50, 0x7fffffff)], want: 0 },
  ];
  for (const c of cases)
    t.equal(run(createBpfProgram([...c.program, ret(1)]), view, 2, 4, 4), c.want, c.name);
  t.equal(run(createBpfProgram([ret(1)]), view, 8, 4, 4), 0, "a frame outside the view");
  t.equal(run(createBpfProgram([op(0x80), op(0x16)]), view, 0, 4, 99), 99, "the answer may be the length");
  t.equal(run(createBpfProgram([ret(-1)]), view, 0, 4, 4), 0x7fffffff, "all of it");
});

t.test("scratch cells carry values", async (t) => {
  const program = createBpfProgram([
    op(0x00, 5),
    op(0x02, 1), //  M[1] = 5
    op(0x01, 6),
    op(0x03, 2), //  M[2] = 6
    op(0x61, 1), //  x = 5
    op(0x60, 2), //  a = 6
    op(0x0c), //     a += x
    op(0x07), //     x = a
    op(0x87), //     a = x
    op(0x16),
  ]);
  t.equal(run(program, new DataView(new ArrayBuffer(0)), 0, 0, 0), 11);
});

t.test(
  "bytes ∘ instructions is the identity, and arbitrary bytes never make a program that throws",
  async (t) => {
    const view = new DataView(new ArrayBuffer(64));
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 20 }),
        fc.array(fc.integer(), { maxLength: 20 }),
        (bytes, ks) => {
          const program = [...bytes].map((code, i) => op(code, ks[i] ?? i, code & 1, code & 3));
          t.same(decodeBpf(encodeBpf(program)), program);
          try {
            run(createBpfProgram([...program, ret(1), ret(1), ret(1), ret(1)]), view, 0, 64, 64);
          } catch (error) {
            return (error as { code?: string }).code === "BPF_INVALID";
          }
          return true;
        },
      ),
    );
    t.throws(() => decodeBpf(new Uint8Array(9)), { code: "BPF_INVALID" });
  },
);
