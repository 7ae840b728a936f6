// podwire's own opinion: the plane of node1, without a machine, and a packet for each connection.
import type { IpFamily } from "../../base/ip.ts";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { Numbers } from "../judge/compare.ts";
import { PlaneSide } from "../judge/plane.ts";
import type { Scenario } from "../judge/scenario.ts";
import { V4, V6 } from "../judge/world.ts";
import { clusterOf, type Named } from "./cluster.ts";
import type { Cell } from "./evaluator.ts";
import { GROUND } from "./ground.ts";
import { allowedAtNode, nodeCell } from "./node-cells.ts";
import type { SideMaker } from "./policy-judge.ts";

/** Of clusters on the judges' own ground. A change reaches the plane as one, under its connections. */
export const podwirePlane: SideMaker = (objects, before) => {
  const cluster = clusterOf(objects);
  const planes = new Map<IpFamily, PlaneSide>();
  const numbers = new Numbers();
  const planeOf = (family: IpFamily): PlaneSide => {
    let plane = planes.get(family);
    if (plane === undefined) {
      plane = new PlaneSide(scenarioOf(before ?? objects, family));
      if (before !== undefined) plane.update(scenarioOf(objects, family));
      planes.set(family, plane);
    }
    return plane;
  };
  return {
    name: "podwire's plane",
    allows: (cell: Cell) => {
      const asked = nodeCell(GROUND, cluster, cell);
      if (asked === undefined) return undefined;
      const shot = { flow: asked.flow, ...numbers.next() };
      return planeOf(cell.from.includes(":") ? 6 : 4)
        .shoot([shot])
        .texts.has(shot.id);
    },
    share: (cell, answer) => allowedAtNode(GROUND, cell, answer),
  };
};

/** As an API server would give them back. */
function readAll(objects: readonly Named[]): KubeObject[] {
  const text = objects.map((object) => JSON.stringify(object)).join("\n---\n");
  return parseManifests([{ file: "cluster", text }]).map(({ object }) => object);
}

function scenarioOf(objects: readonly Named[], family: IpFamily): Scenario {
  const read = readAll(objects);
  const node = read.find(({ kind }) => kind === "Node") as { spec?: { podCIDRs?: string[] } } | undefined;
  return {
    seed: 1,
    mode: "iptables",
    world: family === 4 ? V4 : V6,
    objects: read,
    proxy: { mode: "iptables" },
    attach: "veth",
    services: [],
    dual: (node?.spec?.podCIDRs ?? []).length > 1,
    affinity: false,
  };
}
