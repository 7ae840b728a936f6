import t from "tap";
import { type AgentStatus, agentChecks } from "./agent-checks.ts";

const WELL: AgentStatus = {
  node: "node1",
  pid: 7,
  ready: true,
  ports: [{ name: "host0", kind: "host", pod: "", state: "up", error: "" }],
  objects: { nodes: 1, pods: 2, services: 0, endpointSlices: 1 },
  internalErrors: 0,
  refusedServicePorts: 0,
};
const LOST = "eth0: /run/netns/web: no such namespace";
const GONE = { name: "eth0 default/web", kind: "pod", pod: "default/web", state: "error", error: LOST };
const wrong = (changes: Partial<AgentStatus>, count = 0) =>
  agentChecks({ ...WELL, ...changes }, { count, max: 100 }).filter(({ ok }) => !ok);

t.test("all is well", async (t) => {
  const checks = agentChecks(WELL, { count: 94, max: 100 });
  t.ok(checks.every(({ ok, advice }) => ok && advice === ""));
  t.same(
    checks.map(({ check, detail }) => `${check}: ${detail}`),
    [
      "objects: 1 node, 2 pods, 0 services, 1 slice",
      "ports: 1 up",
      "services: all fit",
      "connections: 94 of 100",
      "data plane: no internal errors",
    ],
  );
});

t.test("each thing that is wrong is told once, with what to do", async (t) => {
  const missing = 'no Node object "node1" with an address and a podCIDR yet';
  const cases: [string, Partial<AgentStatus>, number, string, string][] = [
    ["no Node", { ready: false, error: missing }, 0, missing, "give its source a Node node1"],
    [
      "a port",
      { ready: false, error: LOST, ports: [GONE] },
      0,
      `pod default/web: ${LOST}`,
      "make its namespace",
    ],
    ["services", { refusedServicePorts: 3 }, 0, "3 service ports do not fit", "remove some Services"],
    ["the agent's own", { problems: ["a.yaml:3: no colon"] }, 0, "a.yaml:3: no colon", ""],
    ["full", {}, 95, "95 of 100", "raise conntrack.max"],
    ["errors", { internalErrors: 2 }, 0, "2 packets met an internal error", "report it"],
  ];
  for (const [what, changes, count, detail, advice] of cases) {
    const found = wrong(changes, count);
    t.equal(found.length, 1, what);
    t.ok(found[0].detail.startsWith(detail), `${what}: ${found[0].detail}`);
    t.ok(found[0].advice.startsWith(advice), `${what}: ${found[0].advice}`);
  }
});
