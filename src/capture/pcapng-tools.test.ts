/** Judges from outside: what Wireshark's and tcpdump's own readers make of the files that we write. */
import { spawnSync } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { readCapture } from "./capture-file.ts";
import { PcapngWriter } from "./pcapng-writer.ts";

const directory = mkdtempSync(join(tmpdir(), "podwire-pcapng-"));
t.teardown(() => rmSync(directory, { recursive: true }));

// IPv4 UDP 10.244.1.2:5000 → 10.244.2.2:53, four bytes of payload
const FRAME = Uint8Array.from(
  Buffer.from(
    "0a580af401010a580af401020800450000200001000040116eda0af401020af40202138800350000cb1b74657374".slice(
      0,
      92,
    ),
    "hex",
  ),
);
const NOON = 1_795_164_867_000_000_123n;

const file = join(directory, "ours.pcapng");
const chunks: Uint8Array[] = [];
const writer = new PcapngWriter((bytes) => chunks.push(bytes), { application: "podwire", os: "Linux" });
writer.addInterface({ name: "default/web-1 eth0", description: "pod", filter: "udp" });
writer.addInterface({ name: "uplink eth0" });
writer.names([{ address: Uint8Array.of(10, 244, 1, 2), names: ["web-1.default"] }]);
writer.packet({
  interfaceId: 0,
  timestampNs: NOON,
  data: FRAME,
  direction: "in",
  packetId: 12n,
  comments: ["FORWARD to uplink eth0", "DNAT 10.96.0.10:53 → 10.244.2.2:53"],
});
writer.packet({ interfaceId: 1, timestampNs: NOON + 1n, data: FRAME.subarray(0, 42), originalLength: 46 });
writer.statistics({ interfaceId: 0, timestampNs: NOON, received: 2, dropped: 1 });
writeFileSync(file, Buffer.concat(chunks));

function tool(name: string, ...args: string[]) {
  const result = spawnSync(name, args, { encoding: "utf8", env: { ...process.env, TZ: "UTC", LC_ALL: "C" } });
  return { missing: result.error !== undefined, ...result };
}
const missing = (name: string) => (tool(name, "--version").missing ? `${name} is not installed` : false);

t.test("capinfos counts packets, interfaces and names", { skip: missing("capinfos") }, async (t) => {
  const { stdout, status } = tool("capinfos", file);
  t.equal(status, 0);
  t.match(stdout, /Number of packets:\s+2\n/);
  t.match(stdout, /Number of interfaces in file:\s+2\n/);
  t.match(stdout, /Name = default\/web-1 eth0/);
  t.match(stdout, /Number of resolved IPv4 addresses in file: 1/);
  t.match(stdout, /Time precision = nanoseconds/);
});

t.test("tshark shows names, comments, direction and both times", { skip: missing("tshark") }, async (t) => {
  const fields = [
    "frame.interface_name",
    "frame.comment",
    "frame.time_epoch",
    "frame.packet_flags_direction",
  ];
  const more = ["frame.packet_id", "udp.dstport", "ip.src_host", "frame.len", "frame.cap_len"];
  const args = [...fields, ...more].flatMap((field) => ["-e", field]);
  const result = tool("tshark", "-r", file, "-N", "n", "-T", "json", ...args);
  t.equal(result.status, 0, result.stderr);
  const rows = JSON.parse(result.stdout).map((row: { _source: { layers: unknown } }) => row._source.layers);
  t.match(rows[0], {
    "frame.interface_name": ["default/web-1 eth0"],
    "frame.comment": ["FORWARD to uplink eth0", "DNAT 10.96.0.10:53 → 10.244.2.2:53"],
    "frame.time_epoch": ["1795164867.000000123"],
    "frame.packet_flags_direction": [/1/],
    "frame.packet_id": ["12"],
    "udp.dstport": ["53"],
    "ip.src_host": ["web-1.default"],
  });
  t.match(rows[1], { "frame.interface_name": ["uplink eth0"], "frame.len": ["46"], "frame.cap_len": ["42"] });
});

t.test("tcpdump reads it", { skip: missing("tcpdump") }, async (t) => {
  const result = tool("tcpdump", "-nr", file);
  t.equal(result.status, 0, result.stderr);
  t.match(result.stdout, /IP 10\.244\.1\.2\.5000 > 10\.244\.2\.2\.53/);
});

t.test("files that editcap writes are read back by us", { skip: missing("editcap") }, async (t) => {
  for (const format of ["pcap", "nsecpcap", "pcapng"]) {
    const copy = join(directory, `copy.${format}`);
    const made = tool("editcap", "-F", format, file, copy);
    t.equal(made.status, 0, made.stderr);
    const times: bigint[] = [];
    for await (const item of readCapture(createReadStream(copy)))
      if (item.type === "packet") times.push(item.packet.timestampNs);
    const unit = format === "pcap" ? 1000n : 1n;
    t.same(times, [(NOON / unit) * unit, ((NOON + 1n) / unit) * unit], format);
  }
});
