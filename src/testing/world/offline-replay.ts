// A little cluster of two nodes, without devices, and frames through it: for tests of `replay`.
import { Readable } from "node:stream";
import t from "tap";
import { agentConfig } from "../../config/agent.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import type { Pod } from "../../kube/objects.ts";
import { OfflineNode } from "../../offline/offline-node.ts";
import {
  type Replayed,
  type ReplayFrame,
  type ReplayOptions,
  replayFrames,
} from "../../offline/replay/replay.ts";
import { makeCluster } from "./make-cluster.ts";

/** The first pod addresses of node1 and node2. */
export const CLIENT = "10.244.1.2";
export const WEB = "10.244.2.2";
export const SERVICE = "10.96.0.80";
export const NODE1 = "192.168.50.11";
export const NODE2 = "192.168.50.12";

const node = (name: string, address: string): string => `
apiVersion: v1
kind: Node
metadata: { name: ${name} }
status: { addresses: [ { type: InternalIP, address: ${address} } ] }
`;
const NODES = [node("node1", NODE1), node("node2", NODE2)].join("---");

export function podText(name: string, nodeName: string, labels: object = {}): string {
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: ${JSON.stringify(labels)} }
spec: { nodeName: ${nodeName}, containers: [ { name: c, image: podwire/echo } ] }
`;
}

export function serviceText(name: string, spec: object): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: ${JSON.stringify(spec)}
`;
}

/** A pod "client" on node1 and "web" on node2, which the Service "web" has as its endpoint. */
const BASIC = [
  podText("client", "node1"),
  podText("web", "node2", { app: "web", many: "yes" }),
  serviceText("web", {
    clusterIP: SERVICE,
    selector: { app: "web" },
    ports: [{ port: 80, targetPort: 8080 }],
  }),
];

export interface OfflineNodeOptions {
  readonly nodeName?: string;
  /** Behind those of `BASIC`. */
  readonly more?: readonly string[];
  readonly antiSpoofing?: boolean;
  /** Of the random choices. */
  readonly seed?: number;
}

export function offlineNode(options: OfflineNodeOptions = {}): OfflineNode {
  const { nodeName = "node1", more = [], antiSpoofing = true, seed = 1 } = options;
  const cluster = makeCluster({ nodes: 0, serviceCidr: "10.96.0.0/12" });
  cluster.apply([{ file: "test.yaml", text: [NODES, ...BASIC, ...more].join("---") }]);
  for (const pod of cluster.list("Pod") as Pod[]) {
    const conditions = [{ type: "Ready", status: "True" }];
    cluster.update({ ...pod, status: { ...pod.status, conditions } } as Pod);
  }
  const config = agentConfig(
    {
      apiVersion: "podwire.dev/v1alpha1",
      kind: "AgentConfiguration",
      nodeName,
      clusterCIDR: "10.244.0.0/16",
      serviceCIDR: "10.96.0.0/12",
      uplink: { interface: "eth0" },
      host: { interface: "host0" },
      socket: "/x",
      source: { files: [] },
      dataplane: { antiSpoofing },
    },
    new FieldProblems(),
  );
  if (config === undefined) throw new Error("the agent's configuration is wrong");
  const objects = ["Node", "Pod", "Service", "EndpointSlice"].flatMap((kind) => cluster.list(kind));
  return new OfflineNode(config, objects, { seed });
}

/** Frames a millisecond apart. */
export async function replay(
  node: OfflineNode,
  frames: readonly (Uint8Array | ReplayFrame)[],
  options: ReplayOptions = {},
): Promise<Replayed[]> {
  const list = frames.map((frame, i): ReplayFrame => {
    return frame instanceof Uint8Array ? { data: frame, timestampNs: BigInt(i) * 1_000_000n } : frame;
  });
  const replayed: Replayed[] = [];
  for await (const one of replayFrames(node, Readable.from(list), options)) {
    t.equal(one.error, "");
    replayed.push(one);
  }
  return replayed;
}

/** What was made of each: a judgement, or the plane's verdict. */
export const words = (list: readonly Replayed[]) => list.map((one) => one.judgement ?? one.input?.verdict);
