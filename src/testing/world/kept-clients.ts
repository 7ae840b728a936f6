// Test nodes that keep the addresses of clients, as the agent would tell their planes.
import { createPrefixSet } from "../../dataplane/change/prefix-set.ts";
import { createVteps, findRoutes } from "../../dataplane/change/vteps.ts";
import * as build from "../frames/frame-builder.ts";
import { makeDualStack, node6 } from "./dual-stack.ts";
import { nodeAddress, peersOf, prefix, uplinkMacOf, vtepMacOf, vtepMacWords, words } from "./test-cluster.ts";
import { CLIENT, TestFabric } from "./test-fabric.ts";
import type { TestNode } from "./test-node.ts";

/** `peers`: nodes that say of themselves that they keep them; all `nodes` where left out. */
export function keepClients(node: TestNode, nodes: number, peers = peersOf(node.index, nodes)): void {
  const t = node.tables;
  t.config.tunnel.keepClients = 1;
  const all = Array.from({ length: nodes }, (_, i) => i + 1);
  t.addresses.nodeSources = createPrefixSet(
    all.flatMap((i) => [prefix(`${nodeAddress(i)}/32`), prefix(`${node6(i)}/128`)]),
  );
  const specs = peersOf(node.index, nodes).map((i) => ({
    ...words(nodeAddress(i)),
    ...vtepMacWords(i),
    keepsClients: peers.includes(i),
  }));
  t.vteps = createVteps(specs);
  findRoutes(t.vteps, t.routes);
}

/** Nodes on one switch; two of them have IPv6, too. */
export function keepingFabric(
  count = 2,
  keeping = Array.from({ length: count }, (_, i) => i + 1),
): TestFabric {
  const fabric = new TestFabric({}, count);
  for (const node of fabric.nodes) {
    if (count === 2) makeDualStack(node);
    if (keeping.includes(node.index))
      keepClients(
        node,
        count,
        peersOf(node.index, count).filter((i) => keeping.includes(i)),
      );
  }
  return fabric;
}

/** What the client sends to a pod of node 2, out of the tunnel of node 1. */
export function brought(o: object = {}, dst = "10.244.2.2"): Uint8Array {
  const link = { srcMac: uplinkMacOf(1), dstMac: uplinkMacOf(2), src: nodeAddress(1), dst: nodeAddress(2) };
  const inner = build.udpFrame({
    ...{ src: CLIENT, dst, srcMac: vtepMacOf(1), dstMac: vtepMacOf(2), dstPort: 8080, payload: 9 },
    ...o,
  });
  return build.vxlanFrame({ ...link, inner });
}

/** Node 1 keeps no addresses of clients. */
export const BROUGHT_BY_STRANGER = {
  options: { index: 2 },
  prepare: (node: TestNode): void => keepClients(node, 2, []),
  send: (node: TestNode): void => {
    node.send("uplink", brought());
    node.run();
  },
};
