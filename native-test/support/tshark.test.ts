// The judge must be just: right frames pass, each kind of wrong frame is found.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { tcpFrame, udpFrame, vxlanFrame } from "../../src/testing/frames/frame-builder.ts";
import { cannotRun } from "../../src/testing/lab/lab.ts";
import { checkCapture } from "./tshark.ts";

const PATH = { src: "10.244.1.2", dst: "10.244.2.2" };
const OUTER = { src: "192.168.50.11", dst: "192.168.50.12", dstPort: 8472 };
const L4 = 14 + 20; // Ethernet, IPv4 without options
const TUNNEL = L4 + 8 + 8; // up to the inner Ethernet header

function pcap(...frames: Uint8Array[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(262_144, 16);
  header.writeUInt32LE(1, 20); // Ethernet
  const records = frames.map((frame) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return Buffer.concat([record, frame]);
  });
  return Buffer.concat([header, ...records]);
}

function changed(frame: Uint8Array, offset: number, xor: number): Uint8Array {
  const copy = Uint8Array.from(frame);
  copy[offset] ^= xor;
  return copy;
}

/** The frame with the sum of its pseudo header in the checksum field: RFC 9293 §3.1, added up by hand. */
function partial(frame: Uint8Array, protocol: number, fieldOffset: number): Uint8Array {
  const copy = Buffer.from(frame);
  let sum = protocol + (copy.readUInt16BE(16) - 20);
  for (let i = 26; i < 34; i += 2) sum += copy.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  copy.writeUInt16BE(sum, L4 + fieldOffset);
  return copy;
}

t.test("checkCapture", { skip: cannotRun("tshark") }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-tshark-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const check = async (...frames: Uint8Array[]) => {
    await writeFile(join(folder, "x.pcap"), pcap(...frames));
    return checkCapture(join(folder, "x.pcap"));
  };
  const tcp = tcpFrame({ ...PATH, payload: 100 });
  const udp = udpFrame({ ...PATH, dstPort: 9000, payload: 100 });
  const tunnel = vxlanFrame({ ...OUTER, inner: tcp });

  t.test("right frames have no problems", async (t) => {
    const result = await check(tcp, udp, tunnel, partial(tcp, 6, 16), partial(udp, 17, 6));
    t.same(result.problems, []);
    t.match(result, { frames: 5, partial: 2, tunnelled: 1 });
  });

  // The payload's last word makes the sum that of a checksum of 0.
  const zero = tcpFrame({ ...PATH, payload: 100, srcPort: 40_000 });
  const spare = Buffer.from(zero).readUInt16BE(L4 + 16);
  const word = Buffer.from(zero).readUInt16BE(zero.length - 2) + spare;
  Buffer.from(zero.buffer).writeUInt16BE((word & 0xffff) + (word >>> 16), zero.length - 2);
  const withZero = (sum: number): Uint8Array => {
    const copy = Buffer.from(zero);
    copy.writeUInt16BE(sum, L4 + 16);
    return copy;
  };

  t.test("of TCP's two zeros Linux writes either, podwire one", async (t) => {
    const result = await check(withZero(0), withZero(0xffff), vxlanFrame({ ...OUTER, inner: withZero(0) }));
    t.same(result.problems, []);
    t.match(result, { frames: 3, complete: 3, tunnelled: 1 });
  });

  for (const [what, frame, message] of [
    ["the wrong zero in a tunnel", vxlanFrame({ ...OUTER, inner: withZero(0xffff) }), /bad tunnelled TCP/],
    ["an IP header", changed(tcp, 14 + 8, 1), /bad IP/],
    ["a TCP checksum", changed(tcp, L4 + 17, 1), /bad TCP/],
    ["a UDP checksum", changed(udp, L4 + 7, 1), /bad UDP/],
    ["a partial checksum", changed(partial(tcp, 6, 16), L4 + 17, 1), /bad TCP/],
    ["a tunnelled TCP checksum", changed(tunnel, TUNNEL + L4 + 17, 1), /bad tunnelled TCP/],
    [
      "a partial checksum in a tunnel",
      vxlanFrame({ ...OUTER, inner: partial(tcp, 6, 16) }),
      /bad tunnelled TCP/,
    ],
  ] as const) {
    t.test(`${what} that is wrong is found`, async (t) => {
      const result = await check(udp, frame);
      t.equal(result.problems.length, 1);
      t.match(result.problems[0], message);
      t.match(result.evidence, /^ *2 [\s\S]*\n0010 ( [0-9a-f]{2}){16} /, "and shown, with its bytes");
    });
  }
});
