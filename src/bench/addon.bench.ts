// What it costs to call the addon, without the work behind it: arrays as they are beside pinned ones, and segments cut
// and joined. Nothing is sent.
import { loadNative } from "../native/binding.ts";
import * as hotLoop from "./hot-loop.ts";

const CALLS = 1 << 14;
const SUPERFRAMES = 1 << 9;
const MSS = 1398;
const SEGMENTS = 46;
const FRAME = 1000;
const HEADER = 14 + 20 + 32; // Ethernet, IPv4, TCP with timestamps
const PREFIX = 8;
const OUT = 1 << 17;
const JOINED = 1 << 18;
/** Minimum of three runs, ns, AMD EPYC, Node 20.20, on a machine that was busy: ratios hold, figures do not. */
const RECORDED: Record<string, number> = {
  "checksum of nothing": 106,
  "checksum of nothing, pinned": 84,
  "transmit of nothing, six arrays": 440,
  "transmit of nothing, six arrays, pinned": 108,
  "a superframe cut into 46 segments": 2_800,
  "46 segments joined": 3_000,
};

const native = loadNative();
const arena = new Uint8Array(1 << 19);
const column = new Int32Array(64);
const result = new Int32Array(3);
const descriptors = new Int32Array(2 * 64 + 1);
const pinned = { arena: native.pin(arena), column: native.pin(column) };
const joining = { result: native.pin(result), descriptors: native.pin(descriptors) };

function measure(name: string, operations: number, one: () => number): void {
  const round = (): number => {
    let sum = 0;
    for (let i = 0; i < operations; i++) sum = (sum + one()) | 0;
    return sum;
  };
  hotLoop.measure(name, operations, round, RECORDED[name]);
}

/** A TCP superframe over IPv4 at FRAME; its checksums are made where it is cut. */
function writeSuperframe(): void {
  const view = new DataView(arena.buffer);
  const random = hotLoop.createRandom(hotLoop.SEED);
  for (let i = 0; i < SEGMENTS * MSS; i++) arena[FRAME + HEADER + i] = random();
  view.setUint16(FRAME + 12, 0x0800);
  const ip = [0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 244, 1, 2, 10, 244, 2, 2];
  arena.set(ip, FRAME + 14);
  arena.set([0x80, 0x10, 0, 64], FRAME + 34 + 12);
  arena.set([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1], FRAME + 34 + 20);
}

function cut(): number {
  const l3 = FRAME + 14;
  const len = HEADER + SEGMENTS * MSS;
  const room = JOINED - OUT;
  return native.segmentTcp(
    pinned.arena,
    FRAME,
    len,
    l3,
    l3 + 20,
    MSS,
    0,
    OUT,
    room,
    0,
    PREFIX,
    joining.result,
  );
}

hotLoop.printHeader("calls of the addon");
measure("checksum of nothing", CALLS, () => native.checksum(arena, 0, 0, 0));
measure("checksum of nothing, pinned", CALLS, () => native.checksum(pinned.arena, 0, 0, 0));
measure("transmit of nothing, six arrays", CALLS, () =>
  native.transmit(column, column, arena, column, column, 0, column),
);
const { arena: a, column: c } = pinned;
measure("transmit of nothing, six arrays, pinned", CALLS, () => native.transmit(c, c, a, c, c, 0, c));
writeSuperframe();
measure("a superframe cut into 46 segments", SUPERFRAMES, cut);
const bytes = result[1];
const stride = result[2];
measure("46 segments joined", SUPERFRAMES, () =>
  native.coalesce(a, OUT, bytes, stride, PREFIX, JOINED, 1 << 17, joining.descriptors, 64),
);
if (result[0] !== SEGMENTS || descriptors[1] !== HEADER + SEGMENTS * MSS)
  throw new Error(`${result[0]} segments, joined to ${descriptors[1]} bytes`);
hotLoop.printSink();
