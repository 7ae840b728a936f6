/**
 * Whether frames leave into the tunnel together: asked of kernel and uplink at each start, while packets already pass.
 * Until both are found good, and where one is not, each frame leaves by itself.
 */
import { execFile } from "node:child_process";
import { IoKind } from "../base/addon.ts";
import { PodwireError } from "../base/errors.ts";
import type { Mac } from "../base/mac.ts";
import { type AgentConfig, SOURCE_PORTS } from "../config/agent.ts";
import { PortRole } from "../dataplane/port.ts";
import { tryBundle } from "../device/bundle-trial.ts";
import { fromTo } from "../device/packet-socket.ts";
import { Tap } from "../device/tap.ts";
import type { Way } from "../device/trial-frames.ts";
import { errnoName, type Native, PacketFlag } from "../native/binding.ts";
import type { Plane } from "../plane/plane.ts";

/** Outer source ports where bundles are used and nobody says how many: see docs/overlay.md. */
const BUNDLE_PORTS = 8; // a thousand flows of 64 bytes: 1.84 times the kernel's rate, 1.67 with 16
const RETRY_MS = 1000;

type Settings = Pick<AgentConfig, "netns" | "overlay" | "uplink" | "tunnelBundles">;

export class TunnelBundles {
  readonly #native: Native;
  readonly #plane: Pick<Plane, "apply">;
  readonly #config: Settings;
  readonly #bringUp: (netns: string, name: string) => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  #closed = false;
  /** "on", or "off: " and why. */
  state: string;
  onNote: (text: string) => void = () => {};

  /** `up`: brings up an interface in a namespace. */
  constructor(native: Native, plane: Pick<Plane, "apply">, config: Settings, up = bringUp) {
    this.#native = native;
    this.#bringUp = up;
    this.#plane = plane;
    this.#config = config;
    this.state = `off: ${notWanted(config) ?? "not tried yet"}`;
  }

  /** Tells the plane its outer source ports. */
  async begin(): Promise<void> {
    if (this.#config.overlay.type !== "none") await this.#tell(0);
  }

  /** Tries bundles, where they are wanted. */
  try(): void {
    if (notWanted(this.#config) === undefined && !this.#closed) this.#work = this.#try();
  }

  /** `families`: 1 for bundles over IPv4, 2 over IPv6. */
  async #tell(families: number): Promise<void> {
    const { overlay } = this.#config;
    if (overlay.type === "none") return;
    const { first, last } = overlay.sourcePortRange ?? SOURCE_PORTS;
    const all = last - first + 1;
    const sourcePorts = overlay.sourcePorts ?? (families === 0 ? all : Math.min(BUNDLE_PORTS, all));
    await this.#plane.apply({
      type: "config",
      config: { tunnel: { sourceMin: first, sourcePorts, bundle: families } },
    });
  }

  async #try(): Promise<void> {
    try {
      const wrong = { 4: await this.#tryFamily(4), 6: await this.#tryFamily(6) };
      if (this.#closed) return;
      const families = (wrong[4] === "" ? 1 : 0) | (wrong[6] === "" ? 2 : 0);
      await this.#tell(families);
      const why = [wrong[4], wrong[6]].filter((text) => text !== "").join("; ");
      if (families === 3) this.state = "on";
      else if (families === 0) this.#off(why);
      else this.#off(why, `on over IPv${families === 1 ? 4 : 6} only`);
    } catch (error) {
      if (this.#closed) return;
      const { code, message } = error as PodwireError;
      if (code !== "BUNDLE_LATER") this.#off(message);
      else {
        this.state = `off: ${message}`;
        this.#timer = setTimeout(() => (this.#work = this.#try()), RETRY_MS);
        this.#timer.unref();
      }
    }
  }

  #off(why: string, what = "off"): void {
    this.state = `${what}: ${why}`;
    this.onNote(`tunnel bundles are ${this.state}: frames leave into the tunnel one by one`);
  }

  /** "": good. */
  async #tryFamily(family: 4 | 6): Promise<string> {
    const { netns, uplink } = this.#config;
    const facts = new Int32Array(5);
    const found = this.#native.ifInfo(netns, uplink.interface, facts);
    if (found < 0) return `${uplink.interface}: ${errnoName(found)}`;
    const mac = { hi: facts[2], lo: facts[3] };
    const kernel = await this.#tryKernel(family, mac, `pwtry${facts[0]}`);
    if (kernel !== "") return `kernel: ${kernel}`;
    const wrong = await this.#between(uplink.interface, mac, (into, outOf) =>
      tryBundle(this.#native, family, mac, into, outOf),
    );
    if (wrong.includes("ENETDOWN"))
      throw new PodwireError(`${uplink.interface} is down`, { code: "BUNDLE_LATER" });
    return wrong === "" ? "" : `${uplink.interface}: ${wrong}`;
  }

  /** What the kernel makes of it for a card that cannot cut: a TAP without offloads shows. */
  async #tryKernel(family: 4 | 6, mac: Mac, name: string): Promise<string> {
    const native = this.#native;
    const { netns } = this.#config;
    const options = { netns, interface: name, role: PortRole.POD, persist: false, offloads: 0 };
    const tap = new Tap(native, options);
    try {
      await this.#bringUp(netns, name);
      return await this.#between(name, mac, (into) => tryBundle(native, family, mac, into, tap));
    } finally {
      tap.close();
    }
  }

  /**
   * Does `work` with two packet sockets at an interface: what the one sends the other sees on its way out. Nothing else,
   * or packets of pods, which already pass, would fill it before the trial's come.
   */
  async #between(name: string, mac: Mac, work: (into: Way, outOf: Way) => Promise<string>): Promise<string> {
    const fds = [0, 1].map(() =>
      this.#native.openPacket(this.#config.netns, name, PacketFlag.VNET_HDR, 0, 0),
    );
    try {
      const failed = fds.find((fd) => fd < 0);
      if (failed !== undefined) return `no packet socket (${errnoName(failed)})`;
      for (const fd of fds) this.#native.packetFilter(fd, fromTo(mac));
      const [into, outOf] = fds.map((fd) => ({ fd, ioKind: IoKind.PACKET_VNET }));
      return await work(into, outOf);
    } finally {
      for (const fd of fds) if (fd >= 0) this.#native.closeFd(fd);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#work;
  }
}

function notWanted({ tunnelBundles, overlay, uplink }: Settings): string | undefined {
  if (!tunnelBundles) return "dataplane.tunnelBundles is false";
  if (overlay.type === "none") return "there is no tunnel";
  return uplink.driver === "packet" ? undefined : "libpcap has no superframes";
}

/** Without a word of its own: no addresses, no neighbours. */
function bringUp(netns: string, name: string): Promise<void> {
  const argv = [
    "ip",
    "link",
    "set",
    "dev",
    name,
    "arp",
    "off",
    "multicast",
    "off",
    "addrgenmode",
    "none",
    "up",
  ];
  const [file, ...args] = netns === "" ? argv : ["nsenter", `--net=${netns}`, ...argv];
  return new Promise((resolve, reject) => {
    execFile(file, args, (error, _, stderr) => {
      if (error === null) resolve();
      else reject(new PodwireError(stderr.split("\n")[0] || error.message, { code: "BUNDLE_TRIAL" }));
    });
  });
}
