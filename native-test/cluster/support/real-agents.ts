// podwire on the machines of a real cluster: an agent each, and its plug-in where containerd looks.
import { join } from "node:path";
import type { Namespaces } from "../../support/namespaces.ts";
import { ClusterNode } from "./cluster-node.ts";
import type { Kubelet } from "./kubelet.ts";
import { NODE_NAMES, type NodeName, RANGES, type RealCluster } from "./real-cluster.ts";

export class RealAgents {
  readonly #cluster: RealCluster;
  readonly #namespaces: Namespaces;
  readonly #folder: string;
  readonly #agents = new Map<NodeName, ClusterNode>();

  constructor(cluster: RealCluster, namespaces: Namespaces, folder: string) {
    this.#cluster = cluster;
    this.#namespaces = namespaces;
    this.#folder = folder;
  }

  of(name: NodeName): ClusterNode {
    return this.#agents.get(name) as ClusterNode;
  }

  /** Where the agent of this node keeps who has which address. */
  leaseFile(name: NodeName): string {
    return join(this.#folder, name, "leases.json");
  }

  async start(): Promise<void> {
    for (const name of NODE_NAMES) {
      const settings = {
        ...{ nodeName: name, netns: undefined, clusterCIDR: RANGES.pods, serviceCIDR: RANGES.services },
        ...{ uplink: { mode: "shared" }, cni: { leaseFile: this.leaseFile(name) } },
      };
      const { inside } = this.#cluster.machines[name];
      const folder = join(this.#folder, name);
      const agent = new ClusterNode(this.#cluster.control, this.#namespaces, folder, settings, inside);
      this.#agents.set(name, agent);
      await agent.begin(name);
      const { containerd } = this.#cluster.kubelets.get(name) as Kubelet;
      const capabilities = { portMappings: true, bandwidth: true };
      const plugins = [{ type: "podwire-cni", agent: agent.socket, capabilities }];
      await containerd.setNetwork({ ...{ cniVersion: "1.0.0", name: "podwire" }, plugins });
    }
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents.values()) await agent.stop();
  }
}
