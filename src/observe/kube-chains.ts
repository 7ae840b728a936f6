/**
 * The names that kube-proxy's iptables mode gives to the chains of a service port: people know them from
 * iptables-save, so traces speak of them. pkg/proxy/iptables/proxier.go: portProtoHash,
 * servicePortEndpointChainName.
 */
import { createHash } from "node:crypto";

const HASH_CHARS = 16;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; // RFC 4648

/** KUBE-SVC-… of "namespace/name:port" and a protocol. */
export function serviceChain(servicePort: string, protocol: string): string {
  return `KUBE-SVC-${hash(servicePort + protocol.toLowerCase())}`;
}

/** KUBE-SEP-… of one endpoint ("10.244.2.2:8080") of it. */
export function endpointChain(servicePort: string, protocol: string, endpoint: string): string {
  return `KUBE-SEP-${hash(servicePort + protocol.toLowerCase() + endpoint)}`;
}

function hash(text: string): string {
  const digest = createHash("sha256").update(text).digest();
  let chars = "";
  let bits = 0;
  let held = 0;
  for (const byte of digest) {
    held = (held << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) chars += BASE32[(held >>> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
    if (chars.length >= HASH_CHARS) break;
  }
  return chars.slice(0, HASH_CHARS);
}
