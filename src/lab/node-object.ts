// The Node objects of a lab: what a kubelet and a cloud would write of them.
import { availableParallelism, totalmem } from "node:os";
import { KEEP_CLIENT_ADDRESS } from "../kube/keep-client-address.ts";
import type { KubeObject, Node } from "../kube/objects.ts";
import type { NodeAgent } from "./node-agent.ts";
import { iso } from "./pod/pod-status.ts";
import { type NodePlan, type Topology, tunnelAddress } from "./topology.ts";

/** Every node has the whole machine: nothing is reserved. Quantities. */
export const CAPACITY = {
  cpu: String(availableParallelism()),
  memory: `${Math.floor(totalmem() / 1024)}Ki`,
  ephemeralStorage: "100Gi",
} as const;
/** Of the condition Ready; Unknown: the node was given up. */
const REASONS = { True: "KubeletReady", False: "KubeletNotReady", Unknown: "NodeStatusUnknown" } as const;
const PODS_MAX = "110"; // kubelet's

function quantities({ cpu, memory, ephemeralStorage }: typeof CAPACITY): Record<string, string> {
  return { cpu, memory, "ephemeral-storage": ephemeralStorage, pods: PODS_MAX };
}

export function readyStatus(node: Node | undefined): string | undefined {
  return node?.status.conditions?.find((c) => c.type === "Ready")?.status;
}

/** The Node object: addresses, range, and flannel's annotations for whoever builds tunnels to it. */
export function nodeObject(
  t: Topology,
  node: NodePlan,
  agent: NodeAgent | undefined,
  current: Node | undefined,
  nowMs: number,
  isLost = false,
): KubeObject {
  const report = agent?.report();
  const status = agent?.ready === true ? "True" : isLost ? "Unknown" : "False";
  const before = current?.status.conditions?.find((c) => c.type === "Ready");
  const since = before?.status === status ? before.lastTransitionTime : iso(nowMs);
  const keeps = node.agent === "podwire" && t.dataplane.keepClientAddress === true;
  const vni = t.overlay.type === "vxlan" ? t.overlay.vni : undefined;
  const overlay =
    vni === undefined
      ? { "flannel.alpha.coreos.com/backend-type": "host-gw" }
      : {
          "flannel.alpha.coreos.com/backend-type": "vxlan",
          "flannel.alpha.coreos.com/backend-data": JSON.stringify({ VNI: vni, VtepMAC: node.vtepMac }),
        };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      ...(current?.metadata ?? { creationTimestamp: iso(nowMs) }),
      name: node.name,
      labels: { ...current?.metadata.labels, ...node.labels },
      annotations: {
        ...current?.metadata.annotations,
        ...overlay,
        "flannel.alpha.coreos.com/public-ip": tunnelAddress(node),
        "podwire.dev/agent": node.agent,
        ...(keeps ? { [KEEP_CLIENT_ADDRESS]: "true" } : {}),
      },
    },
    spec: { ...current?.spec, podCIDR: node.podCidr, podCIDRs: node.podCidrs },
    status: {
      addresses: [
        ...node.addresses.map((address) => ({ type: "InternalIP", address })),
        { type: "Hostname", address: node.name },
      ],
      capacity: quantities(CAPACITY),
      allocatable: quantities(CAPACITY),
      conditions: [
        ...(current?.status.conditions ?? []).filter(({ type }) => type !== "Ready"), // of its agent, and of others
        {
          type: "Ready",
          status,
          reason: REASONS[status],
          message: report?.reason ?? "",
          ...(since === undefined ? {} : { lastHeartbeatTime: since, lastTransitionTime: since }),
        },
      ],
    },
  } as KubeObject;
}
