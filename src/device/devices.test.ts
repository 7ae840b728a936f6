// Ports that need no kernel, and how a device that cannot be opened says so.
import t from "tap";
import { IoKind } from "../base/addon.ts";
import { PortRole } from "../dataplane/port.ts";
import type { Native } from "../native/binding.ts";
import { dirty } from "../testing/frames/bytes.ts";
import { frameOf, vnetHeaderOf } from "./frame-queue.ts";
import { createMemoryPair } from "./memory-pair.ts";
import { PacketSocket } from "./packet-socket.ts";
import { PcapUplink } from "./pcap-uplink.ts";
import { Tap } from "./tap.ts";

const OFFS = Int32Array.of(128, 1128, 2128, 3128);
const ROOM = 872;
const frame = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i);

t.test("a frame crosses a memory pair with its vnet header", async (t) => {
  const [port, station] = createMemoryPair("eth0", PortRole.POD);
  t.match(port, { name: "eth0", role: PortRole.POD, fd: -1, ioKind: IoKind.TAP_VNET });
  t.equal(station.take(), undefined);
  const arena = dirty(4000);
  const lens = new Int32Array(4);
  const vnet = frame(10);
  t.ok(station.send(frame(100), vnet));
  t.ok(station.send(frame(60)));
  t.equal(port.receive(arena, OFFS, lens, 1, 3, ROOM), 2);
  t.strictSame([...lens], [0, 100, 60, 0]);
  t.strictSame(arena.slice(1118, 1228), Uint8Array.of(...vnet, ...frame(100)));
  t.strictSame([...arena.subarray(2118, 2128)], new Array(10).fill(0), "no vnet header: all zero");
  t.equal(arena[1117], 0xa5);
  t.equal(arena[1228], 0xa5);

  t.equal(port.transmit(arena, 1128, 100), 0);
  arena.fill(0);
  const stored = station.takeStored();
  t.strictSame(stored && vnetHeaderOf(stored), vnet, "copied: the slot may be used again");
  t.strictSame(stored && frameOf(stored), frame(100));
  t.equal(station.take(), undefined);
});

t.test("a full queue refuses, an oversized frame is dropped, both are counted", async (t) => {
  const [port, station] = createMemoryPair("eth0", PortRole.POD, 2);
  t.ok(station.send(frame(ROOM + 1)));
  t.ok(station.send(frame(20)));
  t.notOk(station.send(frame(30)));
  t.equal(port.incoming.dropped, 1);
  const lens = new Int32Array(4);
  t.equal(port.receive(dirty(4000), OFFS, lens, 0, 4, ROOM), 1);
  t.equal(lens[0], 20);
  t.equal(port.incoming.dropped, 2);
  const arena = dirty(4000);
  t.strictSame(
    [port.transmit(arena, 128, 9), port.transmit(arena, 128, 9), port.transmit(arena, 128, 9)],
    [0, 0, -105],
  );
});

t.test("a long stream through a queue keeps its order", async (t) => {
  const [port, station] = createMemoryPair("eth0", PortRole.POD, 5000);
  const lens = new Int32Array(4);
  const arena = dirty(4000);
  let next = 0;
  let isInOrder = true;
  for (let i = 0; i < 9000; i++) {
    station.send(Uint8Array.of(i >> 8, i & 255));
    if (i % 3 === 0) continue;
    const count = port.receive(arena, OFFS, lens, 0, 2, ROOM);
    for (let k = 0; k < count; k++) {
      isInOrder &&= ((arena[OFFS[k]] << 8) | arena[OFFS[k] + 1]) === next++;
    }
  }
  t.ok(isInOrder);
  t.ok(next > 8000);
});

/** An addon whose functions return what the test says; everything else succeeds. */
function fakeNative(results: Partial<Record<keyof Native, number>>): { native: Native; calls: unknown[][] } {
  const calls: unknown[][] = [];
  const native = new Proxy({} as Native, {
    get:
      (_, name: keyof Native) =>
      (...args: unknown[]) => {
        calls.push([name, ...args]);
        return results[name] ?? 0;
      },
  });
  return { native, calls };
}

t.test("a TAP is opened persistent, with a vnet header and every offload", async (t) => {
  const { native, calls } = fakeNative({ openTap: 7, tapOffload: 7 });
  const tap = new Tap(native, { netns: "/run/netns/x", interface: "eth0", role: PortRole.POD, name: "web" });
  t.match(tap, { fd: 7, name: "web", ioKind: IoKind.TAP_VNET, offloads: 7 });
  tap.close();
  tap.close();
  t.strictSame(calls, [
    ["openTap", "/run/netns/x", "eth0", 3],
    ["tapOffload", 7, 0x6f],
    ["closeFd", 7],
  ]);
});

t.test("what waits in a device is bounded where that is wanted", async (t) => {
  const at = { netns: "", interface: "eth0", role: PortRole.POD };
  const { native, calls } = fakeNative({ openTap: 7, openPacket: 8, boundQueue: -1, queueDrops: 3 });
  const tap = new Tap(native, { ...at, datagramQueue: 4096 });
  const off = new Tap(native, { ...at, datagramQueue: 0 });
  const socket = new PacketSocket(native, { ...at, datagramQueue: { limit: 4096, tunnelPort: 8472 } });
  const loose = new PacketSocket(native, { ...at, datagramQueue: { limit: 0, tunnelPort: 8472 } });
  new PacketSocket(native, { ...at, shut: true, datagramQueue: { limit: 4096, tunnelPort: 8472 } });
  const plain = new Tap(native, { ...at, vnetHeader: false, datagramQueue: 4096 });
  t.strictSame(
    calls.filter(([name]) => name === "boundQueue"),
    [
      ["boundQueue", 7, IoKind.TAP_VNET, 0, 4096],
      ["boundQueue", 7, IoKind.TAP_VNET, 0, 0],
      ["boundQueue", 8, IoKind.PACKET_VNET, 8472, 4096],
    ],
  );
  t.strictSame(
    [tap, off, socket, loose, plain].map(({ unbound }) => unbound),
    [-1, 0, -1, 0, 0],
  );
  t.strictSame([tap.updateMissed(), tap.updateMissed()], [3, 6]);
});

t.test("errors of opening say what, where and why", async (t) => {
  const at = { netns: "/run/netns/x", interface: "eth0", role: PortRole.POD };
  const cases: [Partial<Record<keyof Native, number>>, RegExp][] = [
    [{ openTap: -1 }, /^cannot open TAP device eth0 in \/run\/netns\/x: needs root .* \(EPERM\)$/],
    [{ openTap: -16 }, /another process has it open \(EBUSY\)/],
    [{ openTap: -2 }, /there is no such namespace \(ENOENT\)/],
    [{ openTap: 7, tapOffload: -77 }, /: errno 77$/],
  ];
  for (const [results, message] of cases) {
    const { native, calls } = fakeNative(results);
    t.throws(() => new Tap(native, at), { code: "DEVICE_OPEN", message });
    t.equal(
      calls.some(([name]) => name === "closeFd"),
      "tapOffload" in results,
      "an opened one is closed again",
    );
  }
  const missing = { code: "DEVICE_OPEN", message: /packet socket on eth0 .*no such interface \(ENODEV\)$/ };
  t.throws(() => new PacketSocket(fakeNative({ ifInfo: -19 }).native, at), missing);
  t.throws(() => new PacketSocket(fakeNative({ openPacket: -1 }).native, { ...at, netns: "" }), {
    message: /^cannot open packet socket on eth0: needs root/,
  });
});

t.test("an interface that libpcap cannot open gives one line", async (t) => {
  const options = { interface: "pwt-no-such", role: PortRole.UPLINK };
  await t.rejects(PcapUplink.open(fakeNative({ ifInfo: -19 }).native, options), {
    code: "DEVICE_OPEN",
    message: "cannot open libpcap on pwt-no-such: there is no such interface (ENODEV)",
  });
  await t.rejects(PcapUplink.open(fakeNative({}).native, options), {
    code: /^(DEVICE_OPEN|PCAP_MISSING)$/,
    message: /^[^\n]*libpcap[^\n]*$/,
  });
});
