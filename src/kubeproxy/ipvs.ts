// The virtual servers of kube-proxy's ipvs mode, for one family, as `ipvsadm -S -n` prints them: -A adds a
// virtual server, -a a real server behind it, -m masquerading (the only way kube-proxy uses IPVS), -p
// persistence in seconds.
//
// A Service whose policy is Local but that has no endpoint here falls back to all endpoints: IPVS has no way
// to drop. The exception is internalTrafficPolicy Local without external addresses: no real server, hence
// ICMP unreachable. A weight is 1, as kube-proxy has it (0 only while a removed endpoint drains, which objects do not
// tell), or what podwire's own annotations say.
import { formatIp, isLoopback } from "../base/ip.ts";
import type { EndpointView } from "./endpoint-view.ts";
import { type ProxyView, proxyView, type RulesInput } from "./proxy-view.ts";
import type { ServicePortView } from "./service-view.ts";

const PROTOCOL_OPTION: Readonly<Record<string, string>> = { tcp: "-t", udp: "-u", sctp: "--sctp-service" };

export function ipvsRules(input: RulesInput): string {
  const view = proxyView(input);
  const servers = new Map<string, string[]>();
  for (const port of view.ports) {
    for (const { address, number, local } of frontends(view, port)) {
      const host = view.family === 6 ? `[${address}]` : address;
      const at = `${PROTOCOL_OPTION[port.protocol]} ${host}:${number}`;
      // Of two Services that claim an address the first one has it.
      if (!servers.has(at)) servers.set(at, virtualServer(view, port, at, local));
    }
  }
  const lines = [...servers.values()].flat();
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

interface Frontend {
  readonly address: string;
  readonly number: number;
  /** Traffic policy Local. */
  readonly local: boolean;
}

function frontends(view: ProxyView, port: ServicePortView): Frontend[] {
  const { clusterIp, externalIps, loadBalancerIps, internalLocal, externalLocal, nodePort } = port;
  const list: Frontend[] = [{ address: clusterIp, number: port.port, local: internalLocal }];
  for (const address of [...externalIps, ...loadBalancerIps]) {
    list.push({ address, number: port.port, local: externalLocal });
  }
  if (nodePort === 0) return list;
  const served = view.nodePortIps === "all" ? view.localIps : view.nodePortIps;
  for (const address of served) {
    if (isLoopback(address)) continue; // IPVS does not translate what the node sends itself there
    list.push({ address: formatIp(address), number: nodePort, local: externalLocal });
  }
  return list;
}

function virtualServer(view: ProxyView, port: ServicePortView, at: string, local: boolean): string[] {
  const { scheduler } = view.config.ipvs;
  const persistence = port.affinitySec > 0 ? ` -p ${port.affinitySec}` : "";
  const flags = scheduler === "mh" ? " -b mh-port" : ""; // kube-proxy hashes source ports too
  const reals = realServers(port, local).map(
    (endpoint) => `-a ${at} -r ${endpoint.text} -m -w ${endpoint.weight}`,
  );
  return [`-A ${at} -s ${scheduler}${persistence}${flags}`, ...reals];
}

function realServers({ endpoints }: ServicePortView, local: boolean): readonly EndpointView[] {
  return local && endpoints.local.length > 0 ? endpoints.local : endpoints.cluster;
}
