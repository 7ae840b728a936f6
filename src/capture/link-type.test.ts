import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { dissect } from "../dissect/dissect.ts";
import { summary } from "../dissect/summary.ts";
import { udpFrame } from "../testing/frames/frame-builder.ts";
import { isReadable, linkTypeText, toEthernet } from "./link-type.ts";
import { PcapngWriter } from "./pcapng-writer.ts";

const V4 = udpFrame({ src: "10.244.1.2", dst: "10.244.2.2", srcPort: 1000, dstPort: 2000, payload: 4 }).slice(
  14,
);
const V6 = udpFrame({ src: "fd00::1", dst: "fd00::2", srcPort: 1000, dstPort: 2000, payload: 4 }).slice(14);
const SLL = [0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x08, 0x00];
const SLL2 = [0x86, 0xdd, 0, 0, 0, 0, 0, 7, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];

const CASES: readonly { linkType: number; header: number[]; packet: Uint8Array; more?: object }[] = [
  { linkType: 0, header: [2, 0, 0, 0], packet: V4 },
  { linkType: 0, header: [0, 0, 0, 2], packet: V4 },
  ...[10, 24, 28, 30].map((family) => ({ linkType: 0, header: [family, 0, 0, 0], packet: V6 })),
  { linkType: 0, header: [0, 0, 0, 30], packet: V6 },
  { linkType: 108, header: [0, 0, 0, 2], packet: V4 },
  { linkType: 101, header: [], packet: V4 },
  { linkType: 101, header: [], packet: V6 },
  { linkType: 12, header: [], packet: V4 },
  { linkType: 14, header: [], packet: V6 },
  { linkType: 228, header: [], packet: V4 },
  { linkType: 229, header: [], packet: V6 },
  { linkType: 113, header: SLL, packet: V4, more: { direction: "out", macs: "source" } },
  { linkType: 276, header: SLL2, packet: V6, more: { direction: "in", ifIndex: 7, macs: "source" } },
];

/** What tshark makes of each case's ports; undefined where there is no tshark. */
const byTshark = ((): string[] | undefined => {
  const directory = mkdtempSync(join(tmpdir(), "podwire-link-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const chunks: Uint8Array[] = [];
  const writer = new PcapngWriter((bytes) => chunks.push(bytes));
  for (const { linkType, header, packet } of CASES) {
    const interfaceId = writer.addInterface({ name: linkTypeText(linkType), linkType });
    writer.packet({ interfaceId, timestampNs: 0n, data: Uint8Array.from([...header, ...packet]) });
  }
  const file = join(directory, "cases.pcapng");
  writeFileSync(file, Buffer.concat(chunks));
  const fields = ["-T", "fields", "-e", "udp.srcport", "-e", "udp.dstport"];
  const { error, stdout } = spawnSync("tshark", ["-r", file, ...fields], { encoding: "utf8" });
  return error === undefined ? stdout.split("\n") : undefined;
})();

for (const [i, { linkType, header, packet, more }] of CASES.entries()) {
  t.test(`${i}: ${linkTypeText(linkType)} is read as an Ethernet frame, as tshark reads it`, async (t) => {
    const bytes = Uint8Array.from([...header, ...packet]);
    const frame = toEthernet(linkType, bytes);
    t.match(frame, { grown: 14 - header.length, ...more });
    t.same(frame?.data.slice(14), packet);
    const text = summary(dissect(frame?.data ?? new Uint8Array(0)));
    t.match(text, /^IP6? \S+\.1000 > \S+\.2000: UDP, length 4$/);
    if (byTshark === undefined || linkType === 14 || header[0] === 10) return; // OpenBSD's RAW and Linux' family: not tshark's
    t.equal(byTshark[i], "1000\t2000");
  });
}

t.test("link types have names; those that cannot be read, too", async (t) => {
  t.equal(linkTypeText(276), "LINUX_SLL2 (276)");
  t.equal(linkTypeText(127), "IEEE802_11_RADIOTAP (127)");
  t.equal(linkTypeText(9999), "9999");
  t.notOk(isReadable(127));
});

t.test("a broadcast, a group and loopback are told from a cooked header", async (t) => {
  const arp = Uint8Array.from([0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x08, 0x06, ...new Uint8Array(28)]);
  t.same(toEthernet(113, arp)?.data.slice(0, 6), new Uint8Array(6).fill(0xff));
  const lo = Uint8Array.from([0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00, ...V4]);
  t.match(toEthernet(113, lo), { isLoopback: true });
});

t.test("no bytes make a reader throw", async () => {
  const types = fc.constantFrom(0, 1, 12, 14, 101, 108, 113, 228, 229, 276);
  const property = fc.property(types, fc.uint8Array({ maxLength: 80 }), (linkType, bytes) => {
    const frame = toEthernet(linkType, bytes);
    return frame === undefined || frame.data.length === bytes.length + frame.grown;
  });
  fc.assert(property, { numRuns: 3000 });
});
