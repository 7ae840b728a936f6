/**
 * A container's end of its network: a TAP device in its namespace, with addresses and routes. Made by ip(8) of the
 * machine, inside the namespace; the agent opens the device afterwards. Names and addresses were checked before they come
 * here, and nothing of them is read by a shell.
 */
import { execFile } from "node:child_process";
import { stat, statfs } from "node:fs/promises";
import { POD_GSO_MAX } from "../base/superframe-limits.ts";
import { CniCode, CniError } from "./cni-error.ts";
import type { ContainerAddress } from "./result.ts";

const NSFS_MAGIC = 0x6e736673; // linux/magic.h
const TIMEOUT_MS = 20_000;
const EXISTS = 9;

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

/** What is done in a container's namespace. */
export interface ContainerNetwork {
  /** false: nothing is at the path, or something else. */
  isNamespace(netns: string): Promise<boolean>;
  /** Whether it is the machine's own. */
  isOwn(netns: string): Promise<boolean>;
  /** Leaves nothing behind when it fails; an interface that was there is left alone. */
  create(plan: InterfacePlan): Promise<void>;
  /** No error where there is none. */
  remove(netns: string, ifname: string): Promise<void>;
  /** undefined: there is no such interface. */
  read(netns: string, ifname: string): Promise<InterfaceFacts | undefined>;
}

/** $1: what makes the device, $2: what fills it, $3: its name, then file, value, … */
const CREATE = `
printf %s "$1" | ip -batch - || exit ${EXISTS}
fill=$2; name=$3; shift 3
fail() { ip link del dev "$name" 2>/dev/null; exit 1; }
while [ $# -gt 1 ]; do printf %s "$2" > "$1" || fail; shift 2; done
printf %s "$fill" | ip -batch - || fail
`;

export class IpContainerNetwork implements ContainerNetwork {
  readonly #ownNetns: string;

  /** ownNetns: of the node; "": the process's. */
  constructor(ownNetns: string) {
    this.#ownNetns = ownNetns === "" ? "/proc/self/ns/net" : ownNetns;
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
    const make = `tuntap add dev ${ifname} mode tap vnet_hdr\n`;
    const files = sysctlsOf(plan).flatMap(([file, value]) => [`/proc/sys/${file}`, value]);
    const { status, stderr } = await inside(netns, [
      ...["sh", "-c", CREATE, "sh", make, fillBatch(plan), ifname, ...files],
    ]);
    if (status === 0) return;
    if (status === EXISTS && /busy|exists|Invalid argument/i.test(stderr)) {
      const message = `${netns}: has an interface ${ifname} already: DEL it first`;
      throw new CniError(CniCode.ALREADY_THERE, message);
    }
    throw new CniError(
      CniCode.INTERFACE_FAILED,
      `${netns}: ${ifname} cannot be made: ${reason(stderr, status)}`,
    );
  }

  async remove(netns: string, ifname: string): Promise<void> {
    const { status, stderr } = await inside(netns, ["ip", "link", "del", "dev", ifname]);
    if (status === 0 || /Cannot find device/.test(stderr) || !(await this.isNamespace(netns))) return;
    const message = `${netns}: ${ifname} cannot be removed: ${reason(stderr, status)}`;
    throw new CniError(CniCode.INTERFACE_FAILED, message);
  }

  async read(netns: string, ifname: string): Promise<InterfaceFacts | undefined> {
    const show = `ip -j -d addr show dev "$1" || exit 3
      echo; ip -j -4 route show dev "$1"; echo; ip -j -6 route show dev "$1"`;
    const { status, stdout, stderr } = await inside(netns, ["sh", "-c", show, "sh", ifname]);
    if (/does not exist/.test(stderr)) return undefined;
    if (status !== 0) {
      throw new CniError(
        CniCode.INTERFACE_FAILED,
        `${netns}: ${ifname} cannot be read: ${reason(stderr, status)}`,
      );
    }
    return factsOf(stdout);
  }
}

function fillBatch({ ifname, mac, mtu, addresses }: InterfacePlan): string {
  const lines = [
    "link set lo up",
    `link set ${ifname} address ${mac} mtu ${mtu} gso_max_size ${POD_GSO_MAX} up`,
    ...addresses.map(
      ({ address, family }) => `addr add ${address} dev ${ifname}${family === 6 ? " nodad" : ""}`,
    ),
    ...addresses.map(
      ({ gateway, family }) => `route add ${family === 4 ? "default" : "::/0"} via ${gateway} dev ${ifname}`,
    ),
  ];
  return `${lines.join("\n")}\n`;
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

function inside(netns: string, argv: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MS, killSignal: "SIGKILL" as const };
    execFile("nsenter", [`--net=${netns}`, ...argv], options, (error, stdout, stderr) => {
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
