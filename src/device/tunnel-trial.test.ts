// The trial of the tunnel TAP, with a kernel of the test's own behind it: one that cuts superframes right, and ones
// that do not.
import t from "tap";
import { IoKind } from "../base/addon.ts";
import type { Native } from "../native/binding.ts";
import { viewOf } from "../testing/frames/bytes.ts";
import { checkFrame } from "../testing/frames/frame-checker.ts";
import { toPlainFrames } from "../wire/bytes/plain-frames.ts";
import * as virtio from "../wire/link/virtio-net.ts";
import { TunnelTrial } from "./tunnel-trial.ts";

const TUNNEL = 7;
const EXIT = { fd: 8, ioKind: IoKind.TAP_VNET };
const MAC = { hi: 0x0200, lo: 0x0b };
const OUT = 8192;

type Frames = Uint8Array[];

/** Superframes as the trial hands them over, cut; `fault` spoils what comes out. */
class Kernel {
  readonly seen: { frame: Uint8Array; virtio: Uint8Array }[] = [];
  readonly #fault: (frames: Frames) => Frames;
  readonly #answer: number;
  #waiting: Frames = [];

  constructor(fault: (frames: Frames) => Frames, answer = 0) {
    this.#fault = fault;
    this.#answer = answer;
  }

  asNative(): Native {
    const transmit: Native["transmit"] = (_fds, kinds, arena, offs, lens, _count, results) => {
      const [kind] = kinds as Int32Array;
      (results as Int32Array)[0] = kind === IoKind.TUNNEL_TAP ? this.#answer : -22;
      const [at, len] = [(offs as Int32Array)[0], (lens as Int32Array)[0]];
      this.#take((arena as Uint8Array).slice(at - virtio.HEADER_LEN, at + len));
      return 1;
    };
    const receive: Native["receive"] = (_fd, _kind, arena, offs, lens, first, max) => {
      const frames = this.#waiting.splice(0, max);
      frames.forEach((frame, i) => {
        const off = (offs as Int32Array)[first + i];
        (arena as Uint8Array).fill(0, off - virtio.HEADER_LEN, off).set(frame, off);
        (lens as Int32Array)[first + i] = frame.length;
      });
      return frames.length;
    };
    return { transmit, receive } as unknown as Native;
  }

  #take(bytes: Uint8Array): void {
    const arena = new Uint8Array(4 * OUT);
    arena.set(bytes);
    this.seen.push({ virtio: bytes.slice(0, virtio.HEADER_LEN), frame: bytes.slice(virtio.HEADER_LEN) });
    const result = new Int32Array(3);
    const len = bytes.length - virtio.HEADER_LEN;
    const n = toPlainFrames(arena, viewOf(arena), virtio.HEADER_LEN, len, OUT, 3 * OUT, result);
    const at = (i: number): number => OUT + Math.min(i * result[2], result[1]);
    const frames = Array.from({ length: n }, (_, i) => arena.slice(at(i), at(i + 1)));
    this.#waiting = this.#fault(frames);
  }
}

const verdict = (kernel: Kernel): Promise<string> =>
  new TunnelTrial(kernel.asNative(), TUNNEL).run(EXIT, MAC);

/** One byte of one packet is another. */
const spoil =
  (packet: number, at: number) =>
  (frames: Frames): Frames => {
    frames[packet][at] ^= 1;
    return frames;
  };

t.test("a kernel that cuts superframes right passes; each family was tried inside and outside", async (t) => {
  const kernel = new Kernel((frames) => frames);
  t.equal(await verdict(kernel), "");
  t.equal(kernel.seen.length, 4);
  for (const { frame, virtio: header } of kernel.seen) {
    t.same(checkFrame(frame, { virtio: header, vxlanPorts: [9] }), []);
    t.equal(virtio.gsoType(viewOf(header), 0) & virtio.GSO_ECN, virtio.GSO_ECN);
  }
  const types = kernel.seen.map(({ virtio: header }) => virtio.gsoType(viewOf(header), 0) & ~virtio.GSO_ECN);
  t.same(types, [0x21, 0x24, 0x41, 0x44]);
});

for (const { what, packet, at } of [
  { what: "outer total length", packet: 1, at: 17 },
  { what: "outer id", packet: 1, at: 19 },
  { what: "outer IP checksum", packet: 2, at: 25 },
  { what: "outer UDP checksum", packet: 0, at: 41 },
  { what: "VNI", packet: 2, at: 48 },
  { what: "inner id", packet: 2, at: 69 },
  { what: "inner ECN", packet: 1, at: 65 },
  { what: "sequence number", packet: 1, at: 91 },
  { what: "TCP flags", packet: 1, at: 97 },
  { what: "TCP checksum", packet: 2, at: 101 },
  { what: "last byte", packet: 0, at: 803 },
]) {
  t.test(`a wrong ${what} of packet ${packet + 1} is told`, async (t) => {
    const wrong = await verdict(new Kernel(spoil(packet, at)));
    t.match(wrong, `TCP over IPv4 in VXLAN over IPv4: packet ${packet + 1} has`);
    t.match(wrong, `at byte ${at}, not`);
  });
}

t.test(
  "packets that are missing, too many, in another order, or too long, and none at all, are told",
  async (t) => {
    const told = (fault: (frames: Frames) => Frames, answer = 0) => verdict(new Kernel(fault, answer));
    t.match(await told((f) => f.slice(0, 2)), "2 packets came out, not 3");
    t.match(await told(() => []), "0 packets came out, not 3");
    t.match(await told((f) => [...f, f[2]]), "4 packets came out, not 3");
    t.match(await told(([a, b, c]) => [b, a, c]), "packet 1 has");
    t.match(await told(([a, b, c]) => [a, new Uint8Array([...b, 0]), c]), "packet 2 has 805 bytes, not 804");
    t.match(await told((f) => f, -22), "the device refuses it (EINVAL)");
  },
);
