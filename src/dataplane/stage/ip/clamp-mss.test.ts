// The MSS of forwarded SYNs: lowered to the path, never raised, checksums right (every frame that leaves is checked).
import fc from "fast-check";
import t from "tap";
import * as build from "../../../testing/frames/frame-builder.ts";
import { partialFrame } from "../../../testing/frames/virtio-frames.ts";
import { makeDualStack, pathTo6, pod6 } from "../../../testing/world/dual-stack.ts";
import { pathTo, TestFabric } from "../../../testing/world/test-fabric.ts";
import * as tcp from "../../../wire/transport/tcp.ts";

const POD = "10.244.1.2";
const REMOTE = "10.244.2.2";
const L3 = 14;
const MOST = 1450 - 40;

/** Two nodes; the first clamps or not. */
function fabricOf(mssClamp: number): TestFabric {
  const fabric = new TestFabric();
  for (const node of fabric.nodes) makeDualStack(node);
  fabric.nodes[0].tables.config.extra.mssClamp = mssClamp;
  return fabric;
}

/** MSS of the SYN as the pod on the other node gets it. */
function arrives(fabric: TestFabric, frame: Uint8Array, virtio?: Uint8Array): number {
  const [one, two] = fabric.nodes;
  one.send("pod2", frame, virtio);
  fabric.run();
  const [out] = two.received("pod2");
  const view = new DataView(out.frame.buffer, out.frame.byteOffset, out.frame.byteLength);
  return tcp.mss(view, L3 + (out.frame[12] === 0x86 ? 40 : 20));
}

function syn(fabric: TestFabric, o: object): Uint8Array {
  return build.tcpFrame({ ...pathTo(fabric.nodes[0], POD, REMOTE), flags: "S", ...o });
}

t.test("an MSS that does not fit the tunnel is lowered, in both families and both directions", async (t) => {
  for (const flags of ["S", "S."]) {
    const fabric = fabricOf(1);
    fabric.nodes[0].tables.config.proxy.dropInvalid = 0; // a SYN-ACK without a SYN
    fabric.nodes[1].tables.config.proxy.dropInvalid = 0;
    t.equal(arrives(fabric, syn(fabric, { mss: 8960, flags })), MOST);
    const path = pathTo6(fabric.nodes[0], pod6(1, 2), pod6(2, 2));
    t.equal(arrives(fabric, build.tcpFrame({ ...path, flags, mss: 8940 })), MOST - 20);
  }
});

t.test("one that fits stays, and so does every other while it is switched off", async (t) => {
  const [on, off] = [fabricOf(1), fabricOf(0)];
  t.equal(arrives(on, syn(on, { mss: MOST })), MOST);
  t.equal(arrives(on, syn(on, { mss: 500, srcPort: 2 })), 500);
  t.equal(arrives(on, syn(on, { srcPort: 3 })), -1, "no option");
  t.equal(arrives(off, syn(off, { mss: 8960 })), 8960);
});

t.test("any MSS at any place among the options leaves with a right checksum", async () => {
  fc.assert(
    fc.property(fc.nat(65_535), fc.nat(5), fc.boolean(), (mss, before, isPartial) => {
      const fabric = fabricOf(1);
      const options = Uint8Array.from([...Array(before).fill(1), 2, 4, mss >> 8, mss & 255]);
      const plain = withOptions(syn(fabric, { mss: 1, wscale: 7, timestamps: [1, 2] }), options);
      const { frame, virtio } = isPartial ? partialFrame(plain) : { frame: plain, virtio: undefined };
      return arrives(fabric, frame, virtio) === Math.min(mss, MOST);
    }),
    { numRuns: 40 },
  );
});

/** The frame with `options` in front of NOPs, and its checksum made anew. */
function withOptions(frame: Uint8Array, options: Uint8Array): Uint8Array {
  const out = frame.slice();
  const l4 = L3 + 20;
  out.fill(1, l4 + 20, l4 + (out[l4 + 12] >> 4) * 4);
  out.set(options, l4 + 20);
  const view = new DataView(out.buffer);
  let sum = 6 + out.length - l4;
  for (let at = L3 + 12; at < out.length; at += 2) {
    if (at !== l4 + 16) sum += (out[at] << 8) | (out[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(l4 + 16, ~sum & 0xffff);
  return out;
}
