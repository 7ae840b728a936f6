// podwire on the machines of a real cluster: an agent each, and its plug-in where containerd looks.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import type { Namespaces } from "../../support/namespaces.ts";
import { ClusterNode } from "./cluster-node.ts";
import type { Kubelet } from "./kubelet.ts";
import { NODE_NAMES, type NodeName, RANGES, RealCluster } from "./real-cluster.ts";

class RealAgents {
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

/** A cluster and its agents, which are still to start, for one test; both end with it. `folder` is for its files. */
export async function clusterOfAgents(
  t: Test,
  namespaces: Namespaces,
): Promise<{ folder: string; cluster: RealCluster; agents: RealAgents }> {
  const folder = await mkdtemp(join(tmpdir(), "podwire-real-cluster-"));
  t.teardown(async () => {
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  const cluster = await RealCluster.start(namespaces, folder);
  const agents = new RealAgents(cluster, namespaces, folder);
  t.teardown(async () => {
    await cluster.stop();
    await agents.stop();
  });
  return { folder, cluster, agents };
}
