// The comparison of affinity's time-outs against two nodes of our own: equal ones do not differ, others are found.
import t from "tap";
import { service, slice } from "../world/proxy-objects.ts";
import { Numbers } from "./compare.ts";
import { AffinityComparison, type TimedSide, withShortAffinity } from "./compare-affinity.ts";
import { PlaneSide } from "./plane.ts";
import { type Scenario, scenario } from "./scenario.ts";
import { V4 } from "./world.ts";

const base = scenario(2, "iptables", V4);
const endpoints = [...V4.pods, ...V4.remotePods].map((address) => ({ address }));
const web = service({ spec: { sessionAffinity: "ClientIP" } });
const made: Scenario = withShortAffinity({
  ...base,
  proxy: { mode: "iptables", clusterCIDR: V4.clusterCidr },
  objects: [
    ...base.objects.filter(({ kind }) => kind === "Node" || kind === "Pod"),
    web,
    slice({ endpoints }),
  ],
  services: [web],
  affinity: true,
});

/** A node whose time goes `speed` times as fast as it is told. */
function side(speed = 1): TimedSide {
  const plane = new PlaneSide(made);
  return {
    begin: () => plane.reset(),
    shoot: (shots) => plane.shoot(shots, true),
    wait: (ms) => plane.pause(ms * speed),
  };
}

const differences = (kernel: TimedSide, podwire: TimedSide) =>
  new AffinityComparison(made, { kernel, podwire }, new Numbers()).differences();

t.test("time-outs that are the same do not differ", async (t) => {
  t.same(await differences(side(), side()), []);
});

t.test("one that is too long, or too short, is found", async (t) => {
  const [late] = await differences(side(), side(0.5));
  t.match(late, { kernel: ["another endpoint"], podwire: ["the same endpoint"] });
  t.match(late.flow, "1400 ms after");
  const early = await differences(side(), side(2));
  t.ok(early.some(({ flow, kernel }) => /600 ms/.test(flow) && kernel.join() === "the same endpoint"));
});
