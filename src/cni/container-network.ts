/**
 * A container's end of its network: a TAP device in its namespace, with addresses and routes. Made by ip(8) of the
 * machine, inside the namespace; the agent opens the device afterwards. Names and addresses were checked before they come
 * here, and nothing of them is read by a shell.
 */
import { execFile } from "node:child_process";
import { mkdir, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { POD_GSO_MAX } from "../base/superframe-limits.ts";
import { CniCode, CniError } from "./cni-error.ts";
import type { ContainerAddress } from "./result.ts";

const NSFS_MAGIC = 0x6e736673; // linux/magic.h
const TIMEOUT_MS = 20_000;
/** How long a start waits for what the agent before it had begun. */
const ORPHANS_SEC = 30;
/** What an interface is called until it can be told by its MAC that it is ours. */
const DRAFT = "podwire-new";
const NOT_MADE = 9;

export interface InterfacePlan {
  readonly netns: string;
  readonly ifname: string;
  readonly mac: string;
  readonly mtu: number;
  readonly addresses: readonly ContainerAddress[];
  /** Files below /proc/sys and their values. */
  readonly sysctls: readonly (readonly [file: string, value: string])[];
}

/** What there is, as ip(8) tells. */
export interface InterfaceFacts {
  readonly mac: string;
  readonly mtu: number;
  readonly isUp: boolean;
  /** It is a TAP device. */
  readonly isTap: boolean;
  /** With prefix lengths. */
  readonly addresses: readonly string[];
  readonly routes: readonly { readonly dst: string; readonly gw: string | undefined }[];
}

/** $1: the interface, where it is to go. */
const REMOVE = `
ip link del dev ${DRAFT} 2>/dev/null
[ $# -eq 0 ] || exec ip link del dev "$1"
`;

/** What is done in a container's namespace. */
export interface ContainerNetwork {
  /** false: nothing is at the path, or something else. */
  isNamespace(netns: string): Promise<boolean>;
  /** Whether it is the machine's own. */
  isOwn(netns: string): Promise<boolean>;
  /** Leaves nothing behind when it fails; an interface that was there is left alone. */
  create(plan: InterfacePlan): Promise<void>;
  /** The interface, if it is the one with this MAC, and what is half made of it. No error where there is none. */
  remove(netns: string, ifname: string, mac: string): Promise<void>;
  /** undefined: there is no such interface. */
  read(netns: string, ifname: string): Promise<InterfaceFacts | undefined>;
}

/** $1: what makes the device, $2: what fills it, $3: its name, then file, value, … */
const CREATE = `
ip link del dev ${DRAFT} 2>/dev/null
printf %s "$1" | ip -batch - || { ip link del dev ${DRAFT} 2>/dev/null; exit ${NOT_MADE}; }
fill=$2; name=$3; shift 3
fail() { ip link del dev "$name" 2>/dev/null; exit 1; }
while [ $# -gt 1 ]; do printf %s "$2" > "$1" || fail; shift 2; done
printf %s "$fill" | ip -batch - || fail
`;

export class IpContainerNetwork implements ContainerNetwork {
  readonly #ownNetns: string;
  readonly #lock: string;

  /** ownNetns: of the node; "": the process's. lock: a file that programs hold which work in containers. */
  constructor(ownNetns: string, lock: string) {
    this.#lock = lock;
    this.#ownNetns = ownNetns === "" ? "/proc/self/ns/net" : ownNetns;
  }

  /** Programs of an agent that was killed go on; nothing is changed before they have ended. false: they have not. */
  async outlived(): Promise<boolean> {
    await mkdir(dirname(this.#lock), { recursive: true, mode: 0o700 }).catch(() => {}); // flock says what is wrong
    const { status } = await program(
      "flock",
      ["-x", "-w", `${ORPHANS_SEC}`, this.#lock, "true"],
      ORPHANS_SEC * 2000,
    );
    return status === 0;
  }

  async isNamespace(netns: string): Promise<boolean> {
    try {
      return (await statfs(netns)).type === NSFS_MAGIC;
    } catch {
      return false;
    }
  }

  async isOwn(netns: string): Promise<boolean> {
    const [one, other] = await Promise.all([stat(netns), stat(this.#ownNetns)]);
    return one.ino === other.ino && one.dev === other.dev;
  }

  async create(plan: InterfacePlan): Promise<void> {
    const { netns, ifname } = plan;
    const make = [
      `tuntap add dev ${DRAFT} mode tap vnet_hdr`,
      `link set ${DRAFT} address ${plan.mac} mtu ${plan.mtu} gso_max_size ${POD_GSO_MAX}`,
      `link set ${DRAFT} name ${ifname}`,
    ];
    const files = sysctlsOf(plan).flatMap(([file, value]) => [`/proc/sys/${file}`, value]);
    const { status, stderr } = await this.#inside(netns, [
      ...["sh", "-c", CREATE, "sh", batch(make), batch(fillLines(plan)), ifname, ...files],
    ]);
    if (status === 0) return;
    if (status === NOT_MADE && stderr.includes("File exists")) {
      const message = `${netns}: has an interface ${ifname} already: DEL it first`;
      throw new CniError(CniCode.ALREADY_THERE, message);
    }
    throw new CniError(
      CniCode.INTERFACE_FAILED,
      `${netns}: ${ifname} cannot be made: ${reason(stderr, status)}`,
    );
  }

  async remove(netns: string, ifname: string, mac: string): Promise<void> {
    const there = await this.read(netns, ifname).catch(async (error: Error) => {
      if (await this.isNamespace(netns)) throw error;
      return undefined; // it went meanwhile, and the interface with it
    });
    const isOurs = there?.isTap === true && there.mac === mac;
    const { status, stderr } = await this.#inside(netns, [
      ...["sh", "-c", REMOVE, "sh", ...(isOurs ? [ifname] : [])],
    ]);
    if (status === 0 || /Cannot find device/.test(stderr) || !(await this.isNamespace(netns))) return;
    const message = `${netns}: ${ifname} cannot be removed: ${reason(stderr, status)}`;
    throw new CniError(CniCode.INTERFACE_FAILED, message);
  }

  async read(netns: string, ifname: string): Promise<InterfaceFacts | undefined> {
    const show = `ip -j -d addr show dev "$1" || exit 3
      echo; ip -j -4 route show dev "$1"; echo; ip -j -6 route show dev "$1"`;
    const { status, stdout, stderr } = await this.#inside(netns, ["sh", "-c", show, "sh", ifname]);
    if (/does not exist/.test(stderr)) return undefined;
    if (status !== 0) {
      throw new CniError(
        CniCode.INTERFACE_FAILED,
        `${netns}: ${ifname} cannot be read: ${reason(stderr, status)}`,
      );
    }
    return factsOf(stdout);
  }

  #inside(netns: string, argv: readonly string[]): Promise<Ran> {
    return program("flock", ["-s", this.#lock, "nsenter", `--net=${netns}`, ...argv], TIMEOUT_MS);
  }
}

function batch(lines: readonly string[]): string {
  return `${lines.join("\n")}\n`;
}

function fillLines({ ifname, addresses }: InterfacePlan): string[] {
  return [
    "link set lo up",
    `link set ${ifname} up`,
    ...addresses.map(
      ({ address, family }) => `addr add ${address} dev ${ifname}${family === 6 ? " nodad" : ""}`,
    ),
    ...addresses.map(
      ({ gateway, family }) => `route add ${family === 4 ? "default" : "::/0"} via ${gateway} dev ${ifname}`,
    ),
  ];
}

/** Runtimes switch IPv6 off in a container; an interface with such an address has it, and no routes but its own. */
function sysctlsOf({ ifname, addresses, sysctls }: InterfacePlan): (readonly [string, string])[] {
  const conf = `net/ipv6/conf/${ifname}`;
  const hasV6 = addresses.some(({ family }) => family === 6);
  const v6 = [
    [`${conf}/disable_ipv6`, "0"],
    [`${conf}/accept_ra`, "0"],
  ] as const;
  return [...(hasV6 ? v6 : []), ...sysctls];
}

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function program(file: string, argv: readonly string[], timeout: number): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(file, argv, { timeout, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ status, stdout, stderr: stderr || (error?.message ?? "") });
    });
  });
}

function reason(stderr: string, status: number): string {
  const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("Command failed"));
  return lines[0] ?? `status ${status}`;
}

interface ShownLink {
  readonly address?: string;
  readonly mtu?: number;
  readonly flags?: readonly string[];
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info?: readonly { readonly local?: string; readonly prefixlen?: number }[];
}

function factsOf(stdout: string): InterfaceFacts {
  const [links, ...tables] = stdout.split("\n").filter((line) => line.trim().startsWith("["));
  // An `ip -j` without anything prints {} among others where there is an interface of another namespace.
  const [link = {}] = (JSON.parse(links) as ShownLink[]).filter(({ address }) => address !== undefined);
  const routes = tables.flatMap((text) => JSON.parse(text) as { dst?: string; gateway?: string }[]);
  return {
    mac: link.address ?? "",
    mtu: link.mtu ?? 0,
    isUp: link.flags?.includes("UP") ?? false,
    isTap: link.linkinfo?.info_kind === "tun",
    addresses: (link.addr_info ?? []).map(({ local = "", prefixlen = 0 }) => `${local}/${prefixlen}`),
    routes: routes.map(({ dst = "", gateway }) => ({ dst, gw: gateway })),
  };
}
