// `hostPort` of a node's pods → frontends of their own kind, as the portmap plug-in's rules have it (CNI-HOSTPORT-DNAT):
// at every LOCAL address, or at the one that hostIP names, whether the pod is ready or not. Each port leads to one
// endpoint. Pure.
import { type Ip, type IpFamily, isLoopback, parseIp, sameIp } from "../base/ip.ts";
import {
  Action,
  type ClassAction,
  FrontendKind,
  type FrontendSpec,
  HOST_PORT_ENDPOINT,
} from "../dataplane/spec/services.ts";
import { hostPortsOf, type PodHostPort } from "../kube/host-ports.ts";
import { keyOf } from "../kube/objects.ts";
import type { DesiredState, Pod } from "../watch/desired-state.ts";
import { hasEnded } from "./local-pods.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import { LOOPBACK, type PortSpec, PROTOCOLS } from "./service-port.ts";

const LOCAL_READY_SERVING = 7;
const POD = "pod ";
const ANY = 0;

/** What a pod's host ports are compiled by, beside the keys of Services. */
export function hostPortsKey(podKey: string): string {
  return POD + podKey;
}

/** The pod of such a key; undefined: it is a Service's. */
export function podOfKey(key: string): string | undefined {
  return key.startsWith(POD) ? key.slice(POD.length) : undefined;
}

/** Host ports of a pod that runs here, on a network of its own. */
export function servedHostPorts(state: DesiredState, podKey: string, nodeName: string): PodHostPort[] {
  const pod = state.pods.get(podKey);
  if (pod === undefined || pod.spec.nodeName !== nodeName || pod.spec.hostNetwork === true) return [];
  return hasEnded(pod) || (pod.status.podIPs ?? []).length === 0 ? [] : hostPortsOf(pod.spec);
}

/** True when some of them are served at 127.0.0.0/8 or an address of it. */
export function servesLoopback(ports: readonly PodHostPort[]): boolean {
  return ports.some(({ hostIP }) => {
    const address = parseIp(hostIP);
    return address === null || (address.family === 4 && (isUnspecified(address) || isLoopback(address)));
  });
}

/**
 * All host ports of a pod, each named "hostPort 8088/TCP of namespace/name", by "pod namespace/name/8088/TCP/hostIP/4".
 * By no number of its own: portmap ends UDP flows of a port that goes, even if another of the pod's leads to the same
 * container port.
 */
export function compileHostPorts(
  state: DesiredState,
  podKey: string,
  nodeName: string,
  settings: ProxySettings,
): Map<string, PortSpec> {
  const specs = new Map<string, PortSpec>();
  const ports = servedHostPorts(state, podKey, nodeName);
  const pod = state.pods.get(podKey) as Pod;
  for (const port of ports) {
    for (const { ip = "" } of pod.status.podIPs ?? []) {
      const address = parseIp(ip);
      const protocol = PROTOCOLS[port.protocol];
      if (address === null || protocol === undefined) continue;
      const { w0, w1, w2, w3, family } = address;
      const flags = LOCAL_READY_SERVING | HOST_PORT_ENDPOINT;
      const key = `${hostPortsKey(podKey)}/${port.hostPort}/${port.protocol}/${port.hostIP}/${family}`;
      if (specs.has(key)) continue; // asked for twice: the first rule matches
      specs.set(key, {
        name: `hostPort ${port.hostPort}/${port.protocol} of ${keyOf(pod)}`,
        protocol,
        affinitySec: 0,
        endpoints: [{ w0, w1, w2, w3, port: port.containerPort, flags }],
        sets: [[0]],
        frontends: frontends(port, family, settings),
      });
    }
  }
  return specs;
}

/** None where hostIP is of the other family, or no address of this node. IPv6's ::1 leads nowhere in Linux, either. */
function frontends(
  { hostIP, hostPort }: PodHostPort,
  family: IpFamily,
  settings: ProxySettings,
): FrontendSpec[] {
  const at = ({ w0, w1, w2, w3 }: Ip): FrontendSpec => ({
    kind: FrontendKind.HOST_PORT,
    w0,
    w1,
    w2,
    w3,
    family,
    port: hostPort,
    sourceRanges: null,
    byClass: [DNAT, DNAT, DNAT],
  });
  const any: Ip = { family, w0: ANY, w1: ANY, w2: ANY, w3: ANY };
  const address = hostIP === "" ? any : parseIp(hostIP);
  if (address === null || address.family !== family) return [];
  if (address === any || isUnspecified(address)) return family === 4 ? [at(any), at(LOOPBACK[4])] : [at(any)];
  if (isLoopback(address)) return family === 4 ? [at(address)] : [];
  return settings.localIps.some((own) => sameIp(own, address)) ? [at(address)] : [];
}

/** Whose source is rewritten is no matter of kube-proxy's classes: `choose-backend` sees to it. */
const DNAT: ClassAction = { action: Action.DNAT, set: 0, masquerade: false };

function isUnspecified({ family, w0, w1, w2, w3 }: Ip): boolean {
  return family === 4 ? w3 === 0 : (w0 | w1 | w2 | w3) === 0;
}
