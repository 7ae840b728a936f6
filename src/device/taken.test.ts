// One description of what is the plane's, two programs that are made of it: what the socket's filter takes, the kernel's
// table drops, and nothing else. Judged by a third one, which reads the description itself, on random frames.
import t from "tap";
import { cidr, contains, formatIp, ip } from "../base/ip.ts";
import { gatherPeers, joinRanges, PORT_PROTOCOLS, type Taken, type TakenPorts } from "../base/taken.ts";
import { NftEvaluator } from "../testing/nft-evaluator.ts";
import { BpfAssembler, Op } from "./bpf-assembler.ts";
import type { Netlink } from "./netlink/netlink.ts";
import { takenFilter } from "./taken-filter.ts";
import { TakenTable } from "./taken-table.ts";

/** Classic BPF as the kernel runs it (net/core/filter.c); what lies behind the end makes it refuse. */
function runs(program: Int32Array, frame: Uint8Array, packetType = 0, tagged = 0): boolean {
  const [byte, half] = [(at: number) => frame[at], (at: number) => (frame[at] << 8) | frame[at + 1]];
  let [a, x] = [0, 0];
  for (let i = 0; i < program.length; i += 2) {
    const code = program[i] & 0xffff;
    const k = program[i + 1] >>> 0;
    const width = ({ 0: 4, 8: 2, 16: 1 } as Record<number, number>)[code & 0x18];
    const at = (code & 0xe0) === 0x40 ? x + k : k;
    if ((code & 7) === 0 && k < 0xfffff000 && at + width > frame.length) return false;
    if (code === Op.RETURN) return k !== 0;
    if (code === Op.LOAD_WORD && k >= 0xfffff000) a = k === 0xfffff004 ? packetType : tagged;
    else if (code === Op.LOAD_WORD || code === Op.LOAD_WORD_AT_X) a = ((half(at) << 16) | half(at + 2)) >>> 0;
    else if (code === Op.LOAD_HALF || code === Op.LOAD_HALF_AT_X) a = half(at);
    else if (code === Op.LOAD_BYTE || code === Op.LOAD_BYTE_AT_X) a = byte(at);
    else if (code === Op.X_IS) x = k;
    else if (code === Op.X_IS_IHL) x = (byte(k) & 15) * 4;
    else if (code === Op.AND) a = (a & k) >>> 0;
    else if (code === Op.GOTO) i += 2 * k;
    else {
      const yes =
        code === Op.EQUAL
          ? a === k
          : code === Op.GREATER
            ? a > k
            : code === Op.NOT_LESS
              ? a >= k
              : (a & k) !== 0;
      i += 2 * (yes ? (program[i] >>> 16) & 255 : program[i] >>> 24);
    }
  }
  throw new Error("ran off its end");
}

/** A number below `n`; the same every time. */
let seed = 7;
const below = (n: number): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};
const oneOf = <T>(list: readonly T[]): T => list[below(list.length)];

const ports = (list: readonly (readonly [number, number])[]): TakenPorts => {
  const ranges = joinRanges([...list, [50_000, 65_535]].map(([first, last]) => ({ first, last })));
  return {
    6: ranges,
    17: joinRanges([...ranges, { first: 8472, last: 8472 }]),
    132: ranges.slice(1),
    136: [],
  };
};
const TAKEN: Taken = {
  whole: [
    "10.96.0.0/12",
    "10.244.1.0/24",
    "203.0.113.80/32",
    "fd00:96::/112",
    "fd00:10:244:1::/64",
    "2001:db8::80/128",
    "2001:db8::82/128",
  ].map(cidr),
  groups: [
    {
      addresses: [ip("192.168.77.11"), ip("172.17.0.1")],
      ports: ports([
        [80, 80],
        [30080, 30090],
      ]),
    },
    { addresses: [ip("192.168.77.99")], ports: ports([[82, 82]]) },
    { addresses: [ip("fd00:77::11")], ports: ports([[80, 81]]) },
  ],
  tunnelPort: 8472,
  ids: { first: 50_000, last: 65_535 },
  answers: [
    { protocol: 47, family: 4, peers: ["192.0.2.1", "192.0.2.3"].map(ip) },
    { protocol: 50, family: 4, peers: [ip("192.0.2.2")] },
    { protocol: 47, family: 6, peers: ["2001:db8:1::1", "2001:db8:2::1"].map(ip) },
  ],
};
const SENDERS = {
  4: ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"],
  6: ["2001:db8:1::1", "2001:db8:2::1", "2001:db8:2::2", "2001:db9:1::1"],
} as const;
const ADDRESSES = {
  4: [
    "192.168.77.11",
    "172.17.0.1",
    "192.168.77.99",
    "192.168.77.12",
    "10.96.3.4",
    "10.244.1.9",
    "10.244.2.9",
    "203.0.113.80",
    "203.0.113.81",
  ],
  6: [
    "fd00:77::11",
    "fd00:77::12",
    "fd00:96::5",
    "fd00:10:244:1::9",
    "fd00:10:244:2::9",
    "2001:db8::80",
    "2001:db8::81",
    "2001:db8::82",
  ],
} as const;
const PORTS = [
  0, 22, 79, 80, 81, 82, 8471, 8472, 8473, 30_079, 30_080, 30_085, 30_090, 30_091, 49_999, 50_000, 60_000,
  65_535,
];

interface Frame {
  family: 4 | 6;
  from: string;
  to: string;
  protocol: number;
  /** In units of 8 bytes; of a datagram in one piece none. */
  fragment: number | undefined;
  source: number;
  port: number;
  type: number;
  /** Behind an ICMP error's header, without fragments. */
  inner?: Frame;
  options: number;
}

function anyFrame(isInner = false): Frame {
  const family = oneOf([4, 6] as const);
  const icmp = family === 4 ? 1 : 58;
  const frame = {
    ...{ family, to: oneOf(ADDRESSES[family]), protocol: oneOf([...PORT_PROTOCOLS, icmp, icmp, 47, 50]) },
    ...(isInner ? { to: oneOf([...ADDRESSES[family], ...SENDERS[family]]) } : {}),
    from: oneOf(SENDERS[family]),
    fragment: isInner ? undefined : oneOf([undefined, undefined, undefined, 0, 185, 4096]),
    ...{ source: oneOf(PORTS), port: oneOf(PORTS), type: oneOf([0, 1, 3, 4, 8, 11, 12, 14, 128, 129]) },
    options: family === 4 ? oneOf([0, 0, 0, 8]) : 0,
  };
  if (isInner) return frame;
  for (let inner = anyFrame(true); ; inner = anyFrame(true))
    if (inner.family === family) return { ...frame, inner };
}

function bytesOf(frame: Frame): number[] {
  const { family, from, to, protocol, fragment, source, port, type, inner, options } = frame;
  const half = (n: number): number[] => [n >> 8, n & 255];
  const words = (address: string): number[] => {
    const { w0, w1, w2, w3 } = ip(address);
    return (family === 4 ? [w3] : [w0, w1, w2, w3]).flatMap((w) => [...half(w >>> 16), ...half(w & 0xffff)]);
  };
  const isIcmp = protocol === 1 || protocol === 58;
  const behind = inner === undefined ? [...half(source), ...half(port)] : bytesOf(inner);
  const l4 = isIcmp
    ? [type, 0, 0, 0, ...half(port), 0, 0, ...behind]
    : [...half(source), ...half(port), ...new Array(8).fill(0)];
  if (family === 4) {
    const flags = fragment === undefined ? 0 : fragment === 0 ? 0x2000 : fragment;
    const fixed = [0x45 + options / 4, 0, 0, 60, 0, 1, ...half(flags), 64, protocol, 0, 0, ...words(from)];
    return [...fixed, ...words(to), ...new Array(options).fill(1), ...l4];
  }
  const header = (next: number): number[] => [0x60, 0, 0, 0, 0, 40, next, 64, ...words(from), ...words(to)];
  if (fragment === undefined) return [...header(protocol), ...l4];
  return [...header(44), protocol, 0, ...half((fragment << 3) | (fragment === 0 ? 1 : 0)), 0, 0, 0, 1, ...l4];
}

/** Whose it is, by the description: the plane's, the kernel's, or, of later fragments, both's. */
function taker(frame: Frame): "plane" | "kernel" | "both" {
  const { to, family, fragment, protocol, inner, type, port } = frame;
  const group = TAKEN.groups.find(({ addresses }) =>
    addresses.some((own) => contains({ ...own, prefixLen: family === 4 ? 32 : 128 }, ip(to))),
  );
  const whole = TAKEN.whole.some((range) => range.family === family && contains(range, ip(to)));
  if (group === undefined) return whole ? "plane" : "kernel";
  if (fragment !== undefined && fragment > 0) return "both";
  const isIn = (list: readonly { first: number; last: number }[] | undefined, n: number): boolean =>
    (list ?? []).some(({ first, last }) => first <= n && n <= last);
  const of = (p: number) => group.ports[p as 6];
  const isPeer = (p: number, host: string): boolean =>
    TAKEN.answers.some(
      (each) => each.protocol === p && each.family === family && each.peers.map(formatIp).includes(host),
    );
  if (protocol !== 1 && protocol !== 58)
    return isIn(of(protocol), port) || isPeer(protocol, frame.from) ? "plane" : "kernel";
  const [replies, errors] =
    family === 4
      ? [
          [0, 14, 16, 18],
          [3, 11, 12],
        ]
      : [[129], [1, 2, 3, 4]];
  if (replies.includes(type)) return port >= 50_000 ? "plane" : "kernel";
  if (!errors.includes(type) || inner === undefined || inner.options > 0) return "kernel";
  const isPing = inner.protocol === (family === 4 ? 1 : 58);
  const isTunnel = inner.protocol === 17 && inner.port === 8472;
  const isOurs = isPing
    ? inner.port >= 50_000
    : isTunnel || isIn(of(inner.protocol), inner.source) || isPeer(inner.protocol, inner.to);
  return isOurs ? "plane" : "kernel";
}

const frameOf = (frame: Frame): Uint8Array =>
  Uint8Array.from([
    ...new Array(12).fill(2),
    ...(frame.family === 4 ? [8, 0] : [0x86, 0xdd]),
    ...bytesOf(frame),
  ]);

function tableFor(evaluator: NftEvaluator): TakenTable {
  let sequence = 0;
  const netlink = {
    next: () => ++sequence,
    change: (batch: Uint8Array) => evaluator.change(batch),
    close: () => {},
  };
  return new TakenTable(netlink as unknown as Netlink, "podwire", "eth0");
}

t.test("every frame has the taker that the description says", async (t) => {
  const program = takenFilter(TAKEN);
  const kernel = new NftEvaluator();
  tableFor(kernel).drop(TAKEN);
  const counts = { plane: 0, kernel: 0, both: 0 };
  for (let i = 0; i < 6000; i++) {
    const frame = anyFrame();
    const bytes = frameOf(frame);
    const who = taker(frame);
    counts[who]++;
    const seen = { plane: runs(program, bytes), kernel: kernel.passes(bytes) };
    const wanted = { plane: who !== "kernel", kernel: who !== "plane" };
    if (seen.plane === wanted.plane && seen.kernel === wanted.kernel) continue;
    t.strictSame(seen, wanted, JSON.stringify(frame));
    break;
  }
  t.ok(Math.min(...Object.values(counts)) > 200, `all kinds came: ${JSON.stringify(counts)}`);
});

t.test("frames that are cut off have one taker at most", async (t) => {
  const program = takenFilter(TAKEN);
  const kernel = new NftEvaluator();
  tableFor(kernel).drop(TAKEN);
  for (let i = 0; i < 600; i++) {
    const frame = anyFrame();
    const bytes = frameOf(frame).slice(0, 54 + below(40)); // what has no whole IPv6 header is nobody's
    const isLater = frame.fragment !== undefined && frame.fragment > 0;
    if (isLater || !runs(program, bytes) || !kernel.passes(bytes)) continue;
    t.fail(JSON.stringify([frame, bytes.length]));
    break;
  }
});

t.test(
  "neighbours are heard by both, other hosts' frames, VLANs and other protocols by the kernel",
  async (t) => {
    const program = takenFilter(TAKEN);
    const arp = Uint8Array.from([...new Array(12).fill(2), 8, 6, ...new Array(28).fill(0)]);
    t.ok(runs(program, arp));
    t.notOk(runs(program, arp, 3), "for another host");
    const neighbour = frameOf({
      family: 6,
      from: "2001:db8:9::9",
      to: "ff02::1",
      protocol: 58,
      fragment: undefined,
      source: 0,
      port: 0,
      type: 135,
      options: 0,
    });
    t.ok(runs(program, neighbour, 2), "a solicitation, to a group");
    const pod = frameOf({
      family: 4,
      from: "192.0.2.9",
      to: "10.244.1.9",
      protocol: 6,
      fragment: undefined,
      source: 1,
      port: 1,
      type: 0,
      options: 0,
    });
    t.ok(runs(program, pod));
    for (const type of [1, 2, 3]) t.notOk(runs(program, pod, type), `packet type ${type}`);
    t.notOk(runs(program, pod, 0, 1), "tagged");
  },
);

t.test("a change of ports keeps the table, one of addresses makes it anew", async (t) => {
  const kernel = new NftEvaluator();
  const table = tableFor(kernel);
  const frame = frameOf({
    family: 4,
    from: "192.0.2.9",
    to: "192.168.77.99",
    protocol: 6,
    fragment: undefined,
    source: 1,
    port: 443,
    type: 0,
    options: 0,
  });
  table.drop(TAKEN);
  t.ok(kernel.passes(frame));
  const [one, two, three] = TAKEN.groups;
  const more = { ...two, ports: ports([[443, 443]]) };
  table.drop({ ...TAKEN, groups: [one, more, three] });
  t.notOk(kernel.passes(frame));
  t.notOk(
    kernel.passes(
      frameOf({
        family: 4,
        from: "192.0.2.9",
        to: "192.168.77.11",
        protocol: 6,
        fragment: undefined,
        source: 1,
        port: 80,
        type: 0,
        options: 0,
      }),
    ),
    "the others are there still",
  );
  table.drop({ ...TAKEN, groups: [one, three], whole: [] });
  t.ok(kernel.passes(frame));
});

t.test("hosts that answer come and go in the table as it is, protocols by another one", async (t) => {
  const kernel = new NftEvaluator();
  const table = tableFor(kernel);
  const from = (host: string, protocol: number): boolean => {
    const rest = { fragment: undefined, source: 1, port: 22, type: 0, options: 0 };
    return kernel.passes(frameOf({ family: 4, from: host, to: "192.168.77.11", protocol, ...rest }));
  };
  const answers = (protocol: number, ...peers: string[]): Taken => ({
    ...TAKEN,
    answers: gatherPeers([{ protocol, family: 4, peers: peers.map(ip) }]),
  });
  for (const [taken, wanted] of [
    [answers(47, "192.0.2.1"), [false, true, true]],
    [answers(47, "192.0.2.2", "192.0.2.1"), [false, false, true]],
    [answers(47, "192.0.2.2"), [true, false, true]],
    [answers(50, "192.0.2.2"), [true, true, false]],
    [{ ...TAKEN, answers: [] }, [true, true, true]],
  ] as const) {
    table.drop(taken);
    t.same([from("192.0.2.1", 47), from("192.0.2.2", 47), from("192.0.2.2", 50)], wanted);
  }
});

t.test("a program of more ports than a jump is long", async (t) => {
  const many = joinRanges(
    Array.from({ length: 200 }, (_, i) => ({ first: 1000 + 5 * i, last: 1001 + 5 * i })),
  );
  const group = { addresses: [ip("192.168.77.11")], ports: { 6: many, 17: many, 132: many, 136: many } };
  const program = takenFilter({ ...TAKEN, groups: [group] });
  t.ok(program.length / 2 <= 4096, `${program.length / 2} instructions`);
  for (const port of [999, 1000, 1001, 1002, 1499, 1500, 1501, 1995, 1996, 1997]) {
    const frame = frameOf({
      family: 4,
      from: "192.0.2.9",
      to: "192.168.77.11",
      protocol: 132,
      fragment: undefined,
      source: 1,
      port,
      type: 0,
      options: 0,
    });
    t.equal(runs(program, frame), port >= 1000 && port < 2000 && port % 5 < 2, String(port));
  }
  const far = new BpfAssembler();
  far.jump(Op.EQUAL, 0, "end", null);
  for (let i = 0; i < 300; i++) far.add(Op.AND, 0);
  far.add(Op.RETURN, 0);
  far.label("end");
  far.add(Op.RETURN, 1);
  t.ok(runs(far.program(), new Uint8Array()));
});

t.test("ranges", async (t) => {
  const ranges = (text: string) =>
    text
      .split(" ")
      .map((part) => part.split("-").map(Number))
      .map(([first, last = first]) => ({ first, last }));
  t.strictSame(joinRanges(ranges("5-9 1-3 4 20")), ranges("1-9 20"));
  t.strictSame(joinRanges(ranges("1 3 10 13 40"), 3), ranges("1-3 10-13 40"));
  t.strictSame(joinRanges(ranges("1 3 5 7"), 2).length, 2, "of gaps that are alike some are closed");
  t.strictSame(joinRanges(ranges("1 3 5 7"), 1), ranges("1-7"));
});
