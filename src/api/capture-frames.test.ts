import t from "tap";
import type { CaptureRecord } from "../observe/trace-record.ts";
import { tcpFrame, udpFrame, vxlanFrame } from "../testing/frames/frame-builder.ts";
import { checkFrame } from "../testing/frames/frame-checker.ts";
import { tunnelSuperframe } from "../testing/frames/virtio-frames.ts";
import * as virtio from "../wire/link/virtio-net.ts";
import { captureFrames } from "./capture-frames.ts";

const tuple = { src: "10.0.0.1", dst: "10.0.0.2" };
const L4 = 34; // behind Ethernet and a plain IPv4 header

function record(data: Uint8Array, more: Partial<CaptureRecord> = {}): CaptureRecord {
  const decision = {
    verdict: "forward",
    bridged: false,
    fromTunnel: false,
    translated: false,
    from: tuple,
    to: tuple,
  };
  const place = {
    inPort: 0,
    outPort: 1,
    family: 4 as const,
    protocol: 17,
    packet: 1,
    port: 1,
    serviceId: -1,
  };
  const offload = { csumPartial: false, gsoType: 0, gsoSize: 0, csumStart: L4, csumOffset: 6 };
  return {
    ...decision,
    ...place,
    ...offload,
    direction: "out",
    timeUs: 0,
    length: data.length,
    data,
    ...more,
  };
}

t.test("an ordinary frame stays as it is", async (t) => {
  const frame = udpFrame({ ...tuple, srcPort: 1, dstPort: 2, payload: 20 });
  t.same(captureFrames(record(frame.slice())), [frame]);
});

t.test("a checksum left to the device is completed", async (t) => {
  const whole = tcpFrame({ ...tuple, srcPort: 1, dstPort: 2, payload: 100 });
  const partial = whole.slice();
  const view = new DataView(partial.buffer);
  // What a sender writes instead: the pseudo-header's sum (RFC 9293 §3.1), not inverted.
  const length = whole.length - L4;
  let sum = 6 + length;
  for (let at = 26; at < 34; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(L4 + 16, sum);
  t.same(captureFrames(record(partial.slice(), { csumPartial: true, csumOffset: 16 })), [whole]);
  const cut = record(partial.slice(0, 60), { csumPartial: true, csumOffset: 16, length: whole.length });
  t.same(captureFrames(cut), [partial.slice(0, 60)], "not when the frame was cut short");
});

t.test("a UDP superframe is cut into datagrams that are right by themselves", async (t) => {
  const frame = udpFrame({ ...tuple, srcPort: 1, dstPort: 9, payload: 1000 });
  const offload = { gsoType: virtio.GSO_UDP_L4, gsoSize: 300, csumPartial: true };
  const frames = captureFrames(record(frame.slice(), offload));
  t.same(
    frames.map((each) => each.length - L4 - 8),
    [300, 300, 300, 100],
  );
  for (const each of frames) t.same(checkFrame(each), [], "IP and UDP lengths and checksums");
  t.same(Buffer.concat(frames.map((each) => each.subarray(L4 + 8))), Buffer.from(frame.subarray(L4 + 8)));
});

t.test("a TCP superframe that came through a tunnel whole is cut, outside and inside", async (t) => {
  for (const outer of [tuple, { src: "fd00::1", dst: "fd00::2" }]) {
    const inner = tcpFrame({
      src: "10.244.1.2",
      dst: "10.244.2.2",
      srcPort: 1,
      dstPort: 2,
      flags: ".",
      payload: 3000,
    });
    const { frame, virtio: vnet } = tunnelSuperframe(vxlanFrame({ ...outer, inner }), 1398);
    const words = new DataView(vnet.buffer, vnet.byteOffset);
    const frames = captureFrames(
      record(frame, {
        csumPartial: true,
        gsoType: virtio.gsoType(words, 0),
        gsoSize: virtio.gsoSize(words, 0),
        csumStart: virtio.csumStart(words, 0),
        csumOffset: virtio.csumOffset(words, 0),
      }),
    );
    t.equal(frames.length, 3);
    for (const each of frames) t.same(checkFrame(each, { vxlanPorts: [8472] }), []);
  }
});

t.test("a superframe that makes no sense is written whole", async (t) => {
  const frame = udpFrame({ ...tuple, srcPort: 1, dstPort: 9, payload: 100 });
  t.same(captureFrames(record(frame.slice(), { gsoType: virtio.GSO_UDP_L4, gsoSize: 0 })), [frame]);
});
