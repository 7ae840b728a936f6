// What the addon does with wrong arguments, and what needs no root: eventfds stand in for devices.
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { getPriority } from "node:os";
import { join } from "node:path";
import { isatty } from "node:tty";
import { Worker } from "node:worker_threads";
import * as fc from "fast-check";
import t from "tap";
import { IoKind } from "../base/addon.ts";
import { frameSum } from "../wire/bytes/offload.ts";
import { errnoName, loadNative, WAIT_WORDS, WaitHow, WaitWord } from "./binding.ts";

const native = loadNative();
const clock = new Float64Array(WAIT_WORDS);
const EINVAL = -22;
const EBADF = -9;
const { TAP, TAP_VNET, PACKET_VNET, PACKET } = IoKind;
const ints = (...values: number[]): Int32Array => Int32Array.from(values);

t.test("without the addon the error is one line that says how to build it", async (t) => {
  const binding = new URL("./binding.js", import.meta.url).href;
  const script = `import(${JSON.stringify(binding)})
    .then((b) => { console.log(b.tryLoadNative()); b.loadNative(); })
    .catch((error) => console.log(error.message));`;
  const env = { ...process.env, PODWIRE_NATIVE: "/nowhere/podwire.node" };
  const { stdout } = spawnSync(process.execPath, ["-e", script], { env, encoding: "utf8" });
  t.match(stdout, /^undefined\npodwire's C addon is not built: run `node scripts\/build-native.mjs`.*\n$/);
});

t.test("arguments of a wrong type, or too few, throw a TypeError", async (t) => {
  const bytes = new Uint8Array(100);
  // biome-ignore lint/suspicious/noExplicitAny: wrong types are the point
  const loose = native as any;
  const calls: (() => unknown)[] = [
    () => loose.openTap(1, "tap0", 0),
    () => loose.threadSlice("1"),
    () => loose.pause("1"),
    () => loose.openTap("", "tap0"),
    () => loose.openPacket("", "eth0", 0, 0, "many"),
    () => loose.tapOffload("x", 1),
    () => loose.tapPersist({}, 1),
    () => loose.packetStats(0, new Float32Array(2)),
    () => loose.boundQueue(0, 0, "8472", 1),
    () => loose.queueDrops(),
    () => loose.ifInfo("", "lo", new Uint32Array(5)),
    () => loose.listenTcp("", "127.0.0.1", "80", 1),
    () => loose.listenTcp("", "127.0.0.1", 0),
    () => loose.openTcp(""),
    () => loose.openPty([0, 0]),
    () => loose.resizePty(0, 80),
    () => loose.closeFd(),
    () => loose.lockFd(),
    () => loose.ring("x"),
    () => loose.pollerAdd(1, 2),
    () => loose.pollerAddEvent(),
    () => loose.pollerRemove(1),
    () => loose.wait(1, [1, 2], 0, 0, clock),
    () => loose.receive(1, 0, Buffer.alloc(1), ints(0), [0], 0, 1, 1, 1, ints(0), 0),
    () => loose.receive(1, 0, new DataView(bytes.buffer), ints(0), ints(0), 0, 1, 1, 1, ints(0), 0),
    () => loose.receive(1, 0, bytes, ints(0), ints(0), 0, 1, 1, 1, new Uint16Array(1), 0),
    () => loose.receive(1, 0, bytes, ints(0), ints(0), 0, 1, 1, 1, ints(0)),
    () => loose.transmit(ints(0), ints(0), new Int8Array(9), ints(0), ints(0), 1, ints(0)),
    () => loose.checksum(new Uint16Array(4), 0, 4, 0),
    () => loose.copyChecksum(bytes, 0, 0, 1n, 0),
    () => loose.segmentTcp(bytes, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    () => loose.coalesce(bytes, 0, 0, 0, 0, 0, 0, null, 0),
  ];
  for (const call of calls) t.throws(call, { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" }, String(call));
});

t.test("a pinned array stands for the array itself, and for no array of another type", async (t) => {
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => i * 37);
  const shared = new Uint8Array(new SharedArrayBuffer(64), 8, 48);
  shared.set(bytes.subarray(0, 48));
  for (const array of [bytes, shared, bytes.subarray(7, 40), new Uint8Array(0)]) {
    const pinned = native.pin(array);
    t.not(pinned, array);
    t.equal(native.checksum(pinned, 0, array.length, 0), native.checksum(array, 0, array.length, 0));
    t.equal(native.checksum(pinned, 1, array.length, 0), EINVAL, "its bounds are the array's");
  }
  const pinned = native.pin(bytes);
  native.copyChecksum(pinned, 32, 0, 32, 0);
  t.same(bytes.subarray(32), bytes.subarray(0, 32), "writes are seen in the array");
  bytes[0] ^= 0xff;
  t.equal(
    native.checksum(pinned, 0, 64, 0),
    native.checksum(bytes, 0, 64, 0),
    "and its own in what was pinned",
  );
  // biome-ignore lint/suspicious/noExplicitAny: wrong types are the point
  const loose = native as any;
  const typeError = { name: "TypeError", code: "ERR_INVALID_ARG_TYPE" };
  t.throws(() => loose.checksum(native.pin(ints(1, 2)), 0, 4, 0), typeError);
  t.throws(() => loose.wait(1, pinned, 0, 0, clock), typeError);
  for (const wrong of [undefined, 1, "x", {}, new DataView(bytes.buffer), pinned]) {
    t.throws(() => loose.pin(wrong), typeError);
  }
});

t.test("calls of the addon are not looked up in a dictionary", async (t) => {
  const script = `
    const native = (await import(${JSON.stringify(new URL("./binding.js", import.meta.url).href)})).loadNative();
    console.log(%HasFastProperties(native));`;
  const flags = ["--allow-natives-syntax", "--input-type=module", "-e", script];
  t.equal(spawnSync(process.execPath, flags, { encoding: "utf8" }).stdout, "true\n");
});

t.test("what was pinned keeps its memory, and gives it up when nobody has it any more", async (t) => {
  const script = `
    const native = (await import(${JSON.stringify(new URL("./binding.js", import.meta.url).href)})).loadNative();
    const mebibytes = () => (gc(), process.memoryUsage().arrayBuffers >> 20);
    let pins = Array.from({ length: 16 }, (_, i) => native.pin(new Uint8Array(1 << 20).fill(i)));
    const turn = () => new Promise((resolve) => setTimeout(resolve, 10));
    await turn();
    const kept = mebibytes();
    const intact = pins.every((pin, i) => native.checksum(pin, 0, 1 << 20, 0) === native.checksum(new Uint8Array(1 << 20).fill(i), 0, 1 << 20, 0));
    pins = [];
    for (let i = 0; i < 200 && mebibytes() > 1; i++) await turn();
    console.log(kept >= 16, intact, mebibytes() <= 1);`;
  const flags = ["--expose-gc", "--input-type=module", "-e", script];
  const { stdout, stderr } = spawnSync(process.execPath, flags, { encoding: "utf8" });
  t.equal(`${stdout}${stderr}`, "true true true\n");
});

t.test("names that cannot be names are refused", async (t) => {
  const out = new Int32Array(5);
  for (const name of ["", "sixteen-letters-", "a\0b"]) {
    t.equal(native.openTap("", name, 0), EINVAL);
    t.equal(native.openPacket("", name, 0, 0, 0), EINVAL);
    t.equal(native.ifInfo("", name, out), EINVAL);
  }
  for (const netns of ["relative", `/${"x".repeat(300)}`]) {
    t.equal(native.openTap(netns, "tap0", 0), EINVAL);
    t.equal(native.openPacket(netns, "lo", 0, 0, 0), EINVAL);
    t.equal(native.ifInfo(netns, "lo", out), EINVAL);
  }
  t.equal(native.openTap("", "tap0", 16), EINVAL, "an unknown flag");
  t.equal(native.openPacket("", "lo", 32, 0, 0), EINVAL, "an unknown flag");
  t.equal(native.openNetlink("", -1, 0), EINVAL);
  t.equal(native.openNetlink("relative", 0, 0), EINVAL);
  t.equal(native.sendNetlink(-1, new Uint8Array(8), 9), EINVAL, "more than there is");
  t.equal(native.openPacket("", "lo", 0, -1, 0), EINVAL);
  t.equal(native.ifInfo("", "lo", new Int32Array(4)), EINVAL, "no room for the answer");
  t.equal(native.ifInfo("", "lo", out), 0);
  t.equal(out[1], 65536);
  t.equal(native.ifInfo("/run/netns/pwt-native-none", "lo", out), -2);
});

t.test(
  "a listening socket serves a Node server; what cannot be an address or a port is refused",
  async (t) => {
    for (const address of [
      "",
      "localhost",
      "127.1",
      "010.0.0.1",
      "1.2.3.4.5",
      "fe80::1%lo",
      "x".repeat(60),
    ]) {
      t.equal(native.listenTcp("", address, 0, 5), EINVAL, address);
    }
    for (const port of [-1, 65_536]) t.equal(native.listenTcp("", "127.0.0.1", port, 5), EINVAL);
    t.equal(native.listenTcp("", "127.0.0.1", 0, -1), EINVAL, "backlog");
    t.equal(native.listenTcp("relative", "127.0.0.1", 0, 5), EINVAL);
    t.equal(native.listenTcp("/run/netns/pwt-native-none", "127.0.0.1", 0, 5), -2, "ENOENT");
    t.equal(native.listenTcp("", "192.0.2.1", 0, 5), -99, "EADDRNOTAVAIL: not an address of this machine");
    const fd = native.listenTcp("", "127.0.0.1", 0, 5);
    t.ok(fd >= 0);
    const server = createServer((socket) => socket.end("hello"));
    await new Promise<void>((resolve) => server.listen({ fd }, resolve));
    const { port } = server.address() as AddressInfo;
    t.equal(native.listenTcp("", "127.0.0.1", port, 5), -98, "EADDRINUSE");
    const text = await new Promise((resolve) => {
      connect(port, "127.0.0.1").once("data", (bytes) => resolve(String(bytes)));
    });
    t.equal(text, "hello");
    await new Promise((resolve) => server.close(resolve));
    t.equal(native.closeFd(fd), EBADF, "the server owned it");
  },
);

t.test("closed and foreign descriptors give an error and nothing else", async (t) => {
  const tokens = new Int32Array(1);
  for (const fd of [-1, 9999]) {
    t.equal(native.closeFd(fd), EBADF);
    t.equal(native.ring(fd), EBADF);
    t.equal(native.tapOffload(fd, 1), EBADF);
    t.equal(native.tapPersist(fd, 1), EBADF);
    t.equal(native.packetStats(fd, new Float64Array(2)), EBADF);
    t.equal(native.queueDrops(fd), 0);
    t.equal(native.wait(fd, tokens, 0, 0, clock), EBADF);
    t.equal(native.pollerAdd(fd, fd, 0), EBADF);
  }
  t.equal(errnoName(EBADF), "EBADF");
  t.equal(native.packetStats(0, new Float64Array(1)), EINVAL);
  t.equal(native.tapPersist(0, 2), EINVAL);
  t.equal(native.boundQueue(9999, 0, 0, 0), EBADF);
  for (const [fd, kind, port, limit] of [
    [-1, 0, 0, 0],
    [0, 2, 0, 0],
    [0, 0, 65_536, 0],
    [0, 0, 0, -1],
  ])
    t.equal(native.boundQueue(fd, kind, port, limit), EINVAL, `${[fd, kind, port, limit]}`);
});

t.test("receive refuses ranges outside its arrays", async (t) => {
  const fd = native.eventFd();
  native.ring(fd);
  const arena = new Uint8Array(1000).fill(0xa5);
  const sums = new Int32Array(1).fill(77);
  const receive = (kind: number, offs: number[], lens: number, first: number, max: number, slot: number) =>
    native.receive(fd, kind, arena, ints(...offs), new Int32Array(lens), first, max, slot, 9999, sums, 0);
  for (const kind of [TAP_VNET, PACKET_VNET, TAP, PACKET]) {
    t.equal(receive(kind, [128], 1, 0, 2, 100), EINVAL, "max past the offsets");
    t.equal(receive(kind, [128, 128], 1, 0, 2, 100), EINVAL, "max past the lengths");
    t.equal(receive(kind, [128, 128], 2, 0, 2, 100), EINVAL, "max past the sums");
    t.equal(receive(kind, [128], 1, -1, 1, 100), EINVAL, "negative first");
    t.equal(receive(kind, [128], 1, 0, -1, 100), EINVAL, "negative max");
    t.equal(receive(kind, [128], 1, 1, 1, 100), EINVAL, "first past the end");
    t.equal(receive(kind, [9], 1, 0, 1, 100), EINVAL, "no room for the vnet header");
    t.equal(receive(kind, [-5], 1, 0, 1, 100), EINVAL, "negative offset");
    t.equal(receive(kind, [901], 1, 0, 1, 100), EINVAL, "slot past the arena");
    t.equal(receive(kind, [0x7fffffff], 1, 0, 1, 100), EINVAL, "offset far past the arena");
    t.equal(receive(kind, [128], 1, 0, 1, 0x7fffffff), EINVAL, "slot larger than the arena");
    t.equal(receive(kind, [128], 1, 0, 1, 0), EINVAL, "empty slot");
  }
  t.equal(receive(4, [128], 1, 0, 1, 100), EINVAL, "no such kind");
  t.equal(receive(-1, [128], 1, 0, 1, 100), EINVAL, "no such kind");
  t.ok(arena.every((byte) => byte === 0xa5) && sums[0] === 77, "nothing was written");
  t.equal(receive(TAP, [128], 1, 0, 1, 100), 1, "the eventfd's eight bytes");
  t.strictSame([...arena.subarray(117, 137)], [0xa5, ...new Array(10).fill(0), 1, 0, 0, 0, 0, 0, 0, 0, 0xa5]);
  t.equal(receive(TAP, [128], 1, 0, 1, 100), 0, "EAGAIN is no error");
  t.equal(receive(PACKET, [128], 1, 0, 1, 100), -88, "ENOTSOCK");
  native.closeFd(fd);
});

t.test("receive never writes outside the slots it was given", async () => {
  const fd = native.eventFd();
  const wild = fc.oneof(fc.integer({ min: -20, max: 600 }), fc.integer());
  fc.assert(
    fc.property(
      fc.array(wild, { maxLength: 4 }),
      wild,
      wild,
      wild,
      wild,
      (offs, first, max, slot, budget) => {
        native.ring(fd);
        const arena = new Uint8Array(600).fill(0xa5);
        const [lens, sums] = [new Int32Array(3), new Int32Array(3)];
        const got = native.receive(fd, TAP, arena, ints(...offs), lens, first, max, slot, budget, sums, slot);
        const changed = [...arena.keys()].filter((i) => arena[i] !== 0xa5);
        // A slot of eight bytes is filled to its end: dropped as perhaps cut short.
        if (got < 1) return changed.length === 0 || slot < 9;
        const off = offs[first];
        return changed.every((i) => i >= off - 10 && i < off + 8);
      },
    ),
  );
  native.closeFd(fd);
});

t.test("receive sums each frame as its twin does: any length, place and virtio header", async (t) => {
  const path = join(t.testdir(), "frame"); // a regular file is read like a TAP: here is its only frame
  const header = fc.oneof(
    fc.constant([0, 0]),
    fc.tuple(fc.constantFrom(0, 1, 2, 4), fc.constantFrom(0, 1, 5, 128)),
  );
  const from = fc.oneof(
    fc.constantFrom(14, 64, 84, -1, 0, 1),
    fc.integer({ min: -5, max: 700 }),
    fc.integer(),
  );
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 600 }),
    fc.nat({ max: 1500 }).map((length) => new Uint8Array(length + 1).fill(0xff)),
  );
  let summed = 0;
  fc.assert(
    fc.property(bytes, header, from, fc.nat({ max: 40 }), (frame, [flags, gsoType], sumFrom, shift) => {
      writeFileSync(path, Uint8Array.from([flags, gsoType, 0, 0, 0, 0, 0, 0, 0, 0, ...frame]));
      const fd = openSync(path, "r");
      const arena = new Uint8Array(2000).fill(0xa5);
      const [lens, sums] = [new Int32Array(2), new Int32Array(2).fill(77)];
      const off = 128 + shift;
      const got = native.receive(fd, TAP_VNET, arena, ints(off, off), lens, 0, 2, 1800, 1, sums, sumFrom);
      closeSync(fd);
      const want = frameSum(arena, off, frame.length, sumFrom);
      if (want >= 0) summed++;
      return got === 1 && lens[0] === frame.length && sums[0] === want && sums[1] === 77;
    }),
    { numRuns: 2000 },
  );
  t.ok(summed > 200, `${summed} had a sum`);
});

t.test("a frame and its pieces leave in one write, without what each piece leaves out", async (t) => {
  const file = join(t.testdir({}), "sent");
  const fd = openSync(file, "w+");
  const arena = Uint8Array.from({ length: 1000 }, (_, i) => i & 255);
  const offs = ints(100, 200, 300, 400);
  const lens = ints(3, 2, 6, 6);
  const columns = [new Int32Array(4).fill(fd), new Int32Array(4).fill(TAP)] as const;
  const results = new Int32Array(4).fill(77);
  const joins = ints(2, 0, (4 << 16) | 3, 5 << 16);
  const send = (): number => native.transmit(...columns, arena, offs, lens, 4, results, joins);
  t.equal(send(), 4);
  t.same([...results], [0, 0, 0, 0]);
  t.same([...readFileSync(file)], [100, 101, 102, 304 & 255, 305 & 255, 405 & 255, 200, 201]);
  const refused: [string, () => void, number[]][] = [
    ["a piece with nothing left", () => void (lens[2] = 4), [EINVAL, 0, EINVAL, EINVAL]],
    ["a piece beyond the arena", () => void (offs[3] = 995), [EINVAL, 0, EINVAL, EINVAL]],
    ["a frame among the pieces", () => void (joins[2] = 3), [EINVAL, 0, 0, 0]],
    ["a piece of nobody", () => void (joins[0] = 0), [0, 0, EINVAL, EINVAL]],
    ["a way back", () => void (joins[2] = (4 << 16) | 1), [0, 0, 0, EINVAL]],
    ["a next one beyond the count", () => void (joins[0] = 4), [0, 0, EINVAL, EINVAL]],
    ["another descriptor", () => void (columns[0][2] = 9999), [EINVAL, 0, EINVAL, EINVAL]],
  ];
  for (const [what, spoil, want] of refused) {
    offs.set([100, 200, 300, 400]);
    lens.set([3, 2, 6, 6]);
    joins.set([2, 0, (4 << 16) | 3, 5 << 16]);
    columns[0].fill(fd);
    spoil();
    results.fill(77);
    t.equal(send(), want.filter((result) => result === 0).length, what);
    t.same([...results], want, what);
  }
  t.equal(native.transmit(...columns, arena, offs, lens, 4, results, ints(0)), EINVAL, "too few words");
  closeSync(fd);
});

t.test("transmit refuses a bad frame by itself, and a bad count as a whole", async (t) => {
  const fd = native.eventFd();
  const arena = new Uint8Array(1000);
  arena[128] = 1; // eight bytes that add 1 to an eventfd
  const offs = ints(128, 9, -1, 993, 128, 128, 128, 128, 0x7fffffff);
  const lens = ints(8, 8, 8, 8, -1, 0, 2000, 8, 0x7fffffff);
  const kinds = ints(TAP, TAP, TAP, TAP, TAP, TAP, TAP, 7, TAP);
  const fds = new Int32Array(9).fill(fd);
  const results = new Int32Array(9).fill(77);
  t.equal(native.transmit(fds, kinds, arena, offs, lens, 9, results), 1);
  t.strictSame([...results], [0, ...new Array(8).fill(EINVAL)]);
  t.equal(native.transmit(fds, kinds.fill(PACKET), arena, offs, lens, 1, results), 0);
  t.equal(results[0], -88, "ENOTSOCK");
  t.equal(native.transmit(fds, kinds, arena, offs, lens, 0, results), 0);
  const short = new Int32Array(8);
  t.equal(native.transmit(fds, kinds, arena, offs, lens, -1, results), EINVAL);
  t.equal(native.transmit(short, kinds, arena, offs, lens, 9, results), EINVAL);
  t.equal(native.transmit(fds, short, arena, offs, lens, 9, results), EINVAL);
  t.equal(native.transmit(fds, kinds, arena, short, lens, 9, results), EINVAL);
  t.equal(native.transmit(fds, kinds, arena, offs, short, 9, results), EINVAL);
  t.equal(native.transmit(fds, kinds, arena, offs, lens, 9, short), EINVAL);
  native.closeFd(fd);
});

t.test("the poller reports what is ready, drains eventfds, and forgets what was removed", async (t) => {
  const poller = native.pollerCreate();
  const [bell, port] = [native.eventFd(), native.eventFd()];
  const tokens = new Int32Array(4);
  t.equal(native.pollerAddEvent(poller, bell, 5), 0);
  t.equal(native.pollerAdd(poller, port, -1), 0);
  t.equal(native.pollerAdd(poller, port, 1), -17, "added twice: EEXIST");
  t.equal(native.wait(poller, tokens, 0, 0, clock), 0);
  native.ring(bell);
  native.ring(bell);
  native.ring(port);
  t.equal(native.wait(poller, tokens, -1, 0, clock), 2);
  t.strictSame([...tokens.subarray(0, 2)].sort(), [-1, 5]);
  t.equal(native.wait(poller, tokens, 0, 0, clock), 1, "the bell is silent, the port still ready");
  t.equal(tokens[0], -1);
  t.equal(native.pollerRemove(poller, port), 0);
  t.equal(native.pollerRemove(poller, port), -2, "ENOENT");
  t.equal(native.wait(poller, tokens, 0, 0, clock), 0);
  t.equal(native.wait(poller, new Int32Array(0), 0, 0, clock), EINVAL);
  t.equal(native.wait(poller, tokens, -2, 0, clock), EINVAL);
  t.equal(native.wait(poller, tokens, 0, 0, new Float64Array(WAIT_WORDS - 1)), EINVAL);
  for (const fd of [poller, bell, port]) native.closeFd(fd);
});

t.test("more tokens than asked for wait their turn", async (t) => {
  const poller = native.pollerCreate();
  const fds = Array.from({ length: 5 }, () => native.eventFd());
  for (const [i, fd] of fds.entries()) {
    native.pollerAddEvent(poller, fd, i);
    native.ring(fd);
  }
  const tokens = new Int32Array(2);
  const seen: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    const count = native.wait(poller, tokens, 0, 0, clock);
    seen.push(...tokens.subarray(0, count));
  }
  t.strictSame(seen.sort(), [0, 1, 2, 3, 4]);
  for (const fd of [poller, ...fds]) native.closeFd(fd);
});

t.test("waiting lasts about as long as asked, in microseconds", async (t) => {
  const poller = native.pollerCreate();
  const tokens = new Int32Array(1);
  for (const timeoutUs of [300, 20_000]) {
    const begin = process.hrtime.bigint();
    t.equal(native.wait(poller, tokens, timeoutUs, 0, clock), 0);
    const end = process.hrtime.bigint();
    const tookUs = Number(end - begin) / 1000;
    t.ok(tookUs >= timeoutUs - 1, `${tookUs} µs`);
    const [readMs, endMs] = [clock[0], Number(end) / 1e6];
    t.ok(readMs >= Number(begin) / 1e6 + timeoutUs / 1000 - 0.01 && readMs <= endMs, `${readMs} of ${endMs}`);
  }
  native.closeFd(poller);
});

t.test("a wait says how it went, and adds up what it polled", async (t) => {
  const poller = native.pollerCreate();
  const port = native.eventFd();
  native.pollerAdd(poller, port, 1);
  const tokens = new Int32Array(1);
  const said = new Float64Array(WAIT_WORDS);
  t.equal(native.wait(poller, tokens, 5000, 0, said), 0);
  t.equal(said[WaitWord.HOW], WaitHow.BLOCKED);
  t.equal(said[WaitWord.POLLED_MS], 0);
  for (let i = 1; i <= 2; i++) t.equal(native.wait(poller, tokens, 1, 3000, said), 0, "polls, then blocks");
  const spent = said[WaitWord.POLLED_MS] + said[WaitWord.TAKEN_MS];
  t.ok(spent >= 6 || said[WaitWord.TAKEN_MS] > 0.5, `${spent} ms`);
  native.ring(port);
  for (const spinUs of [0, 3000]) {
    said[WaitWord.HOW] = -1;
    for (let i = 0; i < 50 && said[WaitWord.HOW] !== WaitHow.AT_ONCE; i++)
      t.equal(native.wait(poller, tokens, -1, spinUs, said), 1);
    t.equal(said[WaitWord.HOW], WaitHow.AT_ONCE, "nothing to wait for");
  }
  for (const fd of [poller, port]) native.closeFd(fd);
});

t.test("a timer ends waits that last for ever, again and again", async (t) => {
  const poller = native.pollerCreate();
  const begin = performance.now(); // its periods count from here, however late the first wait is
  const timer = native.timerFd(2000);
  native.pollerAddEvent(poller, timer, 7);
  const tokens = new Int32Array(1);
  for (let i = 1; i <= 3; i++) {
    t.strictSame([native.wait(poller, tokens, -1, 0, clock), tokens[0]], [1, 7]);
    t.ok(performance.now() - begin >= 2 * i - 0.1, `${i} times`);
  }
  for (const period of [0, -1]) t.equal(native.timerFd(period), EINVAL);
  for (const fd of [poller, timer]) native.closeFd(fd);
});

t.test("a bell rung by the main thread wakes a worker that waits for ever", async (t) => {
  const bell = native.eventFd();
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(workerData.binding).then(({ loadNative }) => {
      const native = loadNative();
      const poller = native.pollerCreate();
      native.pollerAddEvent(poller, workerData.bell, 42);
      parentPort.postMessage("waiting");
      const tokens = new Int32Array(1);
      const count = native.wait(poller, tokens, -1, 0, new Float64Array(5));
      native.closeFd(poller);
      parentPort.postMessage([count, tokens[0]]);
    });`;
  const binding = new URL("./binding.js", import.meta.url).href;
  const worker = new Worker(source, { eval: true, workerData: { bell, binding } });
  const next = () => new Promise((resolve) => worker.once("message", resolve));
  t.equal(await next(), "waiting");
  native.ring(bell);
  t.strictSame(await next(), [1, 42]);
  await worker.terminate();
  native.closeFd(bell);
});

t.test("views with an offset, and shared memory, mean the bytes they show", async (t) => {
  const shared = new Uint8Array(new SharedArrayBuffer(64), 16, 32);
  shared.set([0x12, 0x34], 4);
  t.equal(native.checksum(shared, 0, 32, 0), 0x1234);
  t.equal(native.checksum(shared, 4, 2, 1), 0x1235);
  t.equal(native.checksum(shared, 0, 33, 0), EINVAL, "the buffer is longer, the view is not");
  t.equal(native.copyChecksum(shared, 30, 4, 2, 0), 0x1234);
  t.strictSame([...new Uint8Array(shared.buffer, 46, 2)], [0x12, 0x34]);
  t.equal(native.checksum(new Uint8Array(0), 0, 0, 0), 0);
});

t.test("a pause lasts as long as it says, and a timer is not 50 µs late for it", async (t) => {
  t.same(
    [0, -1, 1001].map((us) => native.pause(us)),
    [EINVAL, EINVAL, EINVAL],
  );
  const began = performance.now();
  t.equal(native.pause(1000), 0);
  t.ok(performance.now() - began >= 1);
  t.equal(readFileSync("/proc/self/timerslack_ns", "utf8"), "1000\n");
});

t.test("what the C library keeps is given back as often as one asks", async (t) => {
  for (let i = 0; i < 3; i++) t.ok([0, 1].includes(native.trimMemory()));
});

t.test("a thread says for how long it wants a core at a time, and keeps its nice value", async (t) => {
  const nice = getPriority();
  t.equal(native.threadSlice(0), EINVAL);
  t.equal(native.threadSlice(-1), EINVAL);
  const granted = native.threadSlice(300);
  t.ok(granted === 300 || granted === 0, "0: before Linux 6.12");
  if (granted > 0)
    t.same(
      [1, 1_000_000].map((us) => native.threadSlice(us)),
      [100, 100_000],
      "within bounds",
    );
  t.equal(getPriority(), nice);
});

t.test("a terminal has two ends and a size, and a socket connects", async (t) => {
  t.equal(native.openPty(ints(0)), EINVAL, "room for both");
  const pair = ints(0, 0);
  t.equal(native.openPty(pair), 0);
  const [master, slave] = pair;
  t.ok(isatty(slave), "a terminal");
  t.equal(native.resizePty(master, 132, 50), 0);
  const { stdout } = spawnSync("stty", ["size"], { stdio: [slave, "pipe", "inherit"], encoding: "utf8" });
  t.equal(stdout, "50 132\n");
  for (const [columns, rows] of [
    [-1, 1],
    [65_536, 1],
    [1, 65_536],
  ])
    t.equal(native.resizePty(master, columns, rows), EINVAL);
  for (const fd of pair) native.closeFd(fd);
  t.equal(native.resizePty(master, 1, 1), EBADF);
  t.equal(native.openTcp("relative", 4), EINVAL);
  for (const family of [4, 6]) {
    const fd = native.openTcp("", family);
    t.ok(fd > 0);
    native.closeFd(fd);
  }
});
