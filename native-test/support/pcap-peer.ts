// Runs inside a namespace: echoes every frame of eth0 back with its MAC addresses swapped, through libpcap.
// Commands on standard input: "superframe" sends one TCP superframe of four segments, "close" ends it.
import { PortRole } from "../../src/dataplane/port.ts";
import { PcapUplink } from "../../src/device/pcap-uplink.ts";
import { tcpFrame } from "../../src/testing/frames/frame-builder.ts";
import { Frames, native, SLOT_BYTES } from "./frames.ts";

const frames = new Frames(8);
const { arena, offs, lens } = frames;
const uplink = await PcapUplink.open(native, {
  interface: "eth0",
  role: PortRole.UPLINK,
  onReadable: echoAll,
});

function echoAll(): void {
  const count = uplink.receive(arena, offs, lens, 0, 8, SLOT_BYTES);
  for (let i = 0; i < count; i++) {
    const off = offs[i];
    const destination = arena.slice(off, off + 6);
    if (destination[0] !== 2) continue; // the kernel's own multicasts
    arena.copyWithin(off, off + 6, off + 12);
    arena.set(destination, off + 6);
    const result = uplink.transmit(arena, off, lens[i]);
    if (result !== 0) console.log(`transmit: ${result}`);
  }
}

function sendSuperframe(): void {
  const frame = tcpFrame({
    ...{ src: "10.1.1.1", dst: "10.1.1.2", srcMac: "02:00:00:00:00:0b", dstMac: "02:00:00:00:00:0a" },
    ...{ id: 0, seq: 0, flags: "P.", payload: 4000 },
  });
  arena.set(frame, offs[0]);
  frames.putVnet(offs[0], { flags: 1, gsoType: 1, hdrLen: 54, gsoSize: 1000, csumStart: 34, csumOffset: 16 });
  console.log(`superframe: ${uplink.transmit(arena, offs[0], frame.length)}`);
}

process.stdin.on("data", (chunk: Buffer) => {
  if (String(chunk).includes("superframe")) sendSuperframe();
  if (!String(chunk).includes("close")) return;
  uplink.close();
  console.log(`closed, ${uplink.truncated} truncated`);
  process.stdin.destroy();
});
process.stdin.on("end", () => process.exit(0));
console.log("ready");
