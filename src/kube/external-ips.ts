// An externalIP that is a node's address: the Service takes over that node's own port, for who asks it from outside and
// on every node. Kubernetes says nothing and does it; it has cut people off from their nodes' SSH and kubelets.
import type { KubeObject, Node, Service } from "./objects.ts";

/** A line for each Service that has such an address. */
export function externalIpWarnings(objects: readonly KubeObject[], nodes: readonly KubeObject[]): string[] {
  const holder = new Map<string, string>();
  for (const { metadata, status } of nodes as readonly Node[]) {
    for (const { address } of status.addresses ?? []) holder.set(address, metadata.name);
  }
  return objects.flatMap((object) => {
    if (object.kind !== "Service") return [];
    const { externalIPs = [], ports = [] } = (object as Service).spec;
    const list = ports.map(({ port, protocol = "TCP" }) => `${port}/${protocol}`).join(", ");
    return externalIPs.flatMap((ip, i) => {
      const node = holder.get(ip);
      if (node === undefined) return [];
      const where = `Service ${JSON.stringify(object.metadata.name)}: spec.externalIPs[${i}]`;
      return [
        `warning: ${where}: ${ip} is an address of node ${node}: the Service takes ${list} there from the node itself`,
      ];
    });
  });
}
