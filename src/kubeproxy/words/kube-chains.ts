/**
 * The names that kube-proxy gives to the chains of a service port: people know them from iptables-save and nft list
 * ruleset, so traces and explanations speak of them. pkg/proxy/iptables/proxier.go: portProtoHash,
 * servicePortEndpointChainName; pkg/proxy/nftables/proxier.go: servicePortChainNameBase.
 */
import { createHash } from "node:crypto";

const HASH_CHARS = 16;
const NFT_HASH_CHARS = 8;
const CNI_CHAIN_LENGTH = 28;
const NFT_NAME_MAX = 240; // characters after the prefix
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; // RFC 4648

export type ServiceChainKind = "SVC" | "SVL" | "EXT" | "FW";

/** KUBE-SVC-… (SVL, EXT, FW) of "namespace/name:port" and a protocol. */
export function serviceChain(servicePort: string, protocol: string, kind: ServiceChainKind = "SVC"): string {
  return `KUBE-${kind}-${hash(servicePort + protocol.toLowerCase(), HASH_CHARS)}`;
}

/** KUBE-SEP-… of one endpoint ("10.244.2.2:8080") of it. */
export function endpointChain(servicePort: string, protocol: string, endpoint: string): string {
  return `KUBE-SEP-${hash(servicePort + protocol.toLowerCase() + endpoint, HASH_CHARS)}`;
}

/** CNI-DN-… of a pod's host ports, as the portmap plug-in names it; here a pod's key is its container id. */
export function hostPortChain(podKey: string): string {
  const digest = createHash("sha512").update(`cbr0${podKey}`).digest("hex");
  return `CNI-DN-${digest}`.slice(0, CNI_CHAIN_LENGTH);
}

/** The pod of "hostPort 8088/TCP of namespace/name"; undefined: it is a service port's name. */
export function hostPortOwner(name: string): string | undefined {
  return /^hostPort \S+ of (\S+)$/.exec(name)?.[1];
}

/** "ULMVA6XW-ns1/svc1/tcp/p80": what follows service-, local-, external- and firewall- in nftables mode. */
export function nftServiceName(servicePort: string, protocol: string): string {
  return nftName(nftText(servicePort, protocol));
}

/** "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80": what follows endpoint-. `host` is the bare address. */
export function nftEndpointName(servicePort: string, protocol: string, host: string, port: number): string {
  return nftName(`${nftText(servicePort, protocol)}__${host.replaceAll(":", ".")}/${port}`);
}

function nftText(servicePort: string, protocol: string): string {
  const [service, port = ""] = servicePort.split(":");
  return `${service}/${protocol.toLowerCase()}/${port}`;
}

function nftName(text: string): string {
  const name = `${hash(text, NFT_HASH_CHARS)}-${text}`;
  return name.length > NFT_NAME_MAX ? `${name.slice(0, NFT_NAME_MAX - 3)}...` : name;
}

function hash(text: string, length: number): string {
  const digest = createHash("sha256").update(text).digest();
  let chars = "";
  let bits = 0;
  let held = 0;
  for (const byte of digest) {
    held = (held << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) chars += BASE32[(held >>> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
    if (chars.length >= length) break;
  }
  return chars.slice(0, length);
}
