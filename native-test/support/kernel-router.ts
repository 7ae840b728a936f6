// The kernel's side of the comparison: a network namespace that is node1, with TAP devices for its pods and
// its uplink. The test is at the other end of every TAP, so it sees each packet that the kernel lets out, at
// once: a TAP's frame is routed within the write that brings it. What the kernel takes for itself is copied
// to one more TAP and then dropped, so that no stack answers.
import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { IoKind } from "../../src/base/addon.ts";
import { TapFlag } from "../../src/native/binding.ts";
import type { Flow } from "../../src/testing/judge/flows.ts";
import { frameOf, Seen } from "../../src/testing/judge/outcome.ts";
import { type Shot, setLink } from "../../src/testing/judge/plane.ts";
import type { World } from "../../src/testing/judge/world.ts";
import { Frames, native } from "./frames.ts";
import type { Namespaces } from "./namespaces.ts";
import type { Order } from "./raw-sender.ts";

const ROUTER_MAC = "0a:58:00:00:00:fe";
const STATION_MAC = "0a:00:00:00:00:01";
const LINK = { srcMac: STATION_MAC, dstMac: ROUTER_MAC };
const WITNESS = { 4: "169.254.9.9", 6: "fd00:99::9" } as const;
const ETHERNET_BYTES = 14;
const BATCH = 48; // of the frames that the arena of a test holds

export interface RouterOptions {
  readonly world: World;
  readonly attach: "veth" | "bridge";
  /** Begins the names of the pods' devices; veth where left out. */
  readonly podDevice?: string;
}

export class KernelRouter {
  readonly world: World;
  readonly #namespaces: Namespaces;
  readonly #name: string;
  readonly #podDevice: string;
  readonly #frames = new Frames(64);
  /** Name of what is behind a TAP → its descriptor. */
  readonly #taps = new Map<string, number>();
  #sender: ChildProcess | undefined;
  #zone = 0;

  constructor(namespaces: Namespaces, name: string, options: RouterOptions) {
    this.world = options.world;
    this.#namespaces = namespaces;
    this.#name = name;
    this.#podDevice = options.podDevice ?? "veth";
    namespaces.add(name);
    this.#sysctls();
    this.#open("uplink", "eth0");
    this.#open("host", "witness0");
    for (const [i, address] of this.world.pods.entries()) this.#open(`pod ${address}`, this.podDevice(i));
    this.#configure(options.attach);
    this.#witness();
  }

  async start(): Promise<void> {
    const file = fileURLToPath(new URL("./raw-sender.js", import.meta.url));
    const exec = this.#namespaces.command(this.#name, process.execPath);
    this.#sender = fork(file, [String(this.world.family)], { execPath: exec[0], execArgv: exec.slice(1) });
    await this.#answer();
  }

  close(): void {
    this.#sender?.disconnect();
    for (const fd of this.#taps.values()) native.closeFd(fd);
  }

  #open(name: string, device: string): void {
    const fd = native.openTap(this.#namespaces.path(this.#name), device, TapFlag.VNET_HDR);
    if (fd < 0) throw new Error(`TAP ${device}: ${fd}`);
    this.#taps.set(name, fd);
  }

  /** Runs a program in the namespace; throws what it says. */
  run(words: string, input = ""): string {
    const [program, ...args] = this.#namespaces.command(this.#name, words);
    const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: "utf8" });
    if (status !== 0) throw new Error(`${words}: ${stderr}`);
    return stdout;
  }

  #sysctls(): void {
    const set = [
      ...["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"],
      ...["all", "default"].flatMap((which) => [
        `net.ipv4.conf.${which}.rp_filter=0`,
        `net.ipv4.conf.${which}.send_redirects=0`,
        `net.ipv4.conf.${which}.accept_local=1`,
        `net.ipv4.conf.${which}.route_localnet=1`,
        `net.ipv6.conf.${which}.accept_dad=0`,
        `net.ipv6.conf.${which}.accept_ra=0`,
      ]),
      // Every refusal is to be seen.
      ...[
        "net.ipv4.icmp_ratelimit=0",
        "net.ipv4.icmp_ratemask=0",
        "net.ipv6.icmp.ratelimit=0",
        "net.ipv6.icmp.ratemask=255",
      ],
      ...[
        "udp_timeout=60",
        "icmp_timeout=10",
        "icmpv6_timeout=10",
        "tcp_timeout_syn_sent=60",
        "tcp_timeout_syn_recv=60",
        "tcp_timeout_established=60",
        "tcp_timeout_unacknowledged=10",
        "tcp_timeout_fin_wait=10",
        "tcp_timeout_close=10",
        "sctp_timeout_closed=10",
        "sctp_timeout_cookie_wait=10",
      ].map((timeout) => `net.netfilter.nf_conntrack_${timeout}`),
    ];
    this.run(`sysctl -qw ${set.join(" ")}`);
    // Where the bridge hands its frames to the IP hooks as well, packets would pass them twice.
    if (existsSync("/proc/sys/net/bridge"))
      this.run("sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0");
  }

  /** The device of the i-th pod of the world. */
  podDevice(i: number): string {
    return `${this.#podDevice}${i}`;
  }

  #configure(attach: RouterOptions["attach"]): void {
    const { nodeIp, secondIp, gateway, host, pods, remotePodCidr, remoteNodeIp, router, neighbors } =
      this.world;
    const lines = ["link set lo up"];
    const up = (device: string) =>
      lines.push(`link set ${device} address ${ROUTER_MAC} addrgenmode none`, `link set ${device} up`);
    const know = (address: string, device: string, mac = STATION_MAC) =>
      lines.push(`neigh replace ${address} lladdr ${mac} dev ${device} nud permanent`);
    const prefix = this.world.family === 4 ? 24 : 64;
    for (const device of ["eth0", "witness0"]) up(device);
    lines.push(
      `addr add ${nodeIp}/${prefix} dev eth0 nodad`,
      `addr add ${host(secondIp)} dev eth0 nodad preferred_lft 0`,
    );
    for (const address of [remoteNodeIp, router, ...neighbors]) know(address, "eth0");
    lines.push(`route add ${remotePodCidr} via ${remoteNodeIp} dev eth0`);
    lines.push(`route add default via ${router} dev eth0`);
    const witness = WITNESS[this.world.family];
    lines.push(`route add ${host(witness)} dev witness0`);
    know(witness, "witness0");
    if (attach === "bridge") lines.push("link add cbr0 type bridge mcast_snooping 0");
    if (attach === "bridge") up("cbr0");
    for (const [i, pod] of pods.entries()) {
      const device = this.podDevice(i);
      if (attach === "bridge") {
        lines.push(`link set ${device} master cbr0`, `link set ${device} up`);
        know(pod, "cbr0", podMac(i));
      } else {
        up(device);
        lines.push(`addr add ${host(gateway)} dev ${device} nodad`, `route add ${host(pod)} dev ${device}`);
        know(pod, device, podMac(i));
      }
    }
    if (attach === "bridge") lines.push(`addr add ${gateway}/${prefix} dev cbr0 nodad`);
    this.run(
      "ip -batch -",
      lines.map((line) => line.replace(/ nodad$/, this.world.family === 6 ? " nodad" : "")).join("\n"),
    );
    if (attach !== "bridge") return;
    for (const i of pods.keys())
      this.run(`bridge fdb replace ${podMac(i)} dev ${this.podDevice(i)} master static`);
  }

  /** Copies what arrives at the node itself, then drops it. */
  #witness(): void {
    const { family, clusterCidr: cluster } = this.world;
    const ip = family === 4 ? "ip" : "ip6";
    const egress = `${ip} saddr ${cluster} ${ip} daddr != ${cluster}`;
    const protocols = `meta l4proto { tcp, udp, sctp, ${family === 4 ? "icmp" : "icmpv6"} }`;
    const rules = [
      `add table ${ip} witness`,
      `add chain ${ip} witness input { type filter hook input priority 1000 ; }`,
      `add rule ${ip} witness input ${protocols} dup to ${WITNESS[family]} device "witness0"`,
      `add rule ${ip} witness input ${protocols} drop`,
      // As CNI plugins do it: pods speak to the world with the node's address.
      `add table ${ip} pods`,
      `add chain ${ip} pods postrouting { type nat hook postrouting priority 110 ; }`,
      `add rule ${ip} pods postrouting oifname != lo ${egress} masquerade fully-random`,
    ];
    this.run("nft -f -", `${rules.join("\n")}\n`);
  }

  /** From here on no connection of before is known: those to come are in a zone of their own. */
  forgetConnections(): void {
    this.#zone = (this.#zone % 0xffff) + 1;
    const ip = this.world.family === 4 ? "ip" : "ip6";
    const rules = [
      `add table ${ip} zone`,
      `delete table ${ip} zone`,
      `add table ${ip} zone`,
      ...["prerouting", "output"].flatMap((hook) => [
        `add chain ${ip} zone ${hook} { type filter hook ${hook} priority -300 ; }`,
        // The witness's copies are of no connection.
        `add rule ${ip} zone ${hook} oifname != "witness0" ct zone set ${this.#zone}`,
      ]),
    ];
    this.run("nft -f -", `${rules.join("\n")}\n`);
    this.run("conntrack -F"); // none of them has to be walked over any more
  }

  /** Deletes the entries of this scenario's zone for which `words` has words of conntrack(8). */
  deleteConnections(words: (line: string) => string[] | undefined): void {
    const family = this.world.family === 4 ? "ipv4" : "ipv6";
    const where = `-f ${family} -p udp -w ${this.#zone}`;
    const lines = this.run(`conntrack -L ${where}`).split("\n");
    const stale = lines.flatMap((line) => words(line)?.join(" ") ?? []);
    const batch = stale.map((text) => `-D ${where} ${text}`);
    this.run("sh", ["conntrack -R - >/dev/null <<END || true", ...batch, "END", ""].join("\n"));
  }

  /** What the node sends, by way of the sender's process; what comes in, by TAP. */
  async shoot(shots: readonly Shot[]): Promise<Seen> {
    const seen = new Seen();
    for (let at = 0; at < shots.length; at += BATCH) {
      const batch = shots.slice(at, at + BATCH);
      const own = batch.filter(({ flow }) => flow.entry === "node");
      if (own.length > 0) await this.#order({ packets: own.map(packetOf), forget: false });
      for (const { flow, id, srcPort } of batch) {
        if (flow.entry === "node") continue;
        this.#send(flow.entry === "uplink" ? "uplink" : `pod ${flow.from}`, frameOf(flow, id, srcPort, LINK));
      }
      this.#collect(seen);
    }
    return seen;
  }

  /** What becomes of frames that stations send, each where `where` says. */
  inject(frames: readonly { readonly where: string; readonly frame: Uint8Array }[]): Seen {
    const seen = new Seen();
    for (const { where, frame } of frames) {
      this.#send(where, frame);
      this.#collect(seen);
    }
    return seen;
  }

  #send(where: string, frame: Uint8Array): void {
    const pod = this.world.pods.findIndex((address) => where === `pod ${address}`);
    setLink(frame, pod < 0 ? LINK : { ...LINK, srcMac: podMac(pod) });
    const sent = this.#frames.send(this.#taps.get(where) as number, IoKind.TAP_VNET, [frame]);
    if (sent !== 1) throw new Error(`${where}: frame not taken`);
  }

  #collect(seen: Seen): void {
    for (const [name, fd] of this.#taps) {
      let received = this.#frames.receive(fd, IoKind.TAP_VNET);
      for (; received.length > 0; received = this.#frames.receive(fd, IoKind.TAP_VNET)) {
        for (const { frame } of received) seen.add(name, frame);
      }
    }
  }

  /** Forgets which client had which endpoint. */
  async forgetAffinity(): Promise<void> {
    await this.#order({ packets: [], forget: true });
  }

  async #order(order: Order): Promise<void> {
    this.#sender?.send(order);
    await this.#answer();
  }

  #answer(): Promise<void> {
    return new Promise((resolve, reject) => {
      const sender = this.#sender;
      if (sender === undefined) throw new Error("the router was not started");
      const ended = (): void => reject(new Error("raw-sender ended"));
      sender.once("exit", ended);
      sender.once("message", () => {
        sender.off("exit", ended);
        resolve();
      });
    });
  }
}

function podMac(index: number): string {
  return `0a:58:00:00:01:0${index}`;
}

function packetOf({ flow, id, srcPort }: { flow: Flow; id: number; srcPort: number }): {
  to: string;
  hex: string;
} {
  const frame = frameOf(flow, id, srcPort, LINK);
  return { to: flow.to, hex: Buffer.from(frame.subarray(ETHERNET_BYTES)).toString("hex") };
}
