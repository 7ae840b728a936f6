/**
 * Who has which addresses of the node's pod ranges: one lease a container's interface. What is decided is decided at once
 * and in memory, so that calls which come together never get one address; whoever is answered knows it to be on disk.
 * A lease that is given back keeps its addresses until that is on disk as well.
 */

import { readFileSync } from "node:fs";
import { type Cidr, formatCidr, formatIp, type Ip, type IpFamily, parseIp } from "../base/ip.ts";
import { isMap } from "../base/is-map.ts";
import type { Bandwidth } from "../kube/bandwidth.ts";
import type { PodHostPort } from "../kube/host-ports.ts";
import { nextAddress, poolSize, unusable } from "./address-pool.ts";
import { CniCode, CniError } from "./cni-error.ts";
import { type FileSystem, LeaseFile } from "./lease-file.ts";

const FORMAT = "podwire leases";
const VERSION = 1;

export interface LeasePod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Network, container and interface are what names one. */
export interface LeaseName {
  readonly network: string;
  readonly containerId: string;
  readonly ifname: string;
}

export interface Lease extends LeaseName {
  readonly netns: string;
  /** What Kubernetes calls it; null: a container that is nobody's pod. */
  readonly pod: LeasePod | null;
  readonly ips: readonly string[];
  readonly mac: string;
  readonly hostPorts: readonly PodHostPort[];
  /** What the runtime asked for; left out: what the pod's annotations say. */
  readonly bandwidth?: Bandwidth;
  /** Its interface was made and is in the plane. */
  readonly isComplete: boolean;
}

export interface Wanted extends LeaseName {
  readonly netns: string;
  readonly pod: LeasePod | null;
  /** Addresses that it has to get; for families without one, the next. */
  readonly ips: readonly Ip[];
  readonly hostPorts: readonly PodHostPort[];
  readonly bandwidth?: Bandwidth | undefined;
  /** The MAC, once the addresses are known. */
  readonly mac: (ips: readonly Ip[]) => string;
}

interface Saved {
  readonly format: string;
  readonly version: number;
  /** By range: the address that was given last. */
  readonly last: Readonly<Record<string, string>>;
  readonly leases: readonly Lease[];
}

export class Leases {
  readonly #file: LeaseFile;
  readonly #leases = new Map<string, Lease>();
  /** Given back, but not on disk yet. */
  readonly #leaving = new Set<string>();
  readonly #last = new Map<string, string>();

  /** Throws where the file is there and cannot be used: to begin anew would give away what others have. */
  constructor(path: string, fs: FileSystem) {
    const saved = readLeases(path);
    for (const [range, address] of Object.entries(saved.last)) this.#last.set(range, address);
    for (const lease of saved.leases) this.#leases.set(nameOf(lease), lease);
    this.#file = new LeaseFile(path, fs, () => this.#text());
  }

  list(): Lease[] {
    return [...this.#leases.values()].filter((lease) => !this.#leaving.has(nameOf(lease)));
  }

  get(name: LeaseName): Lease | undefined {
    const key = nameOf(name);
    return this.#leaving.has(key) ? undefined : this.#leases.get(key);
  }

  /** Addresses that can still be given. `others`: in use without a lease. */
  free(range: Cidr, others: readonly Ip[]): number {
    const taken = new Set([...this.#addresses(), ...others.map(formatIp)]);
    const inRange = [...taken].filter((text) => unusable(range, parseIp(text) as Ip) === "");
    return poolSize(range) - inRange.length;
  }

  /** A lease of one address a family, on disk when this resolves. */
  async take(wanted: Wanted, ranges: readonly Cidr[], others: readonly Ip[]): Promise<Lease> {
    const key = nameOf(wanted);
    if (this.#leases.has(key)) {
      throw new CniError(
        CniCode.ALREADY_THERE,
        `${wanted.containerId} ${wanted.ifname}: has addresses already`,
      );
    }
    const taken = new Set([...this.#addresses(), ...others.map(formatIp)]);
    checkWanted(wanted.ips, ranges, taken);
    const ips = ranges.map((range) => this.#one(range, wanted.ips, taken));
    const mac = wanted.mac(ips);
    const twin = [...this.#leases.values()].find((lease) => lease.mac === mac);
    if (twin !== undefined) {
      throw new CniError(
        CniCode.ADDRESS_TAKEN,
        `mac ${mac}: container ${twin.containerId} has it: use another`,
      );
    }
    const { network, containerId, ifname, netns, pod, hostPorts, bandwidth } = wanted;
    const lease: Lease = {
      ...{ network, containerId, ifname, netns, pod, hostPorts, mac },
      ...{ ips: ips.map(formatIp), isComplete: false, ...(bandwidth && { bandwidth }) },
    };
    this.#leases.set(key, lease);
    await this.#saveOr(() => this.#leases.delete(key));
    return lease;
  }

  /** It is as it was asked for. */
  async complete(lease: Lease): Promise<Lease> {
    const done = { ...lease, isComplete: true };
    this.#leases.set(nameOf(lease), done);
    await this.#saveOr(() => this.#leases.set(nameOf(lease), lease));
    return done;
  }

  /** Gives its addresses back. One that is not there is no error. */
  async release(name: LeaseName): Promise<void> {
    const key = nameOf(name);
    if (!this.#leases.has(key)) return;
    this.#leaving.add(key);
    await this.#saveOr(() => this.#leaving.delete(key));
    this.#leaving.delete(key);
    this.#leases.delete(key);
  }

  async #saveOr(undo: () => void): Promise<void> {
    try {
      await this.#file.save();
    } catch (error) {
      undo();
      throw error;
    }
  }

  #one(range: Cidr, asked: readonly Ip[], taken: ReadonlySet<string>): Ip {
    const fixed = asked.find(({ family }) => family === range.family);
    if (fixed !== undefined) return fixed;
    const name = formatCidr(range);
    const last = parseIp(this.#last.get(name) ?? "") ?? undefined;
    const address = nextAddress(range, last, (each) => taken.has(formatIp(each)));
    if (address === undefined) {
      const full = `${name}: all ${poolSize(range)} addresses are taken`;
      throw new CniError(CniCode.NO_ADDRESS_LEFT, `${full}: remove pods, or give the node a larger range`);
    }
    this.#last.set(name, formatIp(address));
    return address;
  }

  #addresses(): string[] {
    return [...this.#leases.values()].flatMap(({ ips }) => ips);
  }

  #text(): string {
    const saved: Saved = {
      format: FORMAT,
      version: VERSION,
      last: Object.fromEntries(this.#last),
      leases: this.list(),
    };
    return `${JSON.stringify(saved, null, 1)}\n`;
  }
}

export function nameOf({ network, containerId, ifname }: LeaseName): string {
  return `${network} ${containerId} ${ifname}`;
}

function checkWanted(asked: readonly Ip[], ranges: readonly Cidr[], taken: ReadonlySet<string>): void {
  const families = new Set<IpFamily>();
  for (const address of asked) {
    const text = formatIp(address);
    const range = ranges.find(({ family }) => family === address.family);
    const why =
      range === undefined ? "is of a family that the node has no range of" : unusable(range, address);
    if (why !== "") throw new CniError(CniCode.INVALID_CONFIG, `ips: ${text} ${why}: ask for another`);
    if (families.has(address.family)) {
      throw new CniError(
        CniCode.INVALID_CONFIG,
        `ips: ${text}: a second one of its family: ask for one a family`,
      );
    }
    families.add(address.family);
    if (taken.has(text)) {
      throw new CniError(CniCode.ADDRESS_TAKEN, `ips: ${text} is taken: ask for another`);
    }
  }
}

function readLeases(path: string): Saved {
  const fail = (why: string): never => {
    const message = `${path}: ${why}: no address is given away until it is mended or, with no pods running, removed`;
    throw new CniError(CniCode.IO_FAILURE, message);
  };
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT") fail(message);
    return { format: FORMAT, version: VERSION, last: {}, leases: [] };
  }
  let saved: Partial<Saved> | null = null;
  try {
    saved = JSON.parse(text) as Partial<Saved> | null;
  } catch (error) {
    fail((error as Error).message);
  }
  if (saved?.format !== FORMAT) return fail("holds no leases of podwire");
  if (saved.version !== VERSION) return fail(`is of version ${saved.version}, this podwire reads ${VERSION}`);
  const { last = {}, leases = [] } = saved;
  if (!isMap(last) || !Array.isArray(leases)) return fail("holds no leases of podwire");
  const broken = leases.findIndex((each) => !isLease(each));
  if (broken >= 0) {
    const { containerId = broken } = (leases[broken] ?? {}) as Partial<Lease>;
    fail(`the lease of ${containerId} is not whole`);
  }
  return { format: FORMAT, version: VERSION, last, leases };
}

/** Whoever mended the file by hand may have left something out. */
function isLease(value: unknown): boolean {
  if (!isMap(value)) return false;
  const { ips, hostPorts, pod } = value;
  const areTexts = ["network", "containerId", "ifname", "netns", "mac"].every(
    (key) => typeof value[key] === "string" && value[key] !== "",
  );
  const areAddresses =
    Array.isArray(ips) &&
    ips.length > 0 &&
    ips.every((each) => typeof each === "string" && parseIp(each) !== null);
  return areTexts && areAddresses && Array.isArray(hostPorts) && (pod === null || isMap(pod));
}
