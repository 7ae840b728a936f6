/**
 * The plug-in's object of a network's configuration, and what a runtime adds to it. Keys that nobody knows are ignored,
 * as the specification wants it; what is known elsewhere and not done here is refused by name and value.
 */
import { type Ip, parseIp } from "../base/ip.ts";
import { parseMac } from "../base/mac.ts";
import type { Bandwidth } from "../kube/bandwidth.ts";
import type { PodHostPort } from "../kube/host-ports.ts";
import {
  type Fields,
  integerAt,
  invalid,
  isMissing,
  listAt,
  lowerKeys,
  objectAt,
  textAt,
  textsAt,
  unsupported,
} from "./fields.ts";
import { readBandwidth } from "./requested-bandwidth.ts";

export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** An address to have, and the prefix length that was written with it. */
export interface WantedIp {
  readonly address: Ip;
  readonly prefixLen: number | undefined;
}

export interface NetworkConfig {
  readonly name: string;
  /** undefined: what fits the overlay. */
  readonly mtu: number | undefined;
  readonly dns: Dns;
  /** Files below /proc/sys and what is written into them, in the container. */
  readonly sysctls: readonly (readonly [file: string, value: string])[];
  readonly ips: readonly WantedIp[];
  readonly mac: string | undefined;
  readonly hostPorts: readonly PodHostPort[];
  /** undefined: nobody says. */
  readonly bandwidth: Bandwidth | undefined;
  /** Of the plug-in before, or what ADD answered. */
  readonly prevResult: Fields | undefined;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const MTU_MIN = 68; // RFC 791
const MTU_MIN_V6 = 1280; // RFC 8200
const MTU_MAX = 65_521; // of a TAP device
const PROTOCOLS = ["TCP", "UDP", "SCTP"];
const PORT_MAX = 65_535;
/** Of capabilities, those that something is done for. */
const CAPABILITIES = ["portMappings", "ips", "mac", "dns", "bandwidth"];
/** Keys of other plug-ins that change what a pod's network is. */
const NOT_HERE: Readonly<Record<string, string>> = {
  bridge: "pods of a node are bridged by the agent",
  vlan: "the agent's bridge has no VLANs",
  promiscMode: "the agent's bridge shows no pod what is for another",
  delegate: "podwire-cni delegates to nobody",
  master: "pods reach the world by the agent's uplink",
};

/** What ADD and CHECK go by. ifname: what sysctls name. */
export function readNetwork(
  config: Fields,
  args: ReadonlyMap<string, string>,
  ifname: string,
): NetworkConfig {
  for (const [key, why] of Object.entries(NOT_HERE)) {
    if (!isMissing(config[key]) && config[key] !== false && config[key] !== "")
      throw unsupported(key, config[key], why);
  }
  if (config.ipMasq === false)
    throw unsupported("ipMasq", false, "what leaves the cluster is masqueraded by the agent");
  const ipam = objectAt(config.ipam, "ipam");
  for (const [key, value] of Object.entries(ipam)) {
    throw unsupported(
      `ipam.${key}`,
      value,
      "the agent gives addresses of the Node's podCIDRs: leave ipam out",
    );
  }
  const runtime = objectAt(config.runtimeConfig, "runtimeConfig");
  for (const [key, value] of Object.entries(runtime)) {
    if (!CAPABILITIES.includes(key) && !isMissing(value))
      throw unsupported(`runtimeConfig.${key}`, value, "take it out of `capabilities`");
  }
  const own = objectAt(objectAt(config.args, "args").cni, "args.cni");
  return {
    name: networkName(config),
    mtu: integerAt(config.mtu, "mtu", MTU_MIN, MTU_MAX) || undefined,
    dns: readDns(config, runtime),
    sysctls: readSysctls(objectAt(config.sysctl, "sysctl"), ifname),
    ips: readIps(runtime, own, args),
    mac: readMac(runtime, own, args),
    hostPorts: listAt(runtime.portMappings, "runtimeConfig.portMappings").flatMap(readPortMapping),
    bandwidth: readBandwidth(config, runtime),
    prevResult: isMissing(config.prevResult) ? undefined : objectAt(config.prevResult, "prevResult"),
  };
}

export function networkName({ name }: Fields): string {
  const text = textAt(name, "name") ?? "";
  if (!NAME.test(text)) throw invalid("name", `"${text}" is no name of a network`);
  return text;
}

/** Why an interface with these addresses cannot have the MTU; "": it can. */
export function mtuProblem(mtu: number, most: number, ips: readonly Ip[]): string {
  if (mtu > most) return `${mtu}: at most ${most} bytes fit the way between nodes`;
  return mtu < MTU_MIN_V6 && ips.some(({ family }) => family === 6) ? `${mtu}: IPv6 needs ${MTU_MIN_V6}` : "";
}

/** Addresses as text, each with or without a prefix length. */
export function parseWantedIps(texts: readonly string[], key: string): WantedIp[] {
  return texts.map((text) => {
    const [, first = "", length] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text.trim()) ?? [];
    const address = parseIp(first);
    if (address === null) throw invalid(key, `"${text}" is no IP address`);
    return { address, prefixLen: length === undefined ? undefined : Number(length) };
  });
}

/** A MAC that an interface can have: of one station. */
export function checkMac(text: string, key: string): string {
  const mac = parseMac(text);
  if (mac === undefined) throw invalid(key, `"${text}" is no MAC address (e.g. 02:00:0a:f4:01:02)`);
  if (((mac.hi >> 8) & 1) !== 0) throw invalid(key, `"${text}" is a group's address`);
  if (mac.hi === 0 && mac.lo === 0) throw invalid(key, `"${text}" is nobody's`);
  return text.toLowerCase();
}

/** runtimeConfig before args before CNI_ARGS: CNI's conventions. */
function readIps(runtime: Fields, own: Fields, args: ReadonlyMap<string, string>): WantedIp[] {
  const lists: [string, string[]][] = [
    ["runtimeConfig.ips", textsAt(runtime.ips, "runtimeConfig.ips")],
    ["args.cni.ips", textsAt(own.ips, "args.cni.ips")],
    ["CNI_ARGS: IP", (args.get("IP") ?? "").split(",").filter((text) => text !== "")],
  ];
  const [key, texts] = lists.find(([, list]) => list.length > 0) ?? ["", []];
  return parseWantedIps(texts, key);
}

function readMac(runtime: Fields, own: Fields, args: ReadonlyMap<string, string>): string | undefined {
  const texts: [string, string | undefined][] = [
    ["runtimeConfig.mac", textAt(runtime.mac, "runtimeConfig.mac")],
    ["args.cni.mac", textAt(own.mac, "args.cni.mac")],
    ["CNI_ARGS: MAC", args.get("MAC")],
  ];
  const [key, text = ""] = texts.find(([, each]) => each !== undefined && each !== "") ?? [""];
  return text === "" ? undefined : checkMac(text, key);
}

/** The capability's names are not those of the configuration and of the result. */
function readDns(config: Fields, runtime: Fields): Dns {
  const own = objectAt(config.dns, "dns");
  const given = objectAt(runtime.dns, "runtimeConfig.dns");
  const pick = (name: string, key: string): string[] => {
    const list = textsAt(given[name], `runtimeConfig.dns.${name}`);
    return list.length > 0 ? list : textsAt(own[key], `dns.${key}`);
  };
  const nameservers = pick("servers", "nameservers");
  const search = pick("searches", "search");
  const options = pick("options", "options");
  const domain = textAt(own.domain, "dns.domain");
  return {
    ...(nameservers.length > 0 && { nameservers }),
    ...(domain !== undefined && domain !== "" && { domain }),
    ...(search.length > 0 && { search }),
    ...(options.length > 0 && { options }),
  };
}

/** Keys as sysctl(8) has them; IFNAME in one stands for the interface, as in the plug-in `tuning`. */
function readSysctls(sysctls: Fields, ifname: string): [string, string][] {
  return Object.entries(sysctls).map(([key, value]) => {
    const text = textAt(value, `sysctl.${key}`) ?? "";
    const path = (key.includes("/") ? key : key.replaceAll(".", "/")).replace(/\bIFNAME\b/, ifname);
    const parts = path.split("/");
    const isFine = parts.every((part) => /^[A-Za-z0-9_.@=+,-]+$/.test(part) && part !== ".." && part !== ".");
    if (!isFine || parts[0] !== "net") throw invalid(`sysctl.${key}`, "is none of a network (net.…)");
    if (/[\n\0]/.test(text)) throw invalid(`sysctl.${key}`, "has more than one line");
    return [path, text];
  });
}

function readPortMapping(value: unknown, index: number): PodHostPort[] {
  const at = `runtimeConfig.portMappings[${index}]`;
  const mapping = lowerKeys(objectAt(value, at)); // containerd 1.6 writes "HostPort"
  const hostPort = integerAt(mapping.hostport, `${at}.hostPort`, 0, PORT_MAX) ?? 0;
  if (hostPort === 0) return []; // a port that is told, and not asked for
  const containerPort = integerAt(mapping.containerport, `${at}.containerPort`, 1, PORT_MAX);
  if (containerPort === undefined) throw invalid(`${at}.containerPort`, "is missing");
  const protocol = (textAt(mapping.protocol, `${at}.protocol`) || "TCP").toUpperCase();
  if (!PROTOCOLS.includes(protocol)) {
    throw unsupported(`${at}.protocol`, mapping.protocol, `use one of ${PROTOCOLS.join(", ")}`);
  }
  const hostIP = textAt(mapping.hostip, `${at}.hostIP`) ?? "";
  if (hostIP !== "" && parseIp(hostIP) === null)
    throw invalid(`${at}.hostIP`, `"${hostIP}" is no IP address`);
  return [{ hostIP, protocol, hostPort, containerPort }];
}
