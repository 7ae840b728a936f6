// May a container have the host ports that it asks for? One that another has is refused, as is one that leads nowhere.
import { isLoopback, parseIp, sameIp } from "../base/ip.ts";
import { isInTheWay, type PodHostPort } from "../kube/host-ports.ts";
import { podKey } from "./attached-pods.ts";
import { CniCode, CniError } from "./cni-error.ts";
import { invalid } from "./fields.ts";
import type { CniHost, CniNode } from "./host.ts";
import type { Lease } from "./leases.ts";

export interface HostPortUse {
  readonly node: CniNode;
  readonly leases: readonly Lease[];
  readonly host: Pick<CniHost, "hostPorts">;
  /** Who asks. */
  readonly own: string;
}

export function checkHostPorts(wanted: readonly PodHostPort[], use: HostPortUse): void {
  if (wanted.length === 0) return;
  for (const port of wanted) checkHostIp(port, use.node);
  const held: (readonly [string, readonly PodHostPort[]])[] = [
    ...use.leases.map((lease) => [podKey(lease), lease.hostPorts] as const),
    ...use.host.hostPorts(),
  ];
  for (const [holder, ports] of held) {
    if (holder === use.own) continue; // a pod's sandbox before this one
    for (const port of wanted) {
      if (!ports.some((each) => isInTheWay(each, port))) continue;
      const message = `hostPort ${port.hostPort}/${port.protocol}: ${holder} has it`;
      throw new CniError(CniCode.HOST_PORT_TAKEN, message);
    }
  }
}

function checkHostIp({ hostIP, hostPort, protocol }: PodHostPort, { localIps }: CniNode): void {
  const address = parseIp(hostIP);
  if (address === null || hostIP === "0.0.0.0" || hostIP === "::") return;
  if (address.family === 4 ? isLoopback(address) : false) return;
  if (!isLoopback(address) && localIps.some((own) => sameIp(own, address))) return;
  const why = isLoopback(address) ? "leads nowhere" : "is no address of the node";
  throw invalid(`hostPort ${hostPort}/${protocol}`, `hostIP ${hostIP} ${why}`);
}
