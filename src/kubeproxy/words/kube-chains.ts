/**
 * The names of a service port's chains (see names.ts), where it is known by its text, "namespace/name:port", as records
 * and explanations have it; and those of the portmap plug-in.
 */
import { createHash } from "node:crypto";
import * as names from "../names.ts";

const CNI_CHAIN_LENGTH = 28;

/** KUBE-SVC-… (SVL, EXT, FW) of "namespace/name:port" and a protocol. */
export function serviceChain(
  servicePort: string,
  protocol: string,
  kind: names.IptablesChain = "SVC",
): string {
  return names.serviceChain(kind, portName(servicePort, protocol));
}

/** KUBE-SEP-… of one endpoint ("10.244.2.2:8080") of it. */
export function endpointChain(servicePort: string, protocol: string, endpoint: string): string {
  return names.endpointChain(portName(servicePort, protocol), endpoint);
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

/** What follows service-, local-, external- and firewall- in nftables mode. */
export function nftServiceName(servicePort: string, protocol: string): string {
  return names.nftServiceName(portName(servicePort, protocol));
}

/** What follows endpoint-. `host` is the bare address. */
export function nftEndpointName(servicePort: string, protocol: string, host: string, port: number): string {
  return names.nftEndpointName(portName(servicePort, protocol), host, port);
}

function portName(servicePort: string, protocol: string): names.PortName {
  const [, namespace = "", service = "", port = ""] = /^([^/]*)\/([^:]*):?(.*)$/.exec(servicePort) ?? [];
  return { namespace, service, port, protocol: protocol.toLowerCase() };
}
