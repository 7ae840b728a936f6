// What a superframe takes of a link is what its segments take, cut by the offload twin.
import t from "tap";
import * as build from "../../testing/frames/frame-builder.ts";
import { superframe } from "../../testing/frames/virtio-frames.ts";
import * as offload from "../bytes/offload.ts";
import { wireOctets } from "./wire-octets.ts";

const AT = 1024;
const OUT = 80_000;
const ends = {
  ...{ src: "10.244.1.2", dst: "10.244.1.3", srcMac: "02:00:00:00:00:02", dstMac: "02:00:00:00:00:03" },
  ...{ srcPort: 1000, dstPort: 80 },
};

function lay(frame: Uint8Array, virtio: Uint8Array = new Uint8Array(10)) {
  const arena = new Uint8Array(200_000).fill(0xa5);
  arena.set(virtio, AT - 10);
  arena.set(frame, AT);
  return { arena, view: new DataView(arena.buffer), len: frame.length };
}

for (const [payload, size] of [
  [9000, 1398],
  [1399, 1398],
  [1398 * 4, 1398],
  [60_000, 536],
  [100, 99],
]) {
  t.test(`${payload} bytes in segments of ${size}`, async (t) => {
    const made = superframe(build.tcpFrame({ ...ends, flags: ".", payload }), size);
    const { arena, view, len } = lay(made.frame, made.virtio);
    const result = new Int32Array(4);
    const l3 = AT + 14;
    offload.segmentTcp(arena, AT, len, l3, l3 + 20, size, 0, OUT, 120_000, 0, 0, result);
    const [segments, written] = result;
    t.equal(segments, Math.ceil(payload / size));
    t.equal(wireOctets(view, AT, len), written);
  });
}

t.test("what is no superframe, or cannot be one, counts as it is", async (t) => {
  const plain = build.udpFrame({ ...ends, payload: 700 });
  const cases: [string, number[]][] = [
    ["no kind", [0, 0, 0, 0, 100, 0, 34, 0, 16, 0]],
    ["no size", [1, 1, 0, 0, 0, 0, 34, 0, 16, 0]],
    ["its checksum begins behind its end", [1, 1, 0, 0, 100, 0, 0xff, 0xff, 16, 0]],
    ["one segment", [1, 1, 0, 0, 0xff, 0xff, 34, 0, 16, 0]],
  ];
  for (const [name, virtio] of cases) {
    const { view, len } = lay(plain, Uint8Array.from(virtio));
    t.equal(wireOctets(view, AT, len), plain.length, name);
  }
  const { view, len } = lay(plain, Uint8Array.from([1, 5, 42, 0, 100, 0, 34, 0, 6, 0]));
  t.equal(wireOctets(view, AT, len), 700 + 7 * 42, "datagrams of UDP");
});
