/**
 * Makes the tunnel TAP, by which TCP superframes enter the tunnel whole: beside the uplink, redirected to it with tc(8),
 * and tried before it is used. Where anything of it is not to be had (an older kernel, no tc, a superframe that is cut
 * wrongly), nothing is left behind, and podwire cuts superframes itself.
 */
import { execFile } from "node:child_process";
import { PodwireError } from "../base/errors.ts";
import type { Mac } from "../base/mac.ts";
import type { AgentConfig } from "../config/agent.ts";
import { Event } from "../dataplane/counters.ts";
import { PortRole } from "../dataplane/port.ts";
import { PacketSocket } from "../device/packet-socket.ts";
import { Tap } from "../device/tap.ts";
import type { Way } from "../device/trial-frames.ts";
import { TunnelTap } from "../device/tunnel-tap.ts";
import { TunnelTrial } from "../device/tunnel-trial.ts";
import { errnoName, type Native } from "../native/binding.ts";
import type { Plane } from "../plane/plane.ts";

type Settings = Pick<AgentConfig, "netns" | "overlay" | "tunnelGso" | "uplink">;

interface Uplink {
  readonly netns: string;
  readonly interface: string;
}

type Shell = (netns: string, script: readonly string[]) => Promise<string>;

const IFF_UP = 1;
const LOOK_MS = 500;
/** Looks between two of a closer kind: is the redirection still there? Only while superframes go that way. */
const CLOSER = 20;

export class TunnelGso {
  readonly #native: Native;
  readonly #plane: Pick<Plane, "apply" | "tables">;
  readonly #config: Settings;
  readonly #shell: Shell;
  #tap: TunnelTap | undefined;
  #work: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;
  #used = 0;
  #lost = 0;
  #closed = false;
  /** The uplink was down: it is tried when that is up. */
  #isLater = false;
  /** "on", or "off: " and why. */
  state: string;
  /** Called with a line for people when it cannot be used. */
  onNote: (text: string) => void = () => {};

  /** `shell`: runs lines of sh(1) in a namespace. */
  constructor(native: Native, plane: Pick<Plane, "apply" | "tables">, config: Settings, shell = inNamespace) {
    this.#native = native;
    this.#plane = plane;
    this.#config = config;
    this.#shell = shell;
    this.state = `off: ${notWanted(config) ?? "not tried yet"}`;
  }

  /** Opens and tries the device, and goes on looking after it. Superframes are cut here until it is found good. */
  begin(): void {
    if (notWanted(this.#config) !== undefined) return;
    this.#work = this.#open();
    this.#timer = setInterval(() => {
      this.#work = this.#work.then(() => this.#look());
    }, LOOK_MS);
    this.#timer.unref();
  }

  async #open(): Promise<void> {
    const { netns, uplink } = this.#config;
    try {
      const tap = await openTunnelTap(this.#native, this.#shell, { netns, interface: uplink.interface });
      if (this.#closed) return tap.close();
      this.#tap = tap;
      await this.#plane.apply({ type: "tunnel-gso", fd: tap.fd });
      this.state = "on";
    } catch (error) {
      const { code, message } = error as PodwireError;
      this.#isLater = code === "TUNNEL_GSO_LATER";
      if (this.#isLater) this.state = `off: ${message}`;
      else if (!this.#closed) this.#off(message);
    }
  }

  #off(why: string): void {
    this.state = `off: ${why}`;
    this.onNote(`tunnel GSO is off, superframes are cut before they enter the tunnel: ${why}`);
  }

  /** Nothing is written to a device that is gone; it is made once more, and tried as the first one was. */
  async #look(): Promise<void> {
    const { events } = this.#plane.tables.counters;
    if (this.#isLater && !this.#closed) await this.#open();
    if (this.#tap === undefined || this.#closed) return;
    const isLost = events[Event.TUNNEL_GSO_LOST] !== this.#lost;
    const used = events[Event.TUNNEL_GSO];
    const isCloser = ++this.#looks % CLOSER === 0 && used !== this.#used;
    if (isCloser) this.#used = used;
    if (!isLost && (!isCloser || (await this.#isRedirected(this.#tap.name)))) return;
    await this.#giveUp(this.#tap);
    if (this.#closed) return;
    this.#off(isLost ? "its device is down or gone" : "somebody took the tc filter of its device away");
    await this.#open();
  }

  async #isRedirected(name: string): Promise<boolean> {
    const { netns, uplink } = this.#config;
    const show = this.#shell(netns, [`tc filter show dev ${name} ingress`]).catch(() => "");
    return (await show).includes(`device ${uplink.interface})`);
  }

  /** Each worker finds it lost by itself, so this is counted until none has it. */
  async #giveUp(tap: TunnelTap): Promise<void> {
    this.#tap = undefined;
    await this.#plane.apply({ type: "tunnel-gso", fd: -1 }).catch(() => {}); // without a plane nobody writes to it
    this.#lost = this.#plane.tables.counters.events[Event.TUNNEL_GSO_LOST];
    tap.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#work;
    if (this.#tap !== undefined) await this.#giveUp(this.#tap);
  }
}

function notWanted({ tunnelGso, overlay, uplink }: Settings): string | undefined {
  if (!tunnelGso) return "dataplane.tunnelGso is false";
  if (overlay.type === "none") return "there is no tunnel";
  return uplink.driver === "packet" ? undefined : "libpcap has no superframes";
}

/** An open tunnel TAP that has passed its test; throws what stands in the way. */
async function openTunnelTap(native: Native, shell: Shell, uplink: Uplink): Promise<TunnelTap> {
  const facts = new Int32Array(5);
  const found = native.ifInfo(uplink.netns, uplink.interface, facts);
  if (found < 0) throw new PodwireError(`${uplink.interface}: ${errnoName(found)}`, { code: "TUNNEL_GSO" });
  const [index, , hi, lo, flags] = facts;
  if ((flags & IFF_UP) === 0)
    throw new PodwireError(`${uplink.interface} is down`, { code: "TUNNEL_GSO_LATER" });
  const tap = new TunnelTap(native, uplink.netns, `pwgso${index}`);
  try {
    await tryOut(native, shell, uplink, tap, index, { hi, lo });
    return tap;
  } catch (error) {
    tap.close();
    throw error;
  }
}

async function tryOut(
  native: Native,
  shell: Shell,
  { netns, interface: name }: Uplink,
  tap: TunnelTap,
  index: number,
  mac: Mac,
) {
  const trial = new TunnelTrial(native, tap.fd);
  const check = async (exit: Way, where: string): Promise<void> => {
    const wrong = await trial.run(exit, mac);
    if (wrong !== "") throw new PodwireError(`${where}: ${wrong}`, { code: "TUNNEL_GSO" });
  };
  // A TAP without offloads shows what the kernel makes of superframes for a card that cannot cut them.
  const sink = new Tap(native, {
    ...{ netns, interface: `pwcut${index}`, role: PortRole.POD, persist: false, offloads: 0 },
  });
  try {
    await shell(netns, [...bringUp(tap.name), ...bringUp(sink.name), ...redirect(tap.name, sink.name)]);
    await check(sink, "the kernel");
  } finally {
    sink.close();
  }
  const leaving = new PacketSocket(native, {
    ...{ netns, interface: name, role: PortRole.UPLINK, receiveBytes: 1 << 18, seesOwn: mac },
  });
  try {
    await shell(netns, redirect(tap.name, name));
    await check(leaving, name);
  } finally {
    leaving.close();
  }
}

/** Up, and without a word of its own: no addresses, no neighbours, no IPv6. */
function bringUp(name: string): string[] {
  const off = `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`;
  return [
    `[ ! -e ${off} ] || echo 1 2>/dev/null >${off} || ip link set dev ${name} addrgenmode none`,
    `ip link set dev ${name} arp off multicast off up`,
  ];
}

/** All that comes in at `from` leaves by `to`. */
function redirect(from: string, to: string): string[] {
  const filter = (match: string): string =>
    `tc filter add dev ${from} ingress pref 1 protocol all ${match} action mirred egress redirect dev ${to}`;
  return [
    `tc qdisc replace dev ${from} clsact`,
    `tc filter del dev ${from} ingress 2>/dev/null || :`,
    `${filter("matchall")} 2>/dev/null || ${filter("u32 match u32 0 0")}`,
  ];
}

function inNamespace(netns: string, script: readonly string[]): Promise<string> {
  const argv = ["sh", "-e", "-c", script.join("\n")];
  const [file, ...args] = netns === "" ? argv : ["nsenter", `--net=${netns}`, ...argv];
  return new Promise((resolve, reject) => {
    execFile(file, args, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new PodwireError(stderr.split("\n")[0] || error.message, { code: "TUNNEL_GSO" }));
    });
  });
}
