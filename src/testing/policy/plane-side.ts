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

/** What stands for a cluster's objects, until they change. */
interface Standing {
  readonly planes: Map<IpFamily, PlaneSide>;
  readonly numbers: Numbers;
}

const standing = new WeakMap<readonly Named[], Standing>();

/** Of clusters on the judges' own ground. A change reaches the plane as one, under its connections. */
export const podwirePlane: SideMaker = (objects, before) => {
  const cluster = clusterOf(objects);
  const former = before && standing.get(before);
  if (before !== undefined) standing.delete(before);
  const { numbers } = former ?? { numbers: new Numbers() };
  const planes = new Map<IpFamily, PlaneSide>();
  const planeOf = (family: IpFamily): PlaneSide => {
    let plane = planes.get(family);
    if (plane === undefined) {
      plane = former?.planes.get(family) ?? new PlaneSide(scenarioOf(before ?? objects, family));
      if (before !== undefined) plane.update(scenarioOf(objects, family));
      planes.set(family, plane);
    }
    return plane;
  };
  standing.set(objects, { planes, numbers });
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

/** What was read once is the same for every family, and for every side that is asked about these objects. */
const alreadyRead = new WeakMap<readonly Named[], readonly KubeObject[]>();

/** As an API server would give them back. */
function readAll(objects: readonly Named[]): readonly KubeObject[] {
  let read = alreadyRead.get(objects);
  if (read === undefined) {
    const text = objects.map((object) => JSON.stringify(object)).join("\n---\n");
    read = parseManifests([{ file: "cluster", text }]).map(({ object }) => object);
    alreadyRead.set(objects, read);
  }
  return read;
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
