// Names that kube-proxy gives to the chains of a service port: a hash, because iptables allows 28 characters
// only, and in nftables mode the text itself behind it. People search for these names, so they are the same
// to the letter.
import { createHash } from "node:crypto";

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; // RFC 4648 §6
const BITS = 5;
const IPTABLES_HASH = 16; //  characters
const NFTABLES_HASH = 8;
const NFTABLES_NAME_MAX = 240; // of 256 that nftables allows, 16 are left for the prefix

export type IptablesChain = "SVC" | "SVL" | "EXT" | "FW";

/** What a service port is called by. `protocol` is lower case. */
export interface PortName {
  readonly namespace: string;
  readonly service: string;
  /** "" for the unnamed port. */
  readonly port: string;
  readonly protocol: string;
}

/** "namespace/name:port", or "namespace/name" for the unnamed port. */
export function portText({ namespace, service, port }: PortName): string {
  return port === "" ? `${namespace}/${service}` : `${namespace}/${service}:${port}`;
}

/** KUBE-SVC-…, KUBE-SVL-…, KUBE-EXT-…, KUBE-FW-…: the four share one hash. */
export function serviceChain(kind: IptablesChain, name: PortName): string {
  return `KUBE-${kind}-${hash(portText(name) + name.protocol, IPTABLES_HASH)}`;
}

/** KUBE-SEP-…; `endpoint` is "ip:port" or "[v6]:port". */
export function endpointChain(name: PortName, endpoint: string): string {
  return `KUBE-SEP-${hash(portText(name) + name.protocol + endpoint, IPTABLES_HASH)}`;
}

/** "ULMVA6XW-ns1/svc1/tcp/p80": what follows service-, local-, external- and firewall- in nftables mode. */
export function nftServiceName(name: PortName): string {
  return hashed(`${name.namespace}/${name.service}/${name.protocol}/${name.port}`);
}

/**
 * "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80": what follows endpoint- and affinity-. No colon may be in a
 * chain's name.
 */
export function nftEndpointName(name: PortName, ip: string, port: number): string {
  const service = `${name.namespace}/${name.service}/${name.protocol}/${name.port}`;
  return hashed(`${service}__${ip.replaceAll(":", ".")}/${port}`);
}

function hashed(text: string): string {
  const name = `${hash(text, NFTABLES_HASH)}-${text}`;
  return name.length > NFTABLES_NAME_MAX ? `${name.slice(0, NFTABLES_NAME_MAX - 3)}...` : name;
}

/** The first `length` characters of the SHA-256 in base32. */
function hash(text: string, length: number): string {
  const digest = createHash("sha256").update(text).digest();
  let name = "";
  let bits = 0;
  let held = 0;
  for (let i = 0; name.length < length; i++) {
    held = ((held << 8) | digest[i]) & 0xffff;
    for (bits += 8; bits >= BITS && name.length < length; bits -= BITS) {
      name += BASE32[(held >> (bits - BITS)) & 31];
    }
  }
  return name;
}
