import fc from "fast-check";
import t from "tap";
import { concat, fromHex, patched } from "../testing/frames/bytes.ts";
import * as build from "../testing/frames/frame-builder.ts";
import { GOLDEN_FRAMES } from "../testing/frames/golden-frames.ts";
import { dissect } from "./dissect.ts";
import type { Frame, Layer } from "./frame.ts";
import { summary } from "./summary.ts";

const v4 = { src: "10.244.1.2", dst: "10.96.0.1" };
const v6 = { src: "fd00::2", dst: "fd00::3" };
const line = (bytes: Uint8Array): string => summary(dissect(bytes));

function layer<K extends Layer["kind"]>(frame: Frame, kind: K): Extract<Layer, { kind: K }> {
  const found = frame.layers.find((candidate) => candidate.kind === kind);
  if (found === undefined) throw new Error(`no ${kind} layer`);
  return found as Extract<Layer, { kind: K }>;
}

for (const golden of GOLDEN_FRAMES) {
  t.test(`tcpdump's line: ${golden.name}`, async (t) => {
    t.equal(line(fromHex(golden.hex)), golden.text);
  });
}

t.test("a TCP frame becomes plain objects", async (t) => {
  const frame = dissect(
    build.tcpFrame({ ...v4, flags: "S", seq: 2 ** 31 + 1, mss: 1460, wscale: 7, vlans: [5] }),
  );
  t.same(
    frame.layers.map(({ kind }) => kind),
    ["ethernet", "vlan", "ipv4", "tcp"],
  );
  t.match(layer(frame, "ethernet"), {
    src: "0a:58:00:00:00:01",
    dst: "0a:58:00:00:00:02",
    etherType: 0x8100,
  });
  t.match(layer(frame, "vlan"), { id: 5, priority: 0, etherType: 0x0800 });
  t.match(layer(frame, "ipv4"), { ...v4, ttl: 64, proto: 6, dontFragment: true, checksumOk: true });
  t.match(layer(frame, "tcp"), {
    srcPort: 41000,
    dstPort: 80,
    seq: 2 ** 31 + 1,
    flags: "S",
    payloadLength: 0,
  });
  t.equal(JSON.stringify(frame), JSON.stringify(JSON.parse(JSON.stringify(frame))), "fit for JSON");
});

t.test("the part between off and end is looked at, wherever the bytes lie in their buffer", async (t) => {
  const frame = build.udpFrame({ ...v4, payload: 9 });
  const shifted = concat(new Uint8Array(130), frame, new Uint8Array(7)).subarray(2);
  t.equal(
    summary(dissect(shifted, 128, 128 + frame.length)),
    "IP 10.244.1.2.41000 > 10.96.0.1.53: UDP, length 9",
  );
  t.equal(dissect(shifted, 128, 128 + frame.length).length, frame.length);
  for (const [off, end] of [
    [-1, 5],
    [9999, 5],
    [5, 9999],
    [10, 5],
  ])
    t.ok(dissect(frame, off, end));
});

t.test("TCP options of a wrong length are named, not guessed at", async (t) => {
  const bytes = build.tcpFrame({ ...v4, flags: "S", mss: 1460, timestamps: [1, 2], wscale: 7 });
  bytes[55] = 3;
  t.match(line(bytes), /options \[mss \[bad opt\],/);
  t.match(
    line(patched(build.tcpFrame({ ...v4, timestamps: [1, 2] }), 57, 8)),
    /options \[nop,nop,TS \[bad opt\],/,
  );
});

const lines = [
  {
    name: "VLAN",
    bytes: build.udpFrame({ ...v4, vlans: [7, 8] }),
    text: "vlan 7, vlan 8, IP 10.244.1.2.41000 > 10.96.0.1.53: UDP, length 0",
  },
  {
    name: "ARP probe",
    bytes: build.arpFrame({ senderIp: "0.0.0.0", targetIp: "10.0.0.1" }),
    text: "ARP, Request who-has 10.0.0.1 tell 0.0.0.0, length 28",
  },
  {
    name: "ARP operation 9",
    bytes: build.arpFrame({ op: 9, senderIp: "10.0.0.2", targetIp: "10.0.0.1" }),
    text: "ARP, op 9, length 28",
  },
  {
    name: "unknown EtherType",
    bytes: fromHex("ffffffffffff 0a5800000001 88b5 00"),
    text: "0a:58:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype Unknown (0x88b5), length 15",
  },
  { name: "13 bytes", bytes: new Uint8Array(13), text: "[|ether]" },
  { name: "half a VLAN tag", bytes: fromHex("ffffffffffff 0a5800000001 8100 00"), text: "[|vlan]" },
  { name: "half an IPv6 header", bytes: build.udpFrame(v6).subarray(0, 50), text: "IP6 [|ip6]" },
  {
    name: "SCTP",
    bytes: build.sctpFrame({ ...v4, chunks: [{ type: 10, value: 4 }, { type: 0, value: 20 }, { type: 99 }] }),
    text: "IP 10.244.1.2.41000 > 10.96.0.1.9999: sctp (1) [COOKIE ECHO] (2) [DATA] (3) [chunk 99]",
  },
  {
    name: "no next header",
    bytes: build.ipFrame(v6, 59, 0, () => {}),
    text: "IP6 fd00::2 > fd00::3: no next header",
  },
  {
    name: "v4-mapped address is not shown as IPv4",
    bytes: mapped(),
    text: "IP6 ::ffff:10.0.0.1.41000 > fd00::3.53: UDP, length 0",
  },
];
for (const c of lines) {
  t.test(`line: ${c.name}`, async (t) => {
    t.equal(line(c.bytes), c.text);
  });
}

function mapped(): Uint8Array {
  const bytes = build.udpFrame(v6);
  bytes.set(fromHex("00000000000000000000ffff0a000001"), 22);
  return bytes;
}

t.test("VXLAN in VXLAN is followed four deep and no further", async (t) => {
  let bytes = build.udpFrame(v4);
  for (let i = 0; i < 6; i++) bytes = build.vxlanFrame({ ...v4, inner: bytes });
  t.equal(line(bytes).match(/VXLAN/g)?.length, 4);
});

t.test("bytes cut off anywhere give a line and no exception", async (t) => {
  for (const golden of GOLDEN_FRAMES) {
    const bytes = fromHex(golden.hex);
    for (let len = 0; len < bytes.length; len++) t.type(line(bytes.subarray(0, len)), "string");
  }
});

t.test("any bytes behind any EtherType and protocol give one line and no exception", async () => {
  const proto = fc.constantFrom(0, 1, 6, 17, 43, 44, 51, 58, 60, 132, 200);
  const head = fc.constantFrom(
    "0800 45000000 0000 0000 40",
    "86dd 60000000 0000",
    "0806 0001",
    "8100 0001 0800",
  );
  fc.assert(
    fc.property(head, proto, fc.uint8Array({ maxLength: 200 }), (ether, next, tail) => {
      const bytes = concat(fromHex(`0a5800000002 0a5800000001 ${ether}`), Uint8Array.of(next), tail);
      const room = bytes.length - 14;
      if (ether.startsWith("0800")) bytes.set([room >> 8, room & 255], 16);
      if (ether.startsWith("86dd") && room >= 40) bytes.set([(room - 40) >> 8, (room - 40) & 255], 18);
      const text = line(bytes);
      return text.length > 0 && !text.includes("\n") && !text.includes("undefined");
    }),
    { numRuns: 2000 },
  );
});
