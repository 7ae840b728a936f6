// A random cluster with random policies, from a seed, and the same some time later: labels of pods and namespaces
// change, pods come, end and go, an address changes hands, policies come, change and go.
import type * as core from "kubernetes-types/core/v1.js";
import type { IpFamily } from "../../base/ip.ts";
import { Prng } from "../prng.ts";
import { addressesOf, type Cluster, clusterOf, type Named, type PodObject } from "./cluster.ts";
import { FAMILIES, GROUND, type Ground, type GroundNode } from "./ground.ts";
import { PORT_NAMES, PORTS, PolicyDrawer } from "./random-policies.ts";
import { NAMESPACE_KEYS, POD_KEYS, randomLabels } from "./random-selector.ts";

export interface RandomCluster {
  readonly seed: number;
  readonly families: readonly IpFamily[];
  readonly ground: Ground;
  readonly objects: readonly Named[];
}

const NAMESPACES = ["alpha", "beta", "gamma"];

export function randomCluster(
  seed: number,
  ground: Ground = GROUND,
  families?: readonly IpFamily[],
): RandomCluster {
  const random = new Prng(seed);
  const chosen = families ?? random.pick(FAMILIES);
  const drawer = new ClusterDrawer(random, ground, chosen);
  return { seed, families: chosen, ground, objects: drawer.cluster() };
}

/** The same cluster after some changes; the same seed makes the same ones. */
export function laterCluster(before: RandomCluster, seed: number): RandomCluster {
  const random = new Prng(seed ^ 0x5eed);
  const drawer = new ClusterDrawer(random, before.ground, before.families);
  let objects = [...before.objects];
  for (let n = 1 + random.below(4); n > 0; n--) objects = drawer.changed(objects);
  return { ...before, seed, objects };
}

class ClusterDrawer {
  readonly #random: Prng;
  readonly #ground: Ground;
  readonly #families: readonly IpFamily[];
  readonly #policies: PolicyDrawer;

  constructor(random: Prng, ground: Ground, families: readonly IpFamily[]) {
    this.#random = random;
    this.#ground = ground;
    this.#families = families;
    this.#policies = new PolicyDrawer(random, { namespaces: NAMESPACES, blocks: this.#blocks() });
  }

  cluster(): Named[] {
    const pods = this.#ground.nodes.flatMap((node) => node.pods.map((_, i) => this.#pod(node, i)));
    const hosts = this.#random.below(2) === 0 ? [this.#hostPod("host-0")] : [];
    const policies = Array.from({ length: this.#random.below(6) }, (_, i) =>
      this.#policies.networkPolicy(`np-${i}`),
    );
    const above = Array.from({ length: this.#random.below(5) }, (_, i) =>
      this.#policies.clusterPolicy(`cnp-${i}`),
    );
    return [
      ...NAMESPACES.map((name) => this.#namespace(name)),
      ...this.#ground.nodes.map((node, i) => this.#node(node, i)),
      ...this.#withFinished(pods),
      ...hosts,
      ...policies,
      ...above,
    ];
  }

  changed(objects: readonly Named[]): Named[] {
    const cluster = clusterOf(objects);
    const withOwnNetwork = cluster.pods.filter(({ spec }) => spec.hostNetwork !== true);
    switch (this.#random.below(7)) {
      case 0:
        return replaced(objects, this.#relabelled(this.#random.pick(cluster.pods), POD_KEYS));
      case 1:
        return replaced(objects, this.#relabelled(this.#random.pick(cluster.namespaces), NAMESPACE_KEYS));
      case 2:
        return this.#withPodMoved(objects, cluster);
      case 3:
        return replaced(objects, this.#policies.networkPolicy(`np-${this.#random.below(6)}`));
      case 4:
        return replaced(objects, this.#policies.clusterPolicy(`cnp-${this.#random.below(5)}`));
      case 5: {
        const gone = this.#random.pick([...cluster.policies, ...cluster.clusterPolicies, undefined]);
        return objects.filter((object) => object !== gone);
      }
      default:
        return replaced(objects, this.#renamedPorts(this.#random.pick(withOwnNetwork)));
    }
  }

  /** A pod goes, and another of other labels has its address; or it ends where it is. */
  #withPodMoved(objects: readonly Named[], cluster: Cluster): Named[] {
    const pod = this.#random.pick(cluster.pods.filter((each) => addressesOf(each).length > 0));
    const ended = { ...pod, status: { ...pod.status, phase: "Succeeded" } };
    if (this.#random.below(2) === 0) return replaced(objects, ended);
    const name = `again-${this.#random.below(1000)}`;
    const metadata = { ...pod.metadata, name, labels: randomLabels(this.#random, POD_KEYS) };
    const heir = { ...pod, metadata, spec: { ...pod.spec, ...this.#containers() } };
    const rest =
      this.#random.below(2) === 0 ? replaced(objects, ended) : objects.filter((object) => object !== pod);
    return [...rest, heir];
  }

  #relabelled(object: Named, keys: readonly string[]): Named {
    return { ...object, metadata: { ...object.metadata, labels: randomLabels(this.#random, keys) } };
  }

  #renamedPorts(pod: PodObject): PodObject {
    return { ...pod, spec: { ...pod.spec, ...this.#containers() } };
  }

  #namespace(name: string): Named {
    const labels = randomLabels(this.#random, NAMESPACE_KEYS);
    return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } } as Named;
  }

  #node({ name, address, podCidr }: GroundNode, i: number): Named {
    const podCIDRs = this.#families.map((family) => podCidr[family]);
    return {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name, labels: { zone: i === 0 ? "a" : "b" } },
      spec: { podCIDR: podCIDRs[0], podCIDRs },
      status: {
        addresses: this.#families.map((family) => ({ type: "InternalIP", address: address[family] })),
      },
    } as Named;
  }

  #pod(node: GroundNode, i: number): PodObject {
    const addresses = this.#families.map((family) => node.pods[i][family]);
    return this.#podObject(`${node.name}-${i}`, node.name, addresses, {});
  }

  #hostPod(name: string): PodObject {
    const node = this.#random.pick(this.#ground.nodes);
    const addresses = this.#families.map((family) => node.address[family]);
    return this.#podObject(name, node.name, addresses, {
      hostNetwork: true,
      containers: [{ name: "main", image: "podwire/echo" }],
    });
  }

  #podObject(
    name: string,
    nodeName: string,
    addresses: readonly string[],
    more: Partial<core.PodSpec>,
  ): PodObject {
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name,
        namespace: this.#random.pick(NAMESPACES),
        labels: randomLabels(this.#random, POD_KEYS),
      },
      spec: { nodeName, ...this.#containers(), ...more },
      status: { phase: "Running", podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) },
    } as PodObject;
  }

  /** Named ports that differ from pod to pod; some of a sidecar, some of an init container that is long gone. */
  #containers(): Pick<core.PodSpec, "containers" | "initContainers"> {
    const container = (name: string, more: object = {}): core.Container => ({
      name,
      image: "podwire/echo",
      ports: this.#ports(),
      ...more,
    });
    const sidecar = this.#random.below(3) === 0 ? [container("sidecar", { restartPolicy: "Always" })] : [];
    const init = this.#random.below(4) === 0 ? [container("init")] : [];
    const found = [...init, ...sidecar];
    return { containers: [container("main")], ...(found.length > 0 && { initContainers: found }) };
  }

  #ports(): core.ContainerPort[] {
    const names = PORT_NAMES.filter(() => this.#random.below(2) === 0);
    return names.map((name) => ({
      name,
      containerPort: this.#random.pick(PORTS),
      protocol: this.#random.pick(["TCP", "TCP", "UDP", "SCTP"]),
    }));
  }

  /** Some pods have finished; their addresses belong to others, or to nobody. */
  #withFinished(pods: readonly PodObject[]): PodObject[] {
    return pods.flatMap((pod) => {
      if (this.#random.below(6) > 0) return [pod];
      const phase = this.#random.pick(["Succeeded", "Failed"]);
      const metadata = {
        ...pod.metadata,
        name: `${pod.metadata.name}-done`,
        namespace: this.#random.pick(NAMESPACES),
        labels: randomLabels(this.#random, POD_KEYS),
      };
      const done = { ...pod, metadata, status: { ...pod.status, phase } };
      return this.#random.below(2) === 0 ? [done, pod] : [done];
    });
  }

  #blocks(): string[] {
    const { nodes, outside } = this.#ground;
    return this.#families.flatMap((family) => {
      const bits = family === 4 ? 32 : 128;
      const hosts = [...nodes.flatMap(({ pods, address }) => [...pods, address]), ...outside];
      const all =
        family === 4 ? ["0.0.0.0/0", "0.0.0.0/1", "10.244.0.0/16"] : ["::/0", "fd00::/8", "fd00:10:244::/48"];
      return [
        ...all,
        ...nodes.map(({ podCidr }) => podCidr[family]),
        ...hosts.map((host) => `${host[family]}/${bits}`),
      ];
    });
  }
}

/** The object in place of the one of its name, or as a new one. */
function replaced(objects: readonly Named[], object: Named): Named[] {
  const isSame = ({ kind, metadata }: Named): boolean =>
    kind === object.kind &&
    metadata.name === object.metadata.name &&
    (kind === "NetworkPolicy" || metadata.namespace === object.metadata.namespace);
  return [...objects.filter((other) => !isSame(other)), object];
}
