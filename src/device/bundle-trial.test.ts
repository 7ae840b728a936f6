// The trial of bundles: what it sends, and that it sees what a kernel or a card could do wrong.
import t from "tap";
import { IoKind } from "../base/addon.ts";
import type { Native } from "../native/binding.ts";
import { checkFrame } from "../testing/frames/frame-checker.ts";
import { toPlainFrames } from "../wire/bytes/plain-frames.ts";
import { makeBundle, tryBundle } from "./bundle-trial.ts";

const MAC = { hi: 0x0a58, lo: 0xc0a8320b | 0 };
const WAY = { fd: 3, ioKind: IoKind.PACKET_VNET };
const NO_VNET = new Uint8Array(10);

/** An interface that gives back what the test says, each with its virtio-net header before it. */
function device(frames: readonly Uint8Array[], result = 0): { native: Native; sent: Uint8Array[] } {
  const sent: Uint8Array[] = [];
  const waiting = [...frames];
  const native = {
    transmit: (...[, , arena, , , , results]: Parameters<Native["transmit"]>) => {
      sent.push((arena as Uint8Array).slice());
      (results as Int32Array)[0] = result;
      return 1;
    },
    receive: (...[, , arena, offs, lens]: Parameters<Native["receive"]>) => {
      for (const [i, next] of waiting.entries()) {
        (arena as Uint8Array).set(next, (offs as Int32Array)[i] - 10);
        (lens as Int32Array)[i] = next.length - 10;
      }
      return waiting.splice(0).length || -11;
    },
  } as Partial<Native> as Native;
  return { native, sent };
}

const plain = (frame: Uint8Array): Uint8Array => Uint8Array.of(...NO_VNET, ...frame);

for (const family of [4, 6] as const) {
  const { superframe, packets } = makeBundle(family, MAC);

  t.test(`a superframe over IPv${family} is cut into the packets that are waited for`, async (t) => {
    const arena = new Uint8Array(8192);
    arena.set(superframe, 100);
    const result = new Int32Array(3);
    const length = superframe.length - 10;
    t.equal(
      toPlainFrames(arena, new DataView(arena.buffer), 110, length, 4000, 4000, result),
      packets.length,
    );
    for (const [i, packet] of packets.entries()) {
      const from = 4000 + i * result[2];
      t.same(arena.slice(from, Math.min(from + result[2], 4000 + result[1])), packet);
      t.same(checkFrame(packet), [], `packet ${i + 1}`);
    }
  });

  t.test(`IPv${family}: a device that cuts it right, or takes it whole, is good`, async (t) => {
    const cuts = device([
      plain(Uint8Array.of(...packets[0].subarray(0, 5), 99, 1, 2, 3)),
      ...packets.map(plain),
    ]);
    t.equal(
      await tryBundle(cuts.native, family, MAC, WAY, WAY),
      "",
      "with a frame of somebody else before it",
    );
    t.same(cuts.sent, [superframe]);
    t.equal(await tryBundle(device([superframe]).native, family, MAC, WAY, WAY), "");
  });

  t.test(`IPv${family}: what is wrong with a cut is told`, async (t) => {
    const changed = (i: number, at: number): Uint8Array[] =>
      packets.map((packet, k) => plain(packet.map((byte, b) => (k === i && b === at ? byte ^ 1 : byte))));
    const udp = family === 4 ? 34 : 54;
    const cases: [Uint8Array[], RegExp][] = [
      [packets.slice(1).map(plain), /^of a superframe over IPv\d 3 packets came out, not 4$/],
      [[...packets, packets[0]].map(plain), / 5 packets came out, not 4$/],
      [changed(1, udp + 6), new RegExp(`packet 2 has \\d+ at byte ${udp + 6}, not \\d+$`)],
      [changed(3, udp + 30), new RegExp(`packet 4 has \\d+ at byte ${udp + 30}, not \\d+$`)],
      [[...packets.slice(0, 3), packets[3].subarray(0, -1)].map(plain), /packet 4 has \d+ bytes, not \d+$/],
    ];
    for (const [frames, message] of cases)
      t.match(await tryBundle(device(frames).native, family, MAC, WAY, WAY), message);
    const refused = await tryBundle(device([], -22).native, family, MAC, WAY, WAY);
    t.equal(refused, `superframes over IPv${family} are refused (EINVAL)`);
  });
}
