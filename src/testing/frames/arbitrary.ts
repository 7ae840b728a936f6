// fast-check arbitraries of frames: good ones with every field free, and mutated ones.
import fc from "fast-check";
import { Prng } from "../prng.ts";
import * as build from "./frame-builder.ts";
import { mutate } from "./mutate.ts";
import { sampleFrames } from "./sample-frames.ts";

const port = fc.integer({ min: 1, max: 65535 });
const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const payload = fc.uint8Array({ maxLength: 200 });
/** Any address but one that starts with 0 (not a host) or 127. */
const ipv4Text = fc.ipV4().filter((text) => !/^(?:0|127)\./.test(text));
/** In the form the address parser takes: no dotted tail, no zone. */
const ipv6Text = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 7, maxLength: 7 })
  .map((groups) => ["fd00", ...groups.map((group) => group.toString(16))].join(":"));
const ends = fc.oneof(
  fc.record({ src: ipv4Text, dst: ipv4Text }),
  fc.record({ src: ipv6Text, dst: ipv6Text }),
);
const ttl = fc.integer({ min: 1, max: 255 });
const tos = fc.integer({ min: 0, max: 255 });
const vlans = fc.array(fc.integer({ min: 0, max: 4095 }), { maxLength: 2 });
const common = fc.record({ ttl, tos, vlans, id: fc.integer({ min: 0, max: 65535 }) });
const ports = fc.record({ srcPort: port, dstPort: port.filter((p) => p !== 4789 && p !== 8472) });
const flags = fc.subarray([..."FSRP.UEW"]).map((letters) => letters.join(""));

const tcpFrame = fc
  .tuple(ends, common, ports, fc.record({ flags, seq: i32, ack: i32, window: port, payload }), fc.boolean())
  .map(([a, b, c, d, stamped]) =>
    build.tcpFrame({ ...a, ...b, ...c, ...d, ...(stamped && { timestamps: [1, 2] as const, mss: 1400 }) }),
  );
const udpFrame = fc
  .tuple(ends, common, ports, payload)
  .map(([a, b, c, body]) => build.udpFrame({ ...a, ...b, ...c, payload: body }));
const echoFrame = fc
  .tuple(ends, common, port, port, payload, fc.boolean())
  .map(([a, b, echoId, seq, body, reply]) =>
    build.echoFrame({ ...a, ...b, echoId, seq, payload: body, reply }),
  );
const sctpFrame = fc
  .tuple(
    ends,
    common,
    ports,
    i32,
    fc.array(fc.record({ type: fc.nat({ max: 255 }), value: payload }), { maxLength: 4 }),
  )
  .map(([a, b, c, vtag, chunks]) => build.sctpFrame({ ...a, ...b, ...c, vtag, chunks }));
const arpFrame = fc
  .record({ op: fc.constantFrom(1, 2), senderIp: ipv4Text, targetIp: ipv4Text, vlans })
  .map((o) => build.arpFrame(o));

/** A frame that is right in every length and checksum, without a tunnel. */
export const plainFrame = fc.oneof(tcpFrame, udpFrame, echoFrame, sctpFrame, arpFrame);
const vxlanFrame = fc
  .tuple(ipv4Text, ipv4Text, fc.integer({ min: 0, max: 0xffffff }), fc.boolean(), plainFrame)
  .map(([src, dst, vni, checksum, inner]) => build.vxlanFrame({ src, dst, vni, checksum, inner }));
/** A frame that is right in every length and checksum. */
export const frame = fc.oneof(plainFrame, vxlanFrame);

/** A frame that something went wrong with; most are not well formed any more. */
const mutatedFrame = fc.tuple(frame, i32).map(([good, seed]) => {
  const random = new Prng(seed);
  return mutate(good, random.pick(sampleFrames()), random);
});

/** A frame cut off somewhere. */
const truncatedFrame = fc
  .tuple(frame, fc.nat())
  .map(([good, cut]) => good.subarray(0, cut % (good.length + 1)));

/** Good, cut or mutated, or bytes that never were a frame. */
export const anyFrame = fc.oneof(frame, truncatedFrame, mutatedFrame, fc.uint8Array({ maxLength: 300 }));
