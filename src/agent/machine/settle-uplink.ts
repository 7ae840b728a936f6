/**
 * Which device is the node's uplink, and whose: settled once, before anything is opened. A device that has an address is
 * shared with the kernel; one that has none is the agent's alone. Where no device is named it is the one by which the
 * machine has its default route; whether that carries the node's InternalIP shows when the Node object is there.
 */
import { PodwireError } from "../../base/errors.ts";
import { formatIp } from "../../base/ip.ts";
import type { KernelAddress, KernelLink, KernelNetwork } from "../../base/kernel-network.ts";
import type { AgentConfig } from "../../config/agent.ts";

export interface SettledUplink {
  readonly config: AgentConfig;
  /** For the log: what was chosen. */
  readonly note: string;
}

/** `known`: the device that carried the node's address when an agent last looked. */
export function settleUplink(config: AgentConfig, network: KernelNetwork, known = ""): SettledUplink {
  const { uplink } = config;
  const name = uplink.interface === "" ? chosen(config, network, known) : uplink.interface;
  const its = addressesOf(network, name);
  const link = network.links.find((each) => each.name === name);
  if (link !== undefined && !hasFrames(link)) {
    const message = `uplink: ${name} carries no Ethernet frames (VPNs' devices do not): name a NIC as uplink.interface`;
    throw new PodwireError(message, { code: "UPLINK_NO_FRAMES" });
  }
  const mode = uplink.mode ?? modeOf(config, its.length > 0 || name === known);
  if (mode === "exclusive" && uplink.interface === "") {
    const message = `uplink: ${name} has no address of its own: name it as uplink.interface, or give it one`;
    throw new PodwireError(message, { code: "UPLINK_UNNAMED" });
  }
  const addresses = its.map(({ address }) => formatIp(address)).join(", ");
  const note =
    mode === "shared"
      ? `uplink ${name}, shared with the kernel, which keeps ${addresses || "its addresses, of which it has none yet"}`
      : `uplink ${name}, the agent's alone`;
  const isChosen = uplink.interface === "";
  return { config: { ...config, uplink: { ...uplink, interface: name, mode, isChosen } }, note };
}

/** Is it Ethernet what goes over it? WireGuard's devices, tun and lo have no MAC address, other networks longer ones. */
export function hasFrames({ mac }: KernelLink): boolean {
  return /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) && !/^[0:]+$/.test(mac);
}

/** What is configured for an uplink of the agent's own speaks for one. */
function modeOf({ uplink, fabricCidrs }: AgentConfig, hasAddress: boolean): "shared" | "exclusive" {
  const isOwn = uplink.driver === "pcap" || uplink.gateways.length > 0 || fabricCidrs.length > 0;
  return hasAddress && !isOwn ? "shared" : "exclusive";
}

function addressesOf({ links, addresses }: KernelNetwork, name: string): KernelAddress[] {
  const index = links.find((link) => link.name === name)?.index ?? -1;
  return addresses.filter(({ link, isGlobal }) => link === index && isGlobal);
}

function chosen(config: AgentConfig, network: KernelNetwork, known: string): string {
  const candidates = network.links.filter(
    (link) =>
      link.name !== config.host.interface && hasFrames(link) && addressesOf(network, link.name).length > 0,
  );
  const isThere = ({ name }: KernelLink): boolean => name === known;
  const link = candidates.find(isThere) ?? byDefaultRoute(network, candidates) ?? alone(candidates);
  if (link !== undefined) return link.name;
  const names = candidates.map(({ name }) => name).join(", ");
  const message =
    names === ""
      ? "uplink: no NIC of this machine has an address: name one as uplink.interface"
      : `uplink: there is no default route, and ${names} have addresses: name one as uplink.interface`;
  throw new PodwireError(message, { code: "UPLINK_UNKNOWN" });
}

function byDefaultRoute(network: KernelNetwork, candidates: readonly KernelLink[]): KernelLink | undefined {
  const defaults = network.routes
    .filter(({ to, link }) => to.prefixLen === 0 && candidates.some(({ index }) => index === link))
    .sort((a, b) => a.family - b.family || a.metric - b.metric);
  return candidates.find(({ index }) => index === defaults[0]?.link);
}

function alone(candidates: readonly KernelLink[]): KernelLink | undefined {
  return candidates.length === 1 ? candidates[0] : undefined;
}
