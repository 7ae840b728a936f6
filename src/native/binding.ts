// The only file that loads the C addon. The addon moves bytes between file descriptors and the arena and does
// the sums that C does faster; it decides nothing. Every function returns >= 0, or a negated errno (-11 =
// EAGAIN …). Wrong argument *types* throw a TypeError; wrong offsets and lengths return -EINVAL and touch
// nothing. "netns" is "" for the process's own network namespace, else the absolute path of a namespace file.
// Deliberately missing: names, addresses, routes. `ip -batch` does those; they are not on a packet's way. What is to be
// followed, or is to end with the process, goes over netlink, whose messages src/device/netlink writes and reads.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { getSystemErrorName } from "node:util";
import type { Io, Offload } from "../base/addon.ts";
import type { MaybePinned } from "../base/maybe-pinned.ts";

/** openTap flags. */
export const TapFlag = Object.freeze({ PERSIST: 1, VNET_HDR: 2, MULTI_QUEUE: 4, TUNNEL_HDR: 8 } as const);
/** openPacket flags. */
export const PacketFlag = Object.freeze({
  VNET_HDR: 1,
  IGNORE_OUTGOING: 2,
  QDISC_BYPASS: 4,
  PROMISC: 8,
  /** Receives nothing until `packetFilter` says what. */
  SHUT: 16,
} as const);
/** tapOffload flags: linux/if_tun.h TUN_F_*. */
export const TapOffload = Object.freeze({
  CSUM: 1,
  TSO4: 2,
  TSO6: 4,
  TSO_ECN: 8,
  USO4: 0x20,
  USO6: 0x40,
  /** Superframes in UDP tunnels may be written, with a partial outer checksum too: Linux 6.17, with TUNNEL_HDR. */
  TUNNEL: 0x80,
  TUNNEL_CSUM: 0x100,
} as const);
/** What `wait` says of itself. */
export const WaitWord = Object.freeze({
  NOW_MS: 0, //    CLOCK_MONOTONIC after the wait
  TOOK_MS: 1, //   how long it took
  HOW: 2, //       WaitHow
  POLLED_MS: 3, // added to this: what was spent polling
  TAKEN_MS: 4, //  added to this: what other programs took of the core meanwhile, a long turn each
} as const);
export const WAIT_WORDS = 5;
/** Something was there already; it was polled for; the thread slept. */
export const WaitHow = Object.freeze({ AT_ONCE: 0, POLLED: 1, BLOCKED: 2 } as const);

export interface Native extends Io, Offload {
  /**
   * Looks a typed array's memory up once and for all: what comes back stands for it in every call that takes a
   * MaybePinned, and costs less there. It keeps the memory, which must not be transferred to another thread.
   */
  pin<T extends Uint8Array | Int32Array | Float64Array>(array: T): MaybePinned<T>;
  /** Asks the kernel for huge pages behind `arena`. -EINVAL where it has none: nothing is lost but speed. */
  adviseHuge(arena: Uint8Array): number;
  /** Moves the calling thread into the namespace for good: for libpcap, which opens things where the thread is. */
  enterNetns(netns: string): number;
  /** Opens (or creates) a TAP device: non-blocking, close-on-exec. Returns its fd. */
  openTap(netns: string, name: string, flags: number): number;
  /** TUNSETOFFLOAD; tries `wanted`, then fewer (USO goes first). Returns the flags the kernel took. */
  tapOffload(fd: number, wanted: number): number;
  /** 1: the device outlives the fd. 0: it goes with the last fd. */
  tapPersist(fd: number, persist: number): number;
  /**
   * An AF_PACKET socket for every protocol, bound to `ifname`. Returns its fd. Buffer sizes 0 = leave alone.
   */
  openPacket(netns: string, ifname: string, flags: number, rcvBytes: number, sndBytes: number): number;
  /** Only what this program of classic BPF accepts is received from now on: two words an instruction. */
  packetFilter(fd: number, program: Int32Array): number;
  /**
   * For trying out what the kernel makes of a frame: a TAP with vnet header, 192.0.2.1/24 behind it, and a UDP socket at
   * `port` there, in a network namespace of their own that goes when both are closed. out: the TAP's descriptor, the
   * socket's (`receive` reads payloads from it as from a TAP without vnet header), MAC bytes 0-1, MAC bytes 2-5.
   */
  openProbe(port: number, out: Int32Array): number;
  /**
   * 1: some socket of the namespace sees IP packets as they come from a device (packet sockets, raw ones that read UDP);
   * 0: none does.
   */
  frameReaders(netns: string): number;
  /**
   * Adds packets seen and packets dropped since the last call to out[0], out[1]: keep `out` and it holds the
   * totals.
   */
  packetStats(fd: number, out: Float64Array): number;
  /**
   * Bounds the UDP that waits in a TAP or packet socket (`kind`: IoKind, with vnet header): no more comes in while what
   * waits costs more than `limit` (queue-bound.c). tunnelPort: of VXLAN, where the inner packet is meant; 0: none.
   * limit 0: no bound, and none that an agent before has left.
   */
  boundQueue(fd: number, kind: number, tunnelPort: number, limit: number): number;
  /** Datagrams that it has refused since the last call; of a packet socket `packetStats` has them. */
  queueDrops(fd: number): number;
  /** out: ifindex, mtu, MAC bytes 0-1, MAC bytes 2-5 (i32), IFF_* flags. */
  ifInfo(netns: string, name: string, out: Int32Array): number;
  /**
   * A listening TCP socket: non-blocking, close-on-exec, for `server.listen({ fd })`. address: numeric, IPv4 or IPv6;
   * "::" takes IPv4 connections too. Port 0: one that is free. What it accepts belongs to the namespace as well.
   */
  listenTcp(netns: string, address: string, port: number, backlog: number): number;
  /**
   * The same here, of one family alone, for connections to addresses that are not this machine's as well, as nftables'
   * tproxy gives them. -EPERM: it takes NET_ADMIN.
   */
  listenTransparent(address: string, port: number, backlog: number): number;
  /** A TCP socket for `new Socket({ fd })` and its `connect`, which connects from this address, whoever's it is. */
  openTransparent(address: string): number;
  /** A TCP socket, for `new Socket({ fd })` and its `connect`: non-blocking, close-on-exec. family: 4 or 6. */
  openTcp(netns: string, family: number): number;
  /** A pseudo-terminal: out[0] its master, non-blocking, out[1] its slave; both close-on-exec. */
  openPty(out: Int32Array): number;
  /** By either end. In characters, up to 65535. */
  resizePty(fd: number, columns: number, rows: number): number;
  /** A netlink socket: non-blocking, close-on-exec. groups: a bit mask. Returns its fd. */
  openNetlink(netns: string, protocol: number, groups: number): number;
  /** Sends `len` bytes of messages to the kernel, which has worked on them when this returns. */
  sendNetlink(fd: number, messages: Uint8Array, len: number): number;
  /** Reads what waits, one datagram; returns its length. -EAGAIN: nothing; -ENOBUFS: something was lost. */
  receiveNetlink(fd: number, into: Uint8Array): number;
  closeFd(fd: number): number;
  /** flock(2), exclusive, at once: -EAGAIN while somebody else has it. It goes with the descriptor, or the process. */
  lockFd(fd: number): number;

  /** A new eventfd: `ring` it from any thread to wake a `wait`. */
  eventFd(): number;
  /** A new timerfd that expires every periodUs from now on. */
  timerFd(periodUs: number): number;
  ring(fd: number): number;
  pollerCreate(): number;
  /** Level triggered: the token is reported by every `wait` while fd is readable (or broken). */
  pollerAdd(poller: number, fd: number, token: number): number;
  /** The same for an eventfd or a timerfd, which `wait` reads empty before it reports the token. */
  pollerAddEvent(poller: number, fd: number, token: number): number;
  pollerRemove(poller: number, fd: number): number;
  /**
   * Writes the ready tokens, returns how many. timeoutUs: 0 = poll, -1 = for ever. A signal ends it with 0.
   * spinUs: polls so long before it blocks, but no longer once another program has had the core for half a millisecond.
   * clock: WaitWord. (Every performance.now() makes a heap number.)
   */
  wait(
    poller: number,
    tokens: MaybePinned<Int32Array>,
    timeoutUs: number,
    spinUs: number,
    clock: MaybePinned<Float64Array>,
  ): number;
  /** Processor time of this thread, µs: what something costs on a machine that is busy with other things. */
  threadCpuUs(): number;
  /**
   * For how long this thread wants a core at a time, µs: with less it is served sooner, at the same share. The kernel
   * keeps it between 100 µs and 100 ms. Returns what it is then; 0: a kernel before 6.12, which takes no notice.
   */
  threadSlice(us: number): number;
  /** Sleeps so long, 1 to 1000 µs, so that others have the core; a signal ends it. 0 or -errno. */
  pause(us: number): number;
  /** Gives back to the kernel what the C library keeps free, of all threads, a few milliseconds. 1: there was some. */
  trimMemory(): number;

  /**
   * Frames this process dropped in `receive`: larger than the slot, or of a GSO kind a vnet header cannot
   * express.
   */
  droppedOnReceive(): number;
}

let loaded: Native | undefined;

/**
 * Where the addon may lie: PODWIRE_NATIVE, else build/native, seen from build/src/native or from src/native.
 */
function candidates(): string[] {
  const named = process.env.PODWIRE_NATIVE;
  if (named !== undefined && named !== "") return [named];
  const file = `${process.platform}-${process.arch}/podwire.node`;
  return [`../../native/${file}`, `../../build/native/${file}`].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
}

/** The addon, or undefined where it was not built. */
export function tryLoadNative(): Native | undefined {
  if (loaded === undefined) {
    const path = candidates().find((candidate) => existsSync(candidate));
    // Copied, because V8 keeps an addon's exports in a dictionary, which each call would be looked up in.
    if (path !== undefined) loaded = { ...(createRequire(import.meta.url)(path) as Native) };
  }
  return loaded;
}

/** The addon; throws a one-line error that says how to build it. */
export function loadNative(): Native {
  const native = tryLoadNative();
  if (native !== undefined) return native;
  throw new Error(
    "podwire's C addon is not built: run `node scripts/build-native.mjs` (needs gcc and libc6-dev)",
  );
}

/** The name of a negative return value: -19 -> "ENODEV". Node does not know them all: -77 -> "errno 77". */
export function errnoName(result: number): string {
  const name = getSystemErrorName(result);
  return name.startsWith("E") ? name : `errno ${-result}`;
}
