// What `explain` says of a connection of the mesh: by whom it goes, and with which policies.
import t from "tap";
import { AskedWorld, CLUSTER_IP } from "../../testing/world/explain-world.ts";
import { testPod, testPolicy } from "../../testing/world/policy-world.ts";

const [CLIENT, FAR, PROXY] = ["10.244.1.2", "10.244.2.5", "10.244.1.7"];
const MESHED = {
  ...{ apiVersion: "v1", kind: "Namespace" },
  metadata: { name: "default", labels: { "podwire.dev/mesh": "enabled" } },
};
const PODS = [
  MESHED,
  testPod({ name: "client", ips: [CLIENT] }),
  testPod({ name: "api", ips: [FAR], node: "node2" }),
];
const proxy = testPod({
  ...{ name: "podwire-mesh-x", namespace: "podwire-system", ips: [PROXY] },
  labels: { "app.kubernetes.io/name": "podwire-mesh" },
});
const endpoints = [{ at: FAR, node: "node2" }];
const told = (world: AskedWorld): string[] =>
  world.explain(CLIENT, CLUSTER_IP).steps.map(({ hook, text }) => `${hook}: ${text}`);
const STEP = `PREROUTING: ${FAR} is a pod of the mesh: the node's mesh proxy carries the connection`;

t.test("a pod of the mesh asks a service: its proxy carries that", async (t) => {
  const world = new AskedWorld({ endpoints, more: [...PODS, proxy] });
  t.match(world.explain(CLIENT, CLUSTER_IP), {
    verdict: "dnat",
    endpoints: [`${FAR}:8080`],
    masquerade: false,
  });
  t.ok(told(world).includes(STEP), told(world).join("\n"));
  t.notOk(
    world.explain("10.244.1.99", CLUSTER_IP).steps.some(({ table }) => table === "mangle"),
    "of no mesh",
  );
});

t.test("objects without a proxy tell of the way without", async (t) => {
  const world = new AskedWorld({ endpoints, more: PODS });
  t.equal(world.explain(CLIENT, CLUSTER_IP).verdict, "dnat");
  t.notOk(told(world).includes(STEP));
});

t.test("what a NetworkPolicy denies gets to no proxy", async (t) => {
  const closed = testPolicy("closed", { podSelector: {}, policyTypes: ["Egress"] });
  const world = new AskedWorld({ endpoints, more: [...PODS, proxy, closed] });
  t.match(world.explain(CLIENT, CLUSTER_IP), { verdict: "drop", allowed: false });
  t.notOk(told(world).includes(STEP));
});
