// The Node objects of a lab: what a kubelet and a cloud would write of them.
import type { NodeCondition } from "kubernetes-types/core/v1.js";
import { VERSION } from "../../base/version.ts";
import { KEEP_CLIENT_ADDRESS } from "../../kube/keep-client-address.ts";
import type { KubeObject, Node } from "../../kube/objects.ts";
import type { NodeAgent } from "../node-agent.ts";
import { iso } from "../pod/pod-status.ts";
import { type NodePlan, type Topology, tunnelAddress } from "../topology.ts";
import { NO_PRESSURE, nodeCapacity, type Pressure, pressureConditions, systemInfo } from "./machine.ts";

/** Of the condition Ready; Unknown: the node was given up. */
const REASONS = { True: "KubeletReady", False: "KubeletNotReady", Unknown: "NodeStatusUnknown" } as const;
const READY_TEXT = "kubelet is posting ready status";
const LOST_TEXT = "Kubelet stopped posting node status.";
/** So often a kubelet writes a status in which nothing has changed. */
const HEARTBEAT_MS = 5 * 60_000;
const SYSTEM = systemInfo(VERSION);

export function readyStatus(node: Node | undefined): string | undefined {
  return node?.status.conditions?.find((c) => c.type === "Ready")?.status;
}

/** What is known of a node beside its agent. */
export interface Health {
  /** It was given up. */
  readonly isLost?: boolean;
  readonly pressure?: Pressure;
}

/** The Node object: addresses, range, and flannel's annotations for whoever builds tunnels to it. */
export function nodeObject(
  t: Topology,
  node: NodePlan,
  agent: NodeAgent | undefined,
  current: Node | undefined,
  nowMs: number,
  { isLost = false, pressure = NO_PRESSURE }: Health = {},
): KubeObject {
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
      capacity: nodeCapacity(),
      allocatable: nodeCapacity(),
      nodeInfo: SYSTEM,
      conditions: [
        ...(current?.status.conditions ?? []).filter(({ type }) => !OWN_CONDITIONS.has(type)), // others' are kept
        ...conditionsOf(agent, isLost, pressure).map((each) => timed(each, current, nowMs)),
      ],
    },
  } as KubeObject;
}

type Said = Omit<NodeCondition, "lastHeartbeatTime" | "lastTransitionTime">;

const OWN_CONDITIONS = new Set(["Ready", ...pressureConditions(NO_PRESSURE).map(({ type }) => type)]);

/** Those of a kubelet, and of a node that was given up what a node controller makes of them. */
function conditionsOf(agent: NodeAgent | undefined, isLost: boolean, pressure: Pressure): Said[] {
  const status = agent?.ready === true ? "True" : isLost ? "Unknown" : "False";
  const message = agent?.report().reason || (status === "True" ? READY_TEXT : "");
  const ready = { type: "Ready", status, reason: REASONS[status], message };
  const others = pressureConditions(pressure);
  if (status !== "Unknown") return [...others, ready];
  const unknown = { status, reason: REASONS[status], message: LOST_TEXT };
  return [...others.map((each) => ({ ...each, ...unknown })), { ...ready, message: message || LOST_TEXT }];
}

/** A condition in which nothing has changed is written again when it is time for a heartbeat. */
function timed(said: Said, current: Node | undefined, nowMs: number): NodeCondition {
  const before = current?.status.conditions?.find(({ type }) => type === said.type);
  const now = iso(nowMs);
  const isSame = before?.status === said.status;
  const lastTransitionTime = (isSame ? before.lastTransitionTime : undefined) ?? now;
  const beatAtMs = Date.parse(before?.lastHeartbeatTime ?? "") || 0;
  const isFresh = isSame && before.message === said.message && nowMs - beatAtMs < HEARTBEAT_MS;
  return {
    ...said,
    lastHeartbeatTime: (isFresh ? before.lastHeartbeatTime : undefined) ?? now,
    lastTransitionTime,
  };
}
