// Test nodes of a mesh, as the agent would tell their planes: who is of it, and which pod is the node's proxy.
import { MeshLayout, putMembersInForce } from "../../dataplane/change/mesh.ts";
import { addOwner } from "../../dataplane/send/port-table.ts";
import * as neighbor from "../../dataplane/table/neighbor.ts";
import * as build from "../frames/frame-builder.ts";
import type { Prng } from "../prng.ts";
import { pod6 } from "./dual-stack.ts";
import { macOf, macWords, words } from "./test-cluster.ts";
import { pathTo } from "./test-fabric.ts";
import type { TestNode } from "./test-node.ts";

export interface MeshOptions {
  /** Addresses of pods of the mesh. */
  readonly members: readonly string[];
  /** Pod whose port is the proxy's, by the last part of its address; it has an IPv6 address, too. */
  readonly proxy?: number;
  readonly isReady?: boolean;
  readonly bypass?: boolean;
}

const PODS = ["10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.2.3"];

/** Lets the planes of a node know of a mesh. */
export function meshed(node: TestNode, o: MeshOptions): void {
  const { members, proxy, isReady = true, bypass = false } = o;
  const v6 = proxy === undefined ? { w0: 0, w1: 0, w2: 0, w3: 0 } : words(pod6(node.index, proxy));
  for (const [i, { tables: t }] of node.engines.entries()) {
    Object.assign(t.config.mesh, {
      ...{ on: members.length > 0 ? 1 : 0, ready: isReady ? 1 : 0, bypass: bypass ? 1 : 0 },
      v4: proxy === undefined ? 0 : words(`10.244.${node.index}.${proxy}`).w3,
      ...{ v60: v6.w0, v61: v6.w1, v62: v6.w2, v63: v6.w3 },
    });
    const update = { isOn: true, proxy: undefined, set: members.map(words), remove: [] };
    putMembersInForce(t, new MeshLayout().parts(update), i === 0);
  }
}

/** Another mesh, or none; its proxy, too, is of it now and then, which no agent says. */
export function changeMesh(node: TestNode, random: Prng): void {
  const members = PODS.filter(() => random.below(3) > 0);
  meshed(node, {
    ...{ members: random.below(2) === 0 ? [] : members },
    ...{ isReady: random.below(8) > 0, bypass: random.below(2) === 0 },
    ...(random.below(6) > 0 && { proxy: 3 }),
  });
}

/** A pod more, with addresses of both families, for the proxy. */
export function addProxy(node: TestNode, host: number): void {
  const port = node.addPod(host);
  const [hi, lo] = macWords(macOf(`10.244.${node.index}.${host}`));
  const { w0, w1, w2, w3 } = words(pod6(node.index, host));
  neighbor.addPermanent(node.tables.stations, w0, w1, w2, w3, hi, lo, port);
  for (const { tables } of node.engines) addOwner(tables.ports, port, w0, w1, w2, w3);
}

const [POD2, VIP] = ["10.244.1.2", "10.96.0.10"];

/** Pod 2 asks a service of the mesh, whose endpoint is on another node; pod 3 is the proxy, where there is one. */
export function ofMesh(proxy?: number): {
  prepare: (node: TestNode) => void;
  send: (node: TestNode) => void;
} {
  return {
    prepare: (node) => {
      const endpoint = "10.244.2.2";
      node.setService({ name: "default/web:http", clusterIp: VIP, endpoints: [`${endpoint}:8080`] });
      meshed(node, { members: [POD2, endpoint], ...(proxy !== undefined && { proxy }) });
    },
    send: (node) => {
      node.send("pod2", build.tcpFrame({ ...pathTo(node, POD2, VIP), flags: "S" }));
      node.run();
    },
  };
}
