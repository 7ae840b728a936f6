/**
 * What host0 has beside an uplink of the agent's own, where somebody else made it. A device that is set down loses its
 * routes, and its addresses of IPv6; once it is up again they are put back as they were. What is taken away while it is
 * up stays away. Pure: the kernel's words in, lines for ip(8) out.
 */
import { formatCidr, formatIp, type Ip, type IpFamily } from "../../base/ip.ts";
import {
  type KernelAddress,
  type KernelNetwork,
  type KernelRoute,
  KernelRouteType,
} from "../../base/kernel-network.ts";

interface Had {
  readonly index: number;
  readonly addresses: readonly KernelAddress[];
  readonly routes: readonly KernelRoute[];
}

export class KeptHost {
  readonly #name: string;
  #had: Had | undefined;
  #hasLost = false;
  /** How often it was seen to be down. */
  downs = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** `down`: links that were down until now, or when it was read: what they have then is not what they had. */
  saw(network: KernelNetwork, down: readonly number[]): void {
    const link = network.links.find(({ name }) => name === this.#name);
    if (link?.index !== this.#had?.index) {
      this.#had = undefined; // it is another device
      this.#hasLost = false;
    }
    if (link === undefined) return;
    const isDown = !link.isUp || down.includes(link.index);
    if (isDown) this.downs++;
    this.#hasLost ||= isDown && this.#had !== undefined;
    if (!this.#hasLost && link.isUp) this.#had = hadBy(link.index, network);
  }

  /** It is up again without what it had. */
  isTorn({ links }: KernelNetwork): boolean {
    return this.#hasLost && links.find(({ name }) => name === this.#name)?.isUp === true;
  }

  /** First: routes have addresses as their sources, and the kernel makes those to networks of addresses itself. */
  addressLines(network: KernelNetwork): string[] {
    const { index = -1, addresses = [] } = this.#had ?? {};
    const textOf = ({ address, prefixLen }: KernelAddress): string => `${formatIp(address)}/${prefixLen}`;
    const there = new Set(hadBy(index, network).addresses.map(textOf));
    return addresses
      .filter((each) => !there.has(textOf(each)))
      .map((each) => {
        const nodad = each.address.family === 6 ? " nodad" : ""; // nobody but the agent is at the other end
        return `addr replace ${textOf(each)} dev ${this.#name}${nodad}`;
      });
  }

  routeLines(network: KernelNetwork): string[] {
    const { index = -1, routes = [] } = this.#had ?? {};
    const keyOf = ({ to, metric }: KernelRoute): string => `${formatCidr(to)} ${metric}`;
    const there = new Set(hadBy(index, network).routes.map(keyOf));
    return routes.filter((each) => !there.has(keyOf(each))).map((each) => this.#routeLine(each));
  }

  #routeLine({ family, to, gateway, source, metric, mtu }: KernelRoute): string {
    const onlink = family === 4 ? " onlink" : "";
    const link = family === 4 ? " scope link" : "";
    return [
      `route replace ${formatCidr(to)}`,
      gateway === undefined ? "" : ` via ${viaOf(gateway, family)}`,
      ` dev ${this.#name}`,
      gateway === undefined ? link : onlink,
      source === undefined ? "" : ` src ${formatIp(source)}`,
      metric === 0 ? "" : ` metric ${metric}`,
      mtu === 0 ? "" : ` mtu ${mtu}`,
    ].join("");
  }

  /** It has again what it had, unless it was down since: `downs` from before that was put back. */
  mended(downs: number): void {
    if (downs === this.downs) this.#hasLost = false;
  }
}

function viaOf(gateway: Ip, family: IpFamily): string {
  return gateway.family === family
    ? formatIp(gateway)
    : `inet${gateway.family === 6 ? "6" : ""} ${formatIp(gateway)}`;
}

function hadBy(index: number, { addresses, routes }: KernelNetwork): Had {
  return {
    index,
    addresses: addresses.filter(({ link, isGlobal }) => link === index && isGlobal),
    routes: routes.filter(
      ({ link, type, to }) => link === index && type === KernelRouteType.UNICAST && !isLinkLocal(to),
    ),
  };
}

/** Of the kernel's own making. */
function isLinkLocal({ family, w0 }: KernelRoute["to"]): boolean {
  return family === 6 && w0 >>> 22 === 0x3fa;
}
