import * as fc from "fast-check";
import t from "tap";
import { tcpFrame, udpFrame } from "../../testing/frames/frame-builder.ts";
import { type CapturedPacket, readPacket } from "./captured-packet.ts";
import { differences, differsInEndsOnly, ExpectedPackets } from "./expected-packets.ts";

const read = (frame: Uint8Array): CapturedPacket => readPacket(frame, frame.length, 0);
const ENDS = { src: "10.244.1.2", dst: "10.244.2.2", srcPort: 41000, dstPort: 8080 };
const segment = (seq: number, more: object = {}) =>
  read(tcpFrame({ ...ENDS, flags: ".", seq, ack: 1, payload: new Uint8Array(10), ...more }));

t.test("what was taken pushes out nothing: the last 4,096 are remembered", async (t) => {
  const expected = new ExpectedPackets();
  let found = 0;
  for (let i = 0; i < 5000; i++) {
    expected.add({ port: 0, packet: segment(10 * i) });
    if (expected.take(segment(10 * i), 0) !== undefined) found++;
  }
  t.equal(found, 5000);
  for (let i = 0; i < 4097; i++) expected.add({ port: 0, packet: segment(10 * i) });
  t.equal(expected.take(segment(0), 0), undefined, "the oldest of 4,097");
  t.ok(expected.take(segment(10), 0));
  t.equal(expected.take(segment(10), 0), undefined, "once");
  t.equal(expected.take(segment(20), 1), undefined, "by another port");
});

t.test("a segment with other ends is found by its number, of several the first connection's", async (t) => {
  const expected = new ExpectedPackets();
  expected.add({ port: 0, packet: segment(7, { srcPort: 1 }) });
  expected.add({ port: 0, packet: segment(8, { srcPort: 2 }) });
  expected.add({ port: 1, packet: segment(8, { srcPort: 3 }) });
  expected.add({ port: 0, packet: segment(8, { srcPort: 1 }) });
  expected.add({ port: 0, packet: segment(8, { srcPort: 4 }) });
  const found = expected.withOtherEnds(segment(8), 0);
  t.equal((found?.packet.key[8] ?? 0) >>> 16, 1, "the connection that was seen first");
  expected.take(segment(8, { srcPort: 1 }), 0);
  t.equal((expected.withOtherEnds(segment(8), 0)?.packet.key[8] ?? 0) >>> 16, 2);
  t.equal(expected.withOtherEnds(segment(9), 0), undefined);
  t.equal(expected.withOtherEnds(segment(8, { payload: new Uint8Array(10).fill(1) }), 0), undefined);
});

const few = <T>(...values: T[]) => fc.constantFrom(...values);
const anyFrame = fc
  .record({
    isTcp: fc.boolean(),
    ends: fc.record({ src: few("10.0.0.1", "10.0.0.2"), dst: few("10.0.0.3"), srcPort: few(1, 2) }),
    tcp: fc.record({ seq: few(1, 2), ack: few(0, 5), flags: few("S", ".", "P.", "F.", "R") }),
    payload: few(new Uint8Array(0), Uint8Array.of(1), Uint8Array.of(2)),
  })
  .map(({ isTcp, ends, tcp, payload }) =>
    read(
      isTcp ? tcpFrame({ ...ends, ...tcp, dstPort: 9, payload }) : udpFrame({ ...ends, dstPort: 9, payload }),
    ),
  );

t.test("two packets differ in their ends only when no sentence tells of anything else", async () => {
  const isOfEnds = (sentence: string): boolean => /^(source|destination|ICMP id) /.test(sentence);
  fc.assert(
    fc.property(anyFrame, anyFrame, (a, b) => {
      const byWords = a.proto === b.proto && differences(a, [b]).every(isOfEnds);
      return differsInEndsOnly(a, b) === byWords;
    }),
    { numRuns: 2000 },
  );
});
