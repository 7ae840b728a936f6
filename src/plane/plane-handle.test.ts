// The worker as the main thread sees it: changes of any size are taken in, and none holds the plane up for long.

import t from "tap";
import { Action, FrontendKind, type ServicePortSpec } from "../dataplane/spec/services.ts";
import { loadNative } from "../native/binding.ts";
import { PlaneHandle } from "./plane-handle.ts";

const SIZES = {
  ...{ conntrackLog2: 10, maxPorts: 4, fdbLog2: 4, neighborsLog2: 4, stationsLog2: 4, poolSlots: 4 },
  ...{ frontendsLog2: 10, endpointsLog2: 10, policyRulesLog2: 4, seed: 7 },
};

function spec(id: number, endpoints: number): ServicePortSpec {
  const each = { action: Action.DNAT, set: 0, masquerade: false };
  const address = { w0: 0, w1: 0, w2: 0xffff };
  return {
    id,
    name: `s${id}`,
    protocol: 6,
    affinitySec: 0,
    endpoints: Array.from({ length: endpoints }, (_, i) => ({ ...address, w3: i, port: id, flags: 6 })),
    sets: [Array.from({ length: endpoints }, (_, i) => i)],
    frontends: [
      {
        kind: FrontendKind.CLUSTER_IP,
        ...{ ...address, w3: id, family: 4, port: 80 },
        sourceRanges: null,
        byClass: [each, each, each],
      },
    ],
  };
}

t.test("service ports that do not fit are told, and taken in when there is room", async (t) => {
  const onExit = (error: Error): void => void t.fail(error.message);
  const scheduling = { spinUs: 0, cpuLatencyUs: -1, nice: 0 };
  const plane = new PlaneHandle(loadNative(), { sizes: SIZES, ...scheduling, onExit });
  t.teardown(() => plane.stop());
  const put = (...upsert: ServicePortSpec[]): Promise<void> =>
    plane.apply({ type: "services", update: { upsert, remove: [] } });
  await put(spec(1, 500), spec(2, 500));
  t.same(plane.refused.count, 0);
  await put(spec(3, 500), spec(4, 10));
  t.same(plane.refused, { count: 1, id: 3 }, "the small one fits");
  await plane.apply({ type: "services", update: { upsert: [], remove: [1] } });
  for (let i = 0; i < 200 && plane.refused.count > 0; i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(plane.refused.count, 0);
  t.equal(plane.errors, 0);
  t.ok(plane.heldMs > 0);
});
