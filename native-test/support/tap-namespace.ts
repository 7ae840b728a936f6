// A network namespace whose devices are TAPs, with the test at their other ends: a kernel as judge of single packets.
// A TAP's frame is dealt with inside the write that brings it, so the answers are there at once.
import { spawnSync } from "node:child_process";
import { IoKind } from "../../src/base/addon.ts";
import { TapFlag } from "../../src/native/binding.ts";
import { Frames, native } from "./frames.ts";
import type { Namespaces } from "./namespaces.ts";

export class TapNamespace {
  readonly #namespaces: Namespaces;
  readonly #name: string;
  readonly #frames = new Frames(16);
  readonly #taps = new Map<string, number>();

  /** `taps`: name → MAC address. Devices are up and have no addresses. */
  constructor(namespaces: Namespaces, name: string, taps: Readonly<Record<string, string>>) {
    this.#namespaces = namespaces;
    this.#name = name;
    namespaces.add(name);
    this.run("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0");
    this.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    this.run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0");
    for (const [device, mac] of Object.entries(taps)) {
      const fd = native.openTap(namespaces.path(name), device, TapFlag.VNET_HDR);
      if (fd < 0) throw new Error(`TAP ${device}: ${fd}`);
      this.#taps.set(device, fd);
      namespaces.ip(name, `link set ${device} address ${mac} addrgenmode none up`);
    }
  }

  /** Runs a program in the namespace; throws what it says. */
  run(words: string, input = ""): string {
    const [program, ...args] = this.#namespaces.command(this.#name, words);
    const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: "utf8" });
    if (status !== 0) throw new Error(`${words}: ${stderr}`);
    return stdout;
  }

  /** `ip -batch`. */
  configure(lines: readonly string[]): void {
    this.run("ip -batch -", `${lines.join("\n")}\n`);
  }

  /** What comes out of each device when a frame has come in at one. */
  exchange(device: string, frame: Uint8Array): { readonly device: string; readonly frame: Uint8Array }[] {
    this.#receive(); // what the kernel said on its own until now
    const sent = this.#frames.send(this.#taps.get(device) as number, IoKind.TAP_VNET, [frame]);
    if (sent !== 1) throw new Error(`${device}: frame not taken`);
    return this.#receive();
  }

  #receive(): { readonly device: string; readonly frame: Uint8Array }[] {
    return [...this.#taps].flatMap(([device, fd]) =>
      this.#frames.receive(fd, IoKind.TAP_VNET).map(({ frame }) => ({ device, frame })),
    );
  }

  close(): void {
    for (const fd of this.#taps.values()) native.closeFd(fd);
  }
}
