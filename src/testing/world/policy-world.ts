// A node with pods behind its ports, one pod on another node and somebody outside, to knock at each other's doors under
// policies: real frames through the whole pipeline of node1, nothing in between but memory.
import { type Ip, parseIp } from "../../base/ip.ts";
import type { Mac } from "../../base/mac.ts";
import type { ProbeProtocol } from "../../base/probe-protocols.ts";
import { formatRule } from "../../compile/policy/rule-names.ts";
import type { AgentConfig } from "../../config/agent.ts";
import { readProxyConfig } from "../../config/proxy.ts";
import { dropReasonName } from "../../dataplane/drop-reason.ts";
import { ACTION_BITS } from "../../dataplane/spec/policy.ts";
import * as neighbor from "../../dataplane/table/neighbor.ts";
import type { Tables } from "../../dataplane/tables.ts";
import { probeFrame } from "../../device/probe/probe-frame.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { manifestOf } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { offlineConfig } from "../../offline/offline-config.ts";
import { HOST_PORT, OfflineNode, type OfflinePort, UPLINK_PORT } from "../../offline/offline-node.ts";

const FABRIC: Mac = { hi: 0x0a00, lo: 9 };

export interface TestPod {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Record<string, string>;
  /** One of each family, at most. */
  readonly ips: readonly string[];
  readonly node?: string;
  /** "web=80/TCP" */
  readonly ports?: readonly string[];
  readonly more?: object;
}

export class PolicyWorld {
  readonly node: OfflineNode;
  readonly tables: Tables;
  #objects: readonly KubeObject[];
  #nowMs = 0;

  constructor(objects: readonly object[], config: Partial<AgentConfig> = {}, proxy: object = {}) {
    const read = readProxyConfig(
      { clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", ...proxy },
      new FieldProblems(),
    );
    const gateways = ["192.168.50.1", "fd00:50::1"].map((text) => parseIp(text) as Ip);
    const offline = offlineConfig("node1", read, read.clusterCidrs);
    const uplink = { ...offline.uplink, gateways };
    this.#objects = readAll([...testNodes(), ...objects]);
    this.node = new OfflineNode({ ...offline, overlay: { type: "none" }, uplink, ...config }, this.#objects);
    this.tables = this.node.engine.tables;
    for (const { w0, w1, w2, w3 } of [
      ...gateways,
      ...["192.168.50.12", "fd00:50::12"].map((text) => parseIp(text) as Ip),
    ]) {
      neighbor.addPermanent(this.tables.fabric, w0, w1, w2, w3, FABRIC.hi, FABRIC.lo, UPLINK_PORT);
    }
  }

  /** These objects in the place of all but the nodes. */
  become(objects: readonly object[]): void {
    this.#objects = readAll([...testNodes(), ...objects]);
    this.node.replace(this.#objects);
  }

  /** "pod default/db", "uplink", "host0": where the first packet of a connection came out; or why it did not. */
  knock(from: string, to: string, port: number, protocol: ProbeProtocol = "TCP", via?: OfflinePort): string {
    const [src, dst] = [from, to].map((text) => parseIp(text) as Ip);
    const at = via ?? this.node.portOf(from);
    return this.send(at, this.frame(at, src, dst, port, protocol));
  }

  frame(at: OfflinePort, src: Ip, dst: Ip, dstPort: number, protocol: ProbeProtocol): Uint8Array {
    const { macHi, macLo } = this.node.engine.ports;
    const own = { hi: macHi[at.id], lo: macLo[at.id] };
    const isUplink = at.id === UPLINK_PORT;
    const srcMac = isUplink ? FABRIC : own;
    const dstMac = isUplink ? own : this.node.nextMac(at, src, dst);
    return probeFrame({ srcMac, dstMac, src, dst, protocol, dstPort });
  }

  /** Lets whoever is behind a port send a frame. */
  send(at: OfflinePort, frame: Uint8Array): string {
    const before = [...this.tables.counters.drops];
    this.#nowMs += 10;
    this.node.send(at.id, frame, this.#nowMs);
    const out: string[] = [];
    for (const port of this.node.ports) {
      while (port.station.takeStored() !== undefined)
        out.push(port.info.kind === "pod" ? `pod ${port.info.pod}` : port.info.name);
    }
    if (out.length > 0) return out.join();
    const reasons = [...this.tables.counters.drops.keys()].filter(
      (i) => this.tables.counters.drops[i] > before[i],
    );
    return reasons.map(dropReasonName).join();
  }

  /** What decided about the packet that was sent last: egress, ingress. */
  rules(): string[] {
    const { egressVerdict, ingressVerdict } = this.tables.scratch.outer;
    return [egressVerdict, ingressVerdict].map((verdict) =>
      verdict <= 0 ? "" : formatRule(this.node.messages.policies.names.nameOf(verdict >> ACTION_BITS)),
    );
  }

  port(pod: string): OfflinePort {
    return this.node.ports.find(({ info }) => info.pod === pod) as OfflinePort;
  }

  get uplink(): OfflinePort {
    return this.node.ports[UPLINK_PORT];
  }

  get host(): OfflinePort {
    return this.node.ports[HOST_PORT];
  }
}

function readAll(objects: readonly object[]): KubeObject[] {
  return objects.map((object) => manifestOf(object, "test").object);
}

/** Two of them, as a TestNode has them too. */
export function testNodes(): object[] {
  return [1, 2].map((n) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: `node${n}`, labels: { role: n === 2 ? "gateway" : "worker" } },
    spec: { podCIDRs: [`10.244.${n}.0/24`, `fd00:10:244:${n}::/64`] },
    status: {
      addresses: [
        { type: "InternalIP", address: `192.168.50.1${n}` },
        { type: "InternalIP", address: `fd00:50::1${n}` },
      ],
    },
  }));
}

export function testPod({
  name,
  namespace = "default",
  labels = {},
  ips,
  node = "node1",
  ports = [],
  more = {},
}: TestPod) {
  const containerPorts = ports.map((text) => {
    const [, portName, containerPort, protocol] = /^(.*)=(\d+)\/(.*)$/.exec(text) ?? [];
    return { name: portName, containerPort: Number(containerPort), protocol };
  });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app: name, ...labels } },
    spec: { nodeName: node, containers: [{ name: "c", image: "i", ports: containerPorts }], ...more },
    status: { phase: "Running", podIPs: ips.map((ip) => ({ ip })) },
  };
}

export function testNamespace(name: string, labels: Record<string, string> = {}, annotations = {}): object {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels, annotations } };
}

export function testPolicy(name: string, spec: object, metadata: object = {}): object {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace: "default", ...metadata },
    spec,
  };
}

export function testClusterPolicy(name: string, spec: object): object {
  return {
    apiVersion: "policy.networking.k8s.io/v1alpha2",
    kind: "ClusterNetworkPolicy",
    metadata: { name },
    spec,
  };
}
