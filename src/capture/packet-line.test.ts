import t from "tap";
import { packetLine, packetRecord } from "./packet-line.ts";
import type { CapturePacket } from "./pcapng.ts";

// ARP: who has 10.244.1.1, tell 10.244.1.2
const ARP = "ffffffffffff0a580af401020806000108000604000" + "10a580af401020af402020000000000000af40101";
const packet: CapturePacket = {
  interfaceId: 0,
  timestampNs: 1_700_000_000_123_456_789n,
  data: new Uint8Array(Buffer.from(ARP, "hex")),
  direction: "in",
  comments: ["CONSUMED", "answered"],
  packetId: 7n,
};

t.test("a packet is one line: time, interface, direction, summary, comments", async (t) => {
  t.match(
    packetLine(packet, { name: "default/web-1 eth0" }),
    /^\d\d:\d\d:20\.123456 default\/web-1 eth0 In {2}ARP, Request who-has .* \[CONSUMED; answered\]$/,
  );
  const { direction, comments, ...bare } = packet;
  t.match(packetLine(bare, { name: "eth0" }), /^\S+ eth0 ARP, [^[]*$/);
});

t.test("and one record", async (t) => {
  t.match(packetRecord(packet, { name: "eth0" }), {
    time: "2023-11-14T22:13:20.123Z",
    interface: "eth0",
    direction: "in",
    length: 42,
    summary: /^ARP, Request/,
    comments: ["CONSUMED", "answered"],
    packetId: "7",
  });
});
