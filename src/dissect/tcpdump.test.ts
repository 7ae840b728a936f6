// The same frames through tcpdump and through summary. Skipped where tcpdump is not installed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { concat, fromHex } from "../testing/frames/bytes.ts";
import * as build from "../testing/frames/frame-builder.ts";
import { GOLDEN_FRAMES } from "../testing/frames/golden-frames.ts";
import { dissect, dissectCut } from "./dissect.ts";
import { summary } from "./summary.ts";

const v4 = { src: "10.244.1.2", dst: "10.96.0.1" };
const v6 = { src: "fd00::2", dst: "fd00::3" };
const about4 = build.udpFrame({ ...v4, payload: 60 });
const about6 = build.tcpFrame({ ...v6, payload: 60 });
const icmp = (type: number, code: number, rest = 0): Uint8Array =>
  build.icmpErrorFrame({ src: "10.0.0.9", dst: "10.244.1.2", type, code, rest, about: about4 });
const icmp6 = (type: number, code: number, rest = 0): Uint8Array =>
  build.icmpErrorFrame({ src: "fd00::9", dst: "fd00::2", type, code, rest, about: about6 });

const frames = [
  ...GOLDEN_FRAMES.map(({ hex }) => fromHex(hex)).filter(
    (bytes) => !/VXLAN|frag/.test(summary(dissect(bytes))),
  ),
  ...["S", "S.", "R", "F.", "P.U", "EW.", "SEW"].map((flags) => build.tcpFrame({ ...v4, dstPort: 9, flags })),
  build.tcpFrame({
    ...v4,
    dstPort: 9,
    seq: 2 ** 32 - 3,
    ack: 2 ** 31,
    flags: "P.",
    payload: 10,
    timestamps: [5, 6],
  }),
  build.tcpFrame({ ...v6, dstPort: 9, flags: "S", mss: 1440, wscale: 7, sackPermitted: true }),
  build.udpFrame({ ...v4, dstPort: 9, payload: 1 }),
  build.udpFrame({ ...v6, dstPort: 9, payload: 0 }),
  build.echoFrame({ ...v4, echoId: 65535, seq: 0 }),
  build.echoFrame({ ...v6, reply: true, payload: 0 }),
  ...[0, 1, 2, 3, 5, 6, 7, 9, 10, 13].map((code) => icmp(3, code)),
  icmp(3, 4, 1450),
  icmp(4, 0),
  icmp(11, 0),
  icmp(11, 1),
  ...[0, 1, 3, 4].map((code) => icmp6(1, code)),
  icmp6(2, 0, 1280),
  icmp6(3, 0),
  build.arpFrame({ senderIp: "10.0.0.1", targetIp: "10.0.0.2" }),
  build.arpFrame({ senderIp: "10.0.0.1", targetIp: "10.0.0.1" }),
  build.arpFrame({ senderIp: "0.0.0.0", targetIp: "10.0.0.1" }),
  build.arpFrame({ op: 2, senderIp: "10.0.0.1", targetIp: "10.0.0.2", targetMac: "0a:58:00:00:00:09" }),
  build.neighborSolicitationFrame({ ...v6, target: "fd00::3", mac: "0a:58:00:00:00:01" }),
  build.neighborAdvertisementFrame({ ...v6, target: "fd00::3" }),
  build.ipFrame(v4, 253, 20, () => {}),
];

/** `lengths`: those that the frames had, where they are cut. */
function pcap(all: readonly Uint8Array[], lengths = all.map((frame) => frame.length)): Uint8Array {
  const parts = [fromHex("a1b2c3d4 0002 0004 00000000 00000000 00040000 00000001")];
  for (const [i, frame] of all.entries()) {
    const header = new DataView(new ArrayBuffer(16));
    header.setUint32(8, frame.length);
    header.setUint32(12, lengths[i]);
    parts.push(new Uint8Array(header.buffer), frame);
  }
  return concat(...parts);
}

/** Without what tcpdump guesses from port numbers, and without its doubled spaces. */
function normalized(line: string): string {
  return line
    .replaceAll(/ {2,}/g, " ")
    .replace(/: domain \[length (\d+) < 12\] \(invalid\)$/, ": UDP, length $1")
    .replace(/: (?:HTTP|discard)$/, "");
}

const missing = spawnSync("tcpdump", ["--version"]).error !== undefined;
t.test("summary and tcpdump agree", { skip: missing && "needs tcpdump" }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-dissect-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "frames.pcap");
  writeFileSync(file, pcap(frames));
  const run = spawnSync("tcpdump", ["-n", "-S", "-t", "-r", file], { encoding: "utf8" });
  const lines = run.stdout.trimEnd().split("\n").map(normalized);
  t.equal(lines.length, frames.length);
  frames.forEach((frame, i) => {
    t.equal(summary(dissect(frame)), lines[i]);
  });
});

const tunnel = (inner: Uint8Array): Uint8Array =>
  build.vxlanFrame({ src: "192.168.50.11", dst: "192.168.50.12", dstPort: 4789, vni: 1, inner });
const options = { mss: 1460, timestamps: [1, 2] as [number, number] };
const cut: Record<string, Uint8Array> = {
  "TCP with options": build.tcpFrame({ ...v4, dstPort: 9, flags: "S", seq: 5, payload: 4, ...options }),
  UDP: build.udpFrame({ ...v4, dstPort: 9, payload: 10 }),
  "TCP over IPv6": build.tcpFrame({ ...v6, dstPort: 9, flags: "P.", payload: 5 }),
  echo: build.echoFrame(v4),
  ARP: build.arpFrame({ senderIp: "10.0.0.1", targetIp: "10.0.0.2" }),
  "a tunnel with TCP": tunnel(build.tcpFrame({ ...v4, dstPort: 9, flags: "S" })),
  "a tunnel with UDP over IPv6": tunnel(build.udpFrame({ ...v6, dstPort: 9, payload: 3 })),
};

/** tcpdump puts what is inside a tunnel on a line of its own, and names an option that it does not read to its end. */
function ofCut(line: string): string {
  return line
    .replace(/(?<=[[,])(?:mss|TS)? \[\|tcp\]>?$/, " [|tcp]")
    .replace(/^\[\|ip\]$/, "IP [|ip]")
    .replace(/^\[\|ip6\]$/, "IP6 [|ip6]") // since tcpdump 4.99.5 of itself
    .replace(/(?<=VXLAN), flags .*, (?:\[\|vxlan\]|vni 1)$/, " [|vxlan]");
}

/** Lines of each packet, without its number in front: what is inside a tunnel has a line of its own. */
function linesByPacket(text: string): string[][] {
  const packets: string[][] = [];
  for (const line of text.trimEnd().split("\n")) {
    const [, rest] = /^ *\d+ {2}(.*)$/.exec(line) ?? [];
    if (rest === undefined) packets.at(-1)?.push(normalized(line).trim());
    else packets.push([normalized(rest).trim()]);
  }
  return packets;
}

for (const [name, frame] of Object.entries(cut)) {
  t.test(
    `of ${name}, cut anywhere, summary and tcpdump show the same`,
    { skip: missing && "needs tcpdump" },
    async (t) => {
      const folder = mkdtempSync(join(tmpdir(), "podwire-dissect-"));
      t.teardown(() => rmSync(folder, { recursive: true }));
      const file = join(folder, "cut.pcap");
      const starts = Array.from(frame, (_, i) => frame.subarray(0, i + 1));
      writeFileSync(
        file,
        pcap(
          starts,
          starts.map(() => frame.length),
        ),
      );
      const { stdout } = spawnSync("tcpdump", ["-n", "-S", "-t", "--number", "-r", file], {
        encoding: "utf8",
      });
      const packets = linesByPacket(stdout);
      t.equal(packets.length, frame.length);
      for (const [i, [outer, inner]] of packets.entries()) {
        const want = inner === undefined || inner === "[|vxlan]" ? ofCut(outer) : `${outer}: ${ofCut(inner)}`;
        const found = summary(dissectCut(starts[i], frame.length));
        if (found !== want) t.equal(found, want, `${i + 1} bytes`);
      }
    },
  );
}
