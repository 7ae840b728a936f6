// TAP devices and the poller with a real kernel behind them. Needs root.
import { readlinkSync } from "node:fs";
import { Worker } from "node:worker_threads";
import t from "tap";
import { IoKind } from "../../src/base/addon.ts";
import { TapFlag } from "../../src/native/binding.ts";
import { run, start } from "../../src/testing/lab/process.ts";
import { Frames, native } from "../support/frames.ts";
import { Namespaces } from "../support/namespaces.ts";

const { PERSIST, VNET_HDR, MULTI_QUEUE } = TapFlag;
const OFFLOADS = 15; // checksum, TSO for IPv4 and IPv6, TSO with ECN
const EBUSY = -16;
const spaces = new Namespaces("pwt-native-tap");
spaces.add("a", "b");
const A = spaces.path("a");
const here = () => readlinkSync("/proc/thread-self/ns/net");
const home = here();
t.afterEach(() => {
  if (here() !== home) throw new Error("the thread did not return to its network namespace");
});

t.test("a TAP lives in the namespace that was named, and goes with its descriptor", async (t) => {
  const fd = native.openTap(A, "tap0", VNET_HDR);
  t.ok(fd > 2);
  t.ok(spaces.has("a", "tap0"));
  t.notOk(spaces.has("b", "tap0"));
  t.equal(native.ifInfo("", "tap0", new Int32Array(5)), -19, "not here: ENODEV");
  const info = new Int32Array(5);
  t.equal(native.ifInfo(A, "tap0", info), 0);
  t.ok(info[0] > 0, "ifindex");
  t.equal(info[1], 1500, "MTU");
  t.equal(info[4] & 1, 0, "down");
  t.equal(native.closeFd(fd), 0);
  t.notOk(spaces.has("a", "tap0"));
  t.equal(native.closeFd(fd), -9, "closed twice: EBADF");
});

t.test("a persistent TAP stays with its settings until it is told otherwise", async (t) => {
  const fd = native.openTap(A, "tap0", VNET_HDR | PERSIST);
  spaces.ip("a", "addr add 10.1.1.1/24 dev tap0");
  t.equal(native.openTap(A, "tap0", VNET_HDR), EBUSY, "one owner at a time");
  t.equal(native.closeFd(fd), 0);
  t.ok(spaces.has("a", "tap0"));
  const again = native.openTap(A, "tap0", VNET_HDR);
  t.ok(again > 2);
  t.match(spaces.ip("a", "addr show dev tap0"), /10\.1\.1\.1/);
  t.equal(native.tapOffload(again, OFFLOADS), OFFLOADS, "offloads can be set again");
  t.equal(native.tapPersist(again, 0), 0);
  native.closeFd(again);
  t.notOk(spaces.has("a", "tap0"));
});

t.test("a TAP that ip made is opened as it is", async (t) => {
  spaces.ip("a", "tuntap add dev tap0 mode tap vnet_hdr");
  const fd = native.openTap(A, "tap0", VNET_HDR);
  t.ok(fd > 2);
  native.closeFd(fd);
  t.ok(spaces.has("a", "tap0"));
  spaces.ip("a", "link del tap0");
});

t.test("two queues of one TAP", async (t) => {
  const flags = VNET_HDR | MULTI_QUEUE;
  const fds = [native.openTap(A, "tap0", flags), native.openTap(A, "tap0", flags)];
  t.ok(fds.every((fd) => fd > 2));
  for (const fd of fds) native.closeFd(fd);
});

t.test("what cannot be opened gives the kernel's reason, and leads home", async (t) => {
  t.equal(native.openTap("/run/netns/pwt-native-none", "tap0", 0), -2, "no such namespace");
  t.equal(native.openTap("/proc/self/status", "tap0", 0), -22, "not a namespace");
  t.equal(native.openTap("/proc/self/ns/uts", "tap0", 0), -22, "a namespace of another kind");
  t.equal(native.openTap(A, "lo", 0), -22, "not a TAP");
  t.equal(native.openPacket(A, "none", 0, 0, 0), -19, "no such interface");
  t.equal(here(), home);
});

t.test("offloads the kernel does not know are left out, USO first", async (t) => {
  const fd = native.openTap(A, "tap0", VNET_HDR);
  t.equal(native.tapOffload(fd, OFFLOADS), OFFLOADS);
  t.equal(native.tapOffload(fd, OFFLOADS | 0x4000), OFFLOADS, "an unknown bit");
  t.equal(native.tapOffload(fd, 0), 0);
  t.ok([OFFLOADS, OFFLOADS | 0x60].includes(native.tapOffload(fd, OFFLOADS | 0x60)), "USO since Linux 6.2");
  native.closeFd(fd);
  t.equal(native.tapOffload(fd, OFFLOADS), -9);
});

for (const kind of [IoKind.TAP_VNET, IoKind.TAP]) {
  t.test(`ping is answered through a TAP of kind ${kind}`, async (t) => {
    const fd = native.openTap(A, "tap0", kind === IoKind.TAP_VNET ? VNET_HDR : 0);
    spaces.ip("a", "link set tap0 address 02:00:00:00:01:01 addrgenmode none up");
    spaces.ip("a", "addr add 10.1.1.1/24 dev tap0");
    spaces.ip("a", "neigh add 10.1.1.2 lladdr 02:00:00:00:01:02 dev tap0");
    const ping = run(spaces.command("a", "ping -n -c 3 -i 0.2 -W 2 -s 1000 10.1.1.2"));
    const frames = new Frames();
    for (let answered = 0; answered < 3; ) {
      for (const { frame, vnet } of await frames.collect(fd, kind, 1)) {
        if (frame[12] !== 8 || frame[34] !== 8) continue;
        t.equal(frame.length, 1042);
        t.equal(vnet.gsoType, 0);
        const reply = frame.slice();
        reply.set(frame.subarray(6, 12), 0);
        reply.set(frame.subarray(0, 6), 6);
        reply.set(frame.subarray(30, 34), 26);
        reply.set(frame.subarray(26, 30), 30);
        reply[34] = 0; // echo reply: the type is one word of the sum
        const sum = ((reply[36] << 8) | reply[37]) + 0x0800;
        const folded = (sum & 0xffff) + (sum >> 16);
        reply.set([folded >> 8, folded & 255], 36);
        t.equal(frames.send(fd, kind, [reply]), 1);
        answered++;
      }
    }
    t.match((await ping).stdout, /3 received/);
    native.closeFd(fd);
  });
}

t.test("a frame larger than its slot is dropped and counted; the next one comes", async (t) => {
  const fd = native.openTap(A, "tap0", VNET_HDR);
  spaces.ip("a", "link set tap0 address 02:00:00:00:01:01 addrgenmode none up");
  spaces.ip("a", "addr add 10.1.1.1/24 dev tap0");
  spaces.ip("a", "neigh add 10.1.1.2 lladdr 02:00:00:00:01:02 dev tap0");
  const before = native.droppedOnReceive();
  await run(spaces.command("a", "ping -n -c 1 -W 0.1 -s 900 10.1.1.2"));
  await run(spaces.command("a", "ping -n -c 1 -W 0.1 -s 56 10.1.1.2"));
  const frames = new Frames();
  const got = frames.receive(fd, IoKind.TAP_VNET, 8, 500).filter(({ frame }) => frame[12] === 8);
  t.strictSame(
    got.map(({ frame }) => frame.length),
    [98],
  );
  t.equal(native.droppedOnReceive(), before + 1);
  native.closeFd(fd);
});

t.test("TCP between two TAPs travels in superframes when offloads are on", async (t) => {
  const fds = ["a", "b"].map((name, i) => {
    const fd = native.openTap(spaces.path(name), "tap0", VNET_HDR);
    t.equal(native.tapOffload(fd, OFFLOADS), OFFLOADS);
    spaces.ip(name, `link set tap0 address 02:00:00:00:01:0${i + 1} addrgenmode none up`);
    spaces.ip(name, `addr add 10.1.1.${i + 1}/24 dev tap0`);
    return fd;
  });
  const server = await start(spaces.command("b", "iperf3 -s -1 --forceflush"), /listening/);
  const client = run(spaces.command("a", "iperf3 -c 10.1.1.2 -n 100M -J"));
  let isOver = false;
  client.finally(() => {
    isOver = true;
  });
  const frames = new Frames();
  let largest = 0;
  while (!isOver) {
    for (const [from, to] of [fds, [...fds].reverse()]) {
      const got = frames.receive(from, IoKind.TAP_VNET, 16);
      for (const { frame, vnet } of got) {
        if (vnet.gsoType === 0) continue;
        largest = Math.max(largest, frame.length);
        const isRight =
          vnet.gsoType === 1 && vnet.flags === 1 && vnet.csumStart === 34 && vnet.csumOffset === 16;
        if (!isRight) t.fail(`unexpected vnet header ${JSON.stringify(vnet)}`);
      }
      frames.forward(to, IoKind.TAP_VNET, got.length);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  const report = JSON.parse((await client).stdout);
  await server.stop();
  t.equal(report.error, undefined);
  t.equal(report.end.sum_received.bytes >= 100e6, true);
  t.ok(largest > 30_000, `largest superframe: ${largest}`);
  for (const fd of fds) native.closeFd(fd);
});

t.test("a device that is deleted wakes the poller and reading it says so", async (t) => {
  const fd = native.openTap(A, "tap0", VNET_HDR | PERSIST);
  const poller = native.pollerCreate();
  native.pollerAdd(poller, fd, 7);
  spaces.ip("a", "link del tap0");
  const tokens = new Int32Array(4);
  t.equal(native.wait(poller, tokens, 1_000_000, 0, new Float64Array(5)), 1);
  t.equal(tokens[0], 7);
  const result = new Frames(1).receiveOnly(fd, 0, 1);
  t.ok(result < 0 && result !== -11, `${result}`);
  native.closeFd(fd);
  native.closeFd(poller);
});

t.test("a worker thread opens devices elsewhere without moving the main thread", async (t) => {
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { readlinkSync } = require("node:fs");
    import(workerData.binding).then(({ loadNative }) => {
      const before = readlinkSync("/proc/thread-self/ns/net");
      const fd = loadNative().openTap(workerData.netns, "tap0", 2);
      parentPort.postMessage({ fd, isBack: before === readlinkSync("/proc/thread-self/ns/net") });
    });`;
  const binding = new URL("../../src/native/binding.js", import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: { netns: A, binding } });
  const { fd, isBack } = await new Promise<{ fd: number; isBack: boolean }>((resolve) => {
    worker.once("message", resolve);
  });
  t.ok(fd > 2);
  t.ok(isBack);
  t.ok(spaces.has("a", "tap0"));
  native.closeFd(fd);
  await worker.terminate();
});
