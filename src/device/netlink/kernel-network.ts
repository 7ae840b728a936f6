// The kernel's devices, addresses, routes and neighbours by rtnetlink, read as a whole, and events that tell when it is
// time to read them again.
import type { Cidr, Ip, IpFamily } from "../../base/ip.ts";
import { V4_MAPPED } from "../../base/ip.ts";
import type {
  KernelAddress,
  KernelLink,
  KernelNeighbor,
  KernelNetwork,
  KernelRoute,
  KernelRule,
} from "../../base/kernel-network.ts";
import type { Native } from "../../native/binding.ts";
import { type Attributes, attributesOf, Flag, type Message, textOf, Writer, wordOf } from "./message.ts";
import { Netlink } from "./netlink.ts";

const NETLINK_ROUTE = 0;
/** RTMGRP_*: links, neighbours, addresses, routes and rules of both families. */
const GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x100 | 0x400 | 0x80 | 0x40000;
const GET_LINK = 18;
const GET_ADDRESS = 22;
const GET_ROUTE = 26;
const GET_NEIGHBOR = 30;
const GET_RULE = 34;
const NEW_LINK = 16;
const NEIGHBOR_EVENTS: readonly number[] = [28, 29];
const RULE_EVENTS: readonly number[] = [32, 33];
const AF_INET = 2;
const AF_INET6 = 10;
const HEADER = { link: 16, address: 8, route: 12, neighbor: 12, rule: 12 } as const;
const IFF_UP = 1;
const SCOPE_LINK = 253;
const MAIN_TABLE = 254;
const CLONED = 0x200; // of a route: found by the kernel itself
const UNICAST = 1;
const MULTICAST_FROM = 224; // first byte
const LinkAttribute = { MAC: 1, NAME: 3, MTU: 4 } as const;
/** IFA_F_*: the kernel is looking for others that have the address (and takes it all the same). */
const OPTIMISTIC = 0x4;
const TENTATIVE = 0x40;
const AddressAttribute = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const;
const RouteAttribute = {
  TO: 1,
  LINK: 4,
  GATEWAY: 5,
  METRIC: 6,
  SOURCE: 7,
  METRICS: 8,
  MULTIPATH: 9,
  TABLE: 15,
  VIA: 18,
} as const;
const RuleAttribute = { FROM: 3, PRIORITY: 6, TABLE: 15 } as const;
const METRIC_MTU = 2;
const NEXT_HOP_BYTES = 8;
const NeighborAttribute = { ADDRESS: 1, MAC: 2 } as const;
/** NUD_*: there is a MAC address that may be used; nobody is to ask for it. */
const USABLE = 0x2 | 0x4 | 0x8 | 0x10 | 0x40 | 0x80;
const STATIC = 0x40 | 0x80;

export class KernelReader {
  readonly #socket: Netlink;
  readonly #events: Netlink;

  constructor(native: Native, netns: string) {
    this.#events = new Netlink(native, netns, NETLINK_ROUTE, GROUPS);
    this.#socket = new Netlink(native, netns, NETLINK_ROUTE);
  }

  read(): KernelNetwork {
    return {
      links: this.#dump(GET_LINK, HEADER.link, 0).flatMap(linkOf),
      addresses: this.addresses(),
      routes: this.routes(MAIN_TABLE),
    };
  }

  addresses(): KernelAddress[] {
    return this.#dump(GET_ADDRESS, HEADER.address, 0).flatMap(addressOf);
  }

  routes(table: number): KernelRoute[] {
    return this.#dump(GET_ROUTE, HEADER.route, 0).flatMap((message) => routesOf(message, table));
  }

  rules(): KernelRule[] {
    return this.#dump(GET_RULE, HEADER.rule, 0).flatMap(ruleOf);
  }

  neighbors(): KernelNeighbor[] {
    return this.#dump(GET_NEIGHBOR, HEADER.neighbor, 0).flatMap(neighborOf);
  }

  /** Since the last look. `down`: links that were down, be they up by now; told before what they lose by it is gone. */
  changes(): { network: boolean; neighbors: boolean; rules: boolean; down: readonly number[] } {
    const events = this.#events.events();
    if (events === undefined) return { network: true, neighbors: true, rules: true, down: [] };
    const isNeighbor = ({ type }: Message): boolean => NEIGHBOR_EVENTS.includes(type);
    const isRule = ({ type }: Message): boolean => RULE_EVENTS.includes(type);
    return {
      network: events.some((event) => !isNeighbor(event) && !isRule(event)),
      neighbors: events.some(isNeighbor),
      rules: events.some(isRule),
      down: events
        .filter(({ type }) => type === NEW_LINK)
        .flatMap(linkOf)
        .filter(({ isUp }) => !isUp)
        .map(({ index }) => index),
    };
  }

  #dump(type: number, headerBytes: number, family: number): Message[] {
    const header = new Array<number>(headerBytes).fill(0);
    header[0] = family;
    const ask = (sequence: number): Uint8Array =>
      new Writer().message(type, Flag.REQUEST | Flag.DUMP, sequence, header).bytes;
    return this.#socket.dump(ask, "reading the machine's network");
  }

  close(): void {
    this.#socket.close();
    this.#events.close();
  }
}

function familyOf(byte: number): IpFamily | undefined {
  if (byte === AF_INET) return 4;
  return byte === AF_INET6 ? 6 : undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function ipOf(bytes: Uint8Array | undefined, family: IpFamily): Ip | undefined {
  if (bytes === undefined || bytes.length < (family === 4 ? 4 : 16)) return undefined;
  const view = viewOf(bytes);
  if (family === 4) return { family, w0: 0, w1: 0, w2: V4_MAPPED, w3: view.getInt32(0) };
  const [w0, w1, w2, w3] = [0, 4, 8, 12].map((at) => view.getInt32(at));
  return { family, w0, w1, w2, w3 };
}

function linkOf({ body }: Message): KernelLink[] {
  const view = viewOf(body);
  const found = attributesOf(body, HEADER.link);
  return [
    {
      index: view.getInt32(4, true),
      name: textOf(found.get(LinkAttribute.NAME)),
      mtu: wordOf(found.get(LinkAttribute.MTU)) ?? 0,
      isUp: (view.getUint32(8, true) & IFF_UP) !== 0,
      mac: Buffer.from(found.get(LinkAttribute.MAC) ?? [])
        .toString("hex")
        .replace(/..(?!$)/g, "$&:"),
    },
  ];
}

function addressOf({ body }: Message): KernelAddress[] {
  const family = familyOf(body[0]);
  if (family === undefined) return [];
  const found = attributesOf(body, HEADER.address);
  const address = ipOf(found.get(AddressAttribute.LOCAL) ?? found.get(AddressAttribute.ADDRESS), family);
  if (address === undefined) return [];
  const link = viewOf(body).getInt32(4, true);
  const flags = wordOf(found.get(AddressAttribute.FLAGS)) ?? body[2];
  const isUsable = (flags & (TENTATIVE | OPTIMISTIC)) !== TENTATIVE;
  return [{ link, address, prefixLen: body[1], isGlobal: body[3] < SCOPE_LINK, isUsable }];
}

function ruleOf({ body }: Message): KernelRule[] {
  const family = familyOf(body[0]);
  if (family === undefined) return [];
  const found = attributesOf(body, HEADER.rule);
  const table = wordOf(found.get(RuleAttribute.TABLE)) ?? body[4];
  const priority = wordOf(found.get(RuleAttribute.PRIORITY)) ?? 0;
  return [{ family, table, priority, from: textOf(found.get(RuleAttribute.FROM)) }];
}

function routesOf({ body }: Message, wanted: number): KernelRoute[] {
  const family = familyOf(body[0]);
  const found = attributesOf(body, HEADER.route);
  const table = wordOf(found.get(RouteAttribute.TABLE)) ?? body[4];
  if (family === undefined || table !== wanted) return [];
  if ((viewOf(body).getUint32(8, true) & CLONED) !== 0) return [];
  const to = rangeOf(found.get(RouteAttribute.TO), body[1], family);
  if (family === 6 && to.w0 >>> 24 === 0xff) return [];
  if (family === 4 && to.prefixLen > 0 && to.w3 >>> 24 >= MULTICAST_FROM) return [];
  const metrics = attributesOf(found.get(RouteAttribute.METRICS) ?? new Uint8Array());
  const shared = {
    family,
    to,
    type: body[7],
    source: ipOf(found.get(RouteAttribute.SOURCE), family),
    metric: wordOf(found.get(RouteAttribute.METRIC)) ?? 0,
    mtu: wordOf(metrics.get(METRIC_MTU)) ?? 0,
  };
  const hops = found.get(RouteAttribute.MULTIPATH);
  if (hops !== undefined) return hopsOf(hops, family).map((hop) => ({ ...shared, ...hop }));
  const link = body[7] === UNICAST ? (wordOf(found.get(RouteAttribute.LINK)) ?? 0) : 0;
  return [{ ...shared, link, gateway: gatewayOf(found, family) }];
}

function rangeOf(bytes: Uint8Array | undefined, prefixLen: number, family: IpFamily): Cidr {
  const none = { family, w0: 0, w1: 0, w2: family === 4 ? V4_MAPPED : 0, w3: 0 };
  return { ...(ipOf(bytes, family) ?? none), prefixLen };
}

/** RTA_VIA of the other family (`via inet6`, RFC 8950): its family (2, host order), its address. */
function gatewayOf(found: Attributes, family: IpFamily): Ip | undefined {
  const via = found.get(RouteAttribute.VIA);
  if (via === undefined || via.length < 2) return ipOf(found.get(RouteAttribute.GATEWAY), family);
  const its = familyOf(viewOf(via).getUint16(0, true));
  return its === undefined ? undefined : ipOf(via.subarray(2), its);
}

/** struct rtnexthop: length (2), flags (1), weight (1), link (4), attributes. */
function hopsOf(bytes: Uint8Array, family: IpFamily): { link: number; gateway: Ip | undefined }[] {
  const view = viewOf(bytes);
  const hops: { link: number; gateway: Ip | undefined }[] = [];
  for (let at = 0; at + NEXT_HOP_BYTES <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < NEXT_HOP_BYTES) break;
    const found = attributesOf(bytes.subarray(at + NEXT_HOP_BYTES, at + length));
    hops.push({ link: view.getInt32(at + 4, true), gateway: gatewayOf(found, family) });
    at += (length + 3) & ~3;
  }
  return hops;
}

function neighborOf({ body }: Message): KernelNeighbor[] {
  const family = familyOf(body[0]);
  if (family === undefined) return [];
  const view = viewOf(body);
  const state = view.getUint16(8, true);
  const found = attributesOf(body, HEADER.neighbor);
  const mac = found.get(NeighborAttribute.MAC);
  const address = ipOf(found.get(NeighborAttribute.ADDRESS), family);
  if (address === undefined || mac?.length !== 6 || (state & USABLE) === 0) return [];
  const link = viewOf(mac);
  return [
    {
      link: view.getInt32(4, true),
      address,
      macHi: link.getUint16(0),
      macLo: link.getInt32(2),
      isStatic: (state & STATIC) !== 0,
    },
  ];
}
