// Conditions of a lab's Nodes: when they change, when they only beat, and what is left of them when a node is given up.
import t from "tap";
import type { Node } from "../../kube/objects.ts";
import type { NodeAgent } from "../node-agent.ts";
import { planTopology } from "../topology.ts";
import { type Health, nodeObject } from "./node-object.ts";

const topology = planTopology("x", {});
const [plan] = topology.nodes;
const agent = (ready: boolean, reason = ""): NodeAgent =>
  ({ node: plan, ready, report: () => ({ name: plan.name, reason }) }) as unknown as NodeAgent;
const made = (
  current: Node | undefined,
  nowMs: number,
  ready = true,
  health: Health = {},
  reason = "",
): Node => nodeObject(topology, plan, agent(ready, reason), current, nowMs, health) as Node;
const conditionOf = (node: Node, type: string) => node.status.conditions?.find((each) => each.type === type);
const MINUTE = 60_000;
const [AT_0, AT_4, AT_5] = ["1970-01-01T00:00:00Z", "1970-01-01T00:04:00Z", "1970-01-01T00:05:00Z"];

t.test("conditions are those of a kubelet", async (t) => {
  const { conditions = [], nodeInfo } = made(undefined, 0).status;
  t.same(
    conditions.map(({ type, status }) => `${type} ${status}`),
    ["MemoryPressure False", "DiskPressure False", "PIDPressure False", "Ready True"],
  );
  t.match(conditionOf(made(undefined, 0), "Ready"), {
    ...{ reason: "KubeletReady", message: "kubelet is posting ready status" },
    ...{ lastHeartbeatTime: AT_0, lastTransitionTime: AT_0 },
  });
  t.match(nodeInfo, { operatingSystem: "linux" });
});

t.test("where nothing changes they beat every five minutes, and the transition stays", async (t) => {
  const first = made(undefined, 0);
  t.same(made(first, 4 * MINUTE), first, "not earlier");
  t.match(conditionOf(made(first, 5 * MINUTE), "DiskPressure"), {
    lastHeartbeatTime: AT_5,
    lastTransitionTime: AT_0,
  });
});

t.test("what changes is told at once; another's conditions stay", async (t) => {
  const first = made(undefined, 0);
  first.status.conditions?.push({ type: "NetworkUnavailable", status: "False" });
  const pressed = made(first, 4 * MINUTE, true, { pressure: { memory: true, disk: false, pids: false } });
  t.match(conditionOf(pressed, "MemoryPressure"), { status: "True", lastTransitionTime: AT_4 });
  t.match(conditionOf(pressed, "DiskPressure"), { lastHeartbeatTime: AT_0 });
  t.match(conditionOf(pressed, "NetworkUnavailable"), { status: "False" });
  const unready = made(first, 4 * MINUTE, false, {}, "no carrier");
  t.match(conditionOf(unready, "Ready"), {
    status: "False",
    message: "no carrier",
    lastTransitionTime: AT_4,
  });
});

t.test("nobody knows anything of a node that was given up", async (t) => {
  const lost = made(made(undefined, 0), MINUTE, false, { isLost: true });
  for (const type of ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"])
    t.match(conditionOf(lost, type), {
      ...{ status: "Unknown", reason: "NodeStatusUnknown" },
      message: "Kubelet stopped posting node status.",
    });
});
