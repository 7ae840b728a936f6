import t from "tap";
import { ip } from "../base/ip.ts";
import { CtState } from "../dataplane/packet.ts";
import { Verdict } from "../dataplane/verdict.ts";
import { CAPTURE_WORDS } from "../dataplane/watch.ts";
import { readCaptureRecord } from "./capture-record.ts";
import type { PlaneNames } from "./plane-record.ts";

const names: PlaneNames = {
  port: (id) => `port${id}`,
  service: (id) => (id === 5 ? "default/dns:dns" : undefined),
  route: () => undefined,
};
const BODY = 16; // somewhere in a ring, a multiple of 8

// IPv4 UDP 10.244.1.2:5000 → 10.96.0.10:53 "test": the UDP checksum holds the pseudo-header's sum only.
const FRAME = "0a580af401010a580af4010208004500002000010000401126a80af401020a60000a13880035000c";
const PARTIAL = `${FRAME}157574657374`;

function ringWith(frame: Uint8Array, change: (words: Int32Array) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(BODY + CAPTURE_WORDS * 4 + frame.length + 8));
  const words = new Int32Array(bytes.buffer, BODY, CAPTURE_WORDS);
  const [a, vip, b] = ["10.244.1.2", "10.96.0.10", "10.244.2.9"].map((text) => ip(text));
  words.set([77, 1, Verdict.FORWARD | (CtState.NEW << 16), (2 << 16) | 3]);
  new Float64Array(bytes.buffer, BODY + 16, 1)[0] = 1_700_000_000_123_456;
  words.set([frame.length, frame.length, 0, 0, 34, 6], 6);
  for (const [at, dst, port] of [
    [12, vip, 53],
    [22, b, 5353],
  ] as const) {
    words.set(
      [a.w0, a.w1, a.w2, a.w3, dst.w0, dst.w1, dst.w2, dst.w3, (5000 << 16) | port, (4 << 8) | 17],
      at,
    );
  }
  words.set([3, 5], 32);
  change(words);
  bytes.set(frame, BODY + CAPTURE_WORDS * 4);
  return bytes;
}

t.test("a record becomes a packet with its story in the comments", async (t) => {
  const frame = Uint8Array.of(1, 2, 3, 4, 5);
  const { port, packet } = readCaptureRecord(ringWith(frame), BODY, names);
  t.equal(port, 3);
  t.match(packet, {
    timestampNs: 1_700_000_000_123_456_000n,
    originalLength: 5,
    direction: "out",
    packetId: 77n,
    comments: ["FORWARD to port3", "DNAT 10.96.0.10:53 → 10.244.2.9:5353 (default/dns:dns)", "conntrack NEW"],
  });
  t.same([...packet.data], [...frame]);
});

t.test("a checksum left to the device is completed, once the whole frame is there", async (t) => {
  const frame = new Uint8Array(Buffer.from(PARTIAL, "hex"));
  const udpSum = (data: Uint8Array) => (data[40] << 8) | data[41];
  const partial = readCaptureRecord(ringWith(frame), BODY, names).packet.data;
  t.equal(udpSum(partial), 0x1575, "nothing asked for, nothing done");
  const needs = (words: Int32Array) => {
    words[8] = 1;
  };
  const whole = readCaptureRecord(ringWith(frame, needs), BODY, names).packet.data;
  let sum = 0x1575 + 0x1388 + 0x0035 + 0x000c + 0x7465 + 0x7374;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  t.equal(udpSum(whole), ~sum & 0xffff);
  const cut = (words: Int32Array) => {
    words[8] = 1;
    words[6] = 1500;
  };
  t.equal(udpSum(readCaptureRecord(ringWith(frame, cut), BODY, names).packet.data), 0x1575);
  const wild = (words: Int32Array) => {
    words[8] = 1;
    words[10] = 0x7fffffff;
  };
  t.same([...readCaptureRecord(ringWith(frame, wild), BODY, names).packet.data], [...frame]);
});
