// The devices over the addon and over libpcap, each end of a veth pair with another driver. Needs root.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import t from "tap";
import { IoKind } from "../../src/base/addon.ts";
import { PortRole } from "../../src/dataplane/port.ts";
import { PacketSocket } from "../../src/device/packet-socket.ts";
import { Tap } from "../../src/device/tap.ts";
import { TapOffload } from "../../src/native/binding.ts";
import { concat } from "../../src/testing/frames/bytes.ts";
import { tcpFrame, udpFrame } from "../../src/testing/frames/frame-builder.ts";
import { Frames, native, type Received } from "../support/frames.ts";
import { Namespaces } from "../support/namespaces.ts";

const ADDRESSES = {
  src: "10.1.1.1",
  dst: "10.1.1.2",
  srcMac: "02:00:00:00:00:0a",
  dstMac: "02:00:00:00:00:0b",
};
const spaces = new Namespaces("pwt-native-device");
spaces.add("a", "b");
spaces.connect("a", "b");

t.test("a Tap keeps its device over closing, and can give it up", async (t) => {
  const options = { netns: spaces.path("a"), interface: "host0", role: PortRole.HOST };
  const tap = new Tap(native, options);
  t.match(tap, { name: "host0", role: PortRole.HOST, ioKind: IoKind.TAP_VNET });
  t.equal(tap.offloads & ~(TapOffload.USO4 | TapOffload.USO6), 15, "USO where the kernel has it (Linux 6.2)");
  t.throws(() => new Tap(native, options), { code: "DEVICE_OPEN", message: /another process has it open/ });
  tap.close();
  t.ok(spaces.has("a", "host0"));
  const again = new Tap(native, { ...options, offloads: 1 });
  t.equal(again.offloads, 1);
  again.setPersistent(false);
  again.close();
  t.notOk(spaces.has("a", "host0"));
  t.throws(() => again.setPersistent(true), { code: "DEVICE_PERSIST" });
});

t.test("packet sockets know their interface and count what they lost", async (t) => {
  const [a, b] = ["a", "b"].map(
    (name) =>
      new PacketSocket(native, {
        netns: spaces.path(name),
        interface: "eth0",
        role: PortRole.UPLINK,
        receiveBytes: 20_000,
      }),
  );
  t.match(a, { mtu: 1500, macHi: 0x0200, macLo: 0x0a, ioKind: IoKind.PACKET_VNET });
  const frames = new Frames();
  const sent = Array.from({ length: 60 }, (_, i) => udpFrame({ ...ADDRESSES, srcPort: i, payload: 1000 }));
  t.equal(frames.send(a.fd, a.ioKind, sent), 60);
  const [seen, lost] = b.updateStats();
  t.ok(seen >= 60);
  t.ok(lost > 0);
  t.equal(b.updateStats()[1], lost);
  a.close();
  b.close();
});

t.test("no more waits in a packet socket than 5 ms of a fast stream", async (t) => {
  const [a, b] = ["a", "b"].map(
    (name) =>
      new PacketSocket(native, { netns: spaces.path(name), interface: "eth0", role: PortRole.UPLINK }),
  );
  const frames = new Frames();
  for (const [payload, most] of [
    [22, 8500], // 768 bytes each by the kernel's count
    [1400, 3000],
  ]) {
    const [before] = b.updateStats();
    const lostBefore = b.stats[1];
    const sent = Array.from({ length: 64 }, (_, i) => udpFrame({ ...ADDRESSES, srcPort: i, payload }));
    for (let round = 0; round < 160; round++) frames.send(a.fd, a.ioKind, sent);
    const [seen, lost] = b.updateStats();
    const waiting = seen - before - (lost - lostBefore);
    t.ok(lost > lostBefore, "there were more than fit");
    t.ok(waiting <= most && waiting >= 500, `${waiting} frames of ${payload + 42} bytes wait`);
    while (frames.receiveOnly(b.fd, b.ioKind, 64) > 0);
  }
  a.close();
  b.close();
});

/** A process in namespace `b` with a PcapUplink on eth0: see pcap-peer.ts. */
function startPcapPeer(): { child: ChildProcess; ready: Promise<unknown>; output: () => string } {
  const peer = fileURLToPath(new URL("../support/pcap-peer.js", import.meta.url));
  const [program, ...args] = [...spaces.command("b", process.execPath), peer];
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  const ready = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        output += chunk;
        if (output.includes("ready")) resolve(undefined);
      });
    }
    child.once("exit", () => reject(new Error(output)));
  });
  return { child, ready, output: () => output };
}

t.test("libpcap as uplink: frames come and go, superframes are cut before they go", async (t) => {
  const { child, ready, output } = startPcapPeer();
  t.teardown(() => child.kill("SIGKILL"));
  await ready;
  const a = new PacketSocket(native, { netns: spaces.path("a"), interface: "eth0", role: PortRole.UPLINK });
  const frames = new Frames();
  const isEcho = ({ frame }: Received): boolean => frame[5] === 0x0a && frame[11] === 0x0b;

  const sent = Array.from({ length: 20 }, (_, i) => udpFrame({ ...ADDRESSES, srcPort: i, payload: 200 + i }));
  t.equal(frames.send(a.fd, a.ioKind, sent), 20);
  const echoed = await frames.collect(a.fd, a.ioKind, 20, isEcho);
  const back = echoed.map(({ frame }) => concat(frame.slice(6, 12), frame.slice(0, 6), frame.slice(12)));
  t.equal(Buffer.compare(concat(...back), concat(...sent)), 0, "echoed once each: it does not hear itself");

  child.stdin?.write("superframe\n");
  const pieces = await frames.collect(a.fd, a.ioKind, 4, isEcho);
  const whole = concat(...pieces.map(({ frame }) => frame));
  const payload = Uint8Array.from({ length: 4000 }, (_, i) => i);
  const swapped = { ...ADDRESSES, srcMac: ADDRESSES.dstMac, dstMac: ADDRESSES.srcMac };
  const want = [0, 1, 2, 3].map((i) =>
    tcpFrame({
      ...swapped,
      id: i,
      seq: i * 1000,
      flags: i === 3 ? "P." : ".",
      payload: payload.slice(i * 1000, (i + 1) * 1000),
    }),
  );
  t.equal(Buffer.compare(whole, concat(...want)), 0);
  child.stdin?.write("close\n");
  await new Promise((resolve) => child.once("exit", resolve));
  t.match(output(), /closed, 0 truncated/);
  t.equal(child.exitCode, 0);
  a.close();
});
