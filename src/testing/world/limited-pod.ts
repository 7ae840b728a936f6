// Pods with a bandwidth, for tests.
import { setRates } from "../../dataplane/change/rates.ts";
import { SHAPER_BYTES } from "../../dataplane/send/shaper.ts";
import type { Rate } from "../../dataplane/spec/rates.ts";
import * as build from "../frames/frame-builder.ts";
import { pathTo } from "./test-fabric.ts";
import type { TestNode } from "./test-node.ts";

const [POD2, POD3] = ["10.244.1.2", "10.244.1.3"];

/** What the pod behind the port may receive and send; left out: as much as there is. */
export function limit(
  node: TestNode,
  port: string,
  { to, from }: { to?: Rate & { limitBytes: number }; from?: Rate },
): void {
  const toPort = to === undefined ? null : { ...to, memory: new SharedArrayBuffer(SHAPER_BYTES) };
  for (const { tx, isKeeper } of node.engines)
    setRates(tx, node.portId(port), { toPort, fromPort: from ?? null }, isKeeper);
}

/** More for a pod than may leave, and than may wait: one frame leaves, one is lost with the rate for which it waits. */
export const FLOODED = {
  prepare: (node: TestNode): void =>
    limit(node, "pod3", { to: { bytesPerMs: 1, burstBytes: 10, limitBytes: 100 } }),
  send: (node: TestNode): void => {
    for (let i = 0; i < 3; i++) {
      node.send(
        "pod2",
        build.udpFrame({ ...pathTo(node, POD2, POD3), dstMac: node.gatewayMac, payload: 30 }),
      );
    }
    node.run();
    limit(node, "pod3", {});
  },
};
