// Addresses and ranges of addresses: ip() and cidr(). Neither zones nor IPv4 written as IPv6 are taken.
import {
  type Cidr,
  contains,
  familyOf,
  formatIp,
  type Ip,
  isLoopback,
  network,
  parseIp,
  sameIp,
} from "../../../../base/ip.ts";
import type { Run } from "../run.ts";
import { Fault, type Own } from "../value.ts";

class Address implements Own {
  readonly celKind = "ip";
  readonly ip: Ip;
  constructor(ip: Ip) {
    this.ip = ip;
  }
  isEqual(other: Own): boolean {
    return other instanceof Address && sameIp(this.ip, other.ip);
  }
}

class Prefix implements Own {
  readonly celKind = "cidr";
  readonly ip: Ip;
  readonly length: number;
  constructor(ip: Ip, length: number) {
    this.ip = ip;
    this.length = length;
  }
  get range(): Cidr {
    return network(this.ip, this.length);
  }
  isEqual(other: Own): boolean {
    return other instanceof Prefix && sameIp(this.ip, other.ip) && this.length === other.length;
  }
}

const MAPPED = /^::ffff:/i;

function address(text: string): Address {
  const ip = text.includes("/") ? null : parseIp(text);
  const quoted = JSON.stringify(text);
  if (MAPPED.test(text)) throw new Fault(`IPv4-mapped IPv6 address ${quoted} is not allowed`);
  if (ip === null && text.includes("%"))
    throw new Fault(`IP address ${quoted} with zone value is not allowed`);
  if (ip === null) {
    const why = `ParseAddr(${quoted}): unable to parse IP`;
    throw new Fault(`IP Address ${quoted} parse error during conversion from string: ${why}`);
  }
  return new Address(ip);
}

function prefix(text: string): Prefix {
  const quoted = JSON.stringify(text);
  const what = "network address parse error during conversion from string";
  const [, host, bits] = /^([^/%]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const ip = host === undefined ? null : parseIp(host);
  if (MAPPED.test(text))
    throw new Fault(`${what}: ${what}: IPv4-mapped IPv6 address ${quoted} is not allowed`);
  if (ip === null) throw new Fault(`${what}: ${what}: netip.ParsePrefix(${quoted}): no '/'`);
  const most = familyOf(ip) === 4 ? 32 : 128;
  if (Number(bits) > most)
    throw new Fault(`${what}: ${what}: netip.ParsePrefix(${quoted}): prefix length out of range`);
  return new Prefix(ip, Number(bits));
}

const isFine = (read: (text: string) => unknown) => (text: string) => {
  try {
    read(text);
    return true;
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
};

const within =
  (...texts: readonly string[]) =>
  ({ ip }: Address): boolean =>
    texts.some((text) => {
      const { range } = prefix(text);
      return familyOf(range) === familyOf(ip) && contains(range, ip);
    });

const isLinkLocal = within("169.254.0.0/16", "fe80::/10");
const isMulticast = within("224.0.0.0/4", "ff00::/8");
const isNowhere = within("0.0.0.0/32", "::/128", "255.255.255.255/32");

const holds = (range: Prefix, { ip }: Address): boolean =>
  familyOf(range.ip) === familyOf(ip) && contains(range.range, ip);
const holdsAll = (range: Prefix, other: Prefix): boolean =>
  range.length <= other.length && holds(range, new Address(other.ip));

const textOf = ({ ip, length }: Prefix): string => `${formatIp(ip)}/${length}`;

export const NETWORK: Readonly<Record<string, Run>> = {
  "ip(string): ip": address,
  "isIP(string): bool": isFine(address),
  "'ip.isCanonical'(string): bool": (text: string) => formatIp(address(text).ip) === text,
  "string(ip): string": ({ ip }: Address) => formatIp(ip),
  "ip.family(): int": ({ ip }: Address) => BigInt(familyOf(ip)),
  "ip.isUnspecified(): bool": within("0.0.0.0/32", "::/128"),
  "ip.isLoopback(): bool": ({ ip }: Address) => isLoopback(ip),
  "ip.isLinkLocalMulticast(): bool": within("224.0.0.0/24", "ff02::/16"),
  "ip.isLinkLocalUnicast(): bool": isLinkLocal,
  "ip.isGlobalUnicast(): bool": (one: Address) =>
    !isNowhere(one) && !isLoopback(one.ip) && !isMulticast(one) && !isLinkLocal(one),
  "cidr(string): cidr": prefix,
  "isCIDR(string): bool": isFine(prefix),
  "string(cidr): string": textOf,
  "cidr.containsIP(string): bool": (range: Prefix, text: string) => holds(range, address(text)),
  "cidr.containsIP(ip): bool": holds,
  "cidr.containsCIDR(string): bool": (range: Prefix, text: string) => holdsAll(range, prefix(text)),
  "cidr.containsCIDR(cidr): bool": holdsAll,
  "cidr.ip(): ip": ({ ip }: Prefix) => new Address(ip),
  "cidr.prefixLength(): int": ({ length }: Prefix) => BigInt(length),
  "cidr.masked(): cidr": ({ ip, length }: Prefix) => new Prefix(network(ip, length), length),
};
