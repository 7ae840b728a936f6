import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { type Cell, cellOf } from "./column.ts";
import { columnsOfKind } from "./table.ts";

const NOW = Date.parse("2026-01-01T00:01:00Z");
const metadata = { name: "web", namespace: "default", creationTimestamp: "2026-01-01T00:00:00Z" };

/** Column → cell. */
function cells(kind: string, object: object): Record<string, Cell> {
  const whole = { kind, metadata, ...object } as KubeObject;
  return Object.fromEntries(columnsOfKind(kind).map((each) => [each.name, cellOf(each, whole, NOW)]));
}

// What a real server prints of three hundred objects is compared in native-test/cluster/tables.test.ts.
t.test("a pod that initializes, one whose sidecar runs, one that is ending", async (t) => {
  const spec = {
    containers: [{ name: "a" }],
    initContainers: [{ name: "i" }, { name: "side", restartPolicy: "Always" }],
  };
  const done = { name: "i", restartCount: 2, ready: false, state: { terminated: { exitCode: 0 } } };
  const side = { name: "side", restartCount: 1, ready: true, started: true, state: { running: {} } };
  const main = { name: "a", restartCount: 0, ready: true, started: true, state: { running: {} } };
  const pod = (status: object, more: object = {}): Record<string, Cell> =>
    cells("Pod", { spec, status: { phase: "Pending", ...status }, ...more });
  t.match(pod({}), { Ready: "0/2", Status: "Pending", Restarts: "0", IP: "<none>", Node: "<none>" });
  t.match(pod({ initContainerStatuses: [{ ...done, state: { running: {} } }] }), {
    Ready: "0/2",
    Status: "Init:0/2",
    Restarts: "2",
  });
  t.match(pod({ phase: "Running", initContainerStatuses: [done, side], containerStatuses: [main] }), {
    Ready: "2/2",
    Status: "Running",
    Restarts: "1",
  });
  const ending = { metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:30Z" } };
  t.match(pod({ phase: "Running" }, ending), { Status: "Terminating" });
  t.match(pod({ phase: "Failed", reason: "Evicted" }, ending), { Status: "Evicted" }, "it has ended already");
});

t.test("cells have their column's type", async (t) => {
  const counted = cells("ReplicaSet", { spec: { replicas: 2 }, status: {} });
  t.same([counted.Desired, counted.Current], [2, 0]);
  t.equal(cells("ConfigMap", { data: { a: "1" }, binaryData: { b: "AA==" } }).Data, 2);
  t.equal(cells("PriorityClass", { value: 7 })["Global-Default"], false);
  t.equal(cells("CronJob", { spec: { suspend: true, schedule: "* * * * *" } }).Suspend, "True");
});

t.test("a kind without columns of its own has a name and a date", async (t) => {
  t.same(cells("SomethingElse", {}), { Name: "web", "Created At": "2026-01-01T00:00:00Z" });
  t.same(cells("toString", {}), { Name: "web", "Created At": "2026-01-01T00:00:00Z" });
});

t.test("an object of another shape than its kind's spoils its own cells alone", async (t) => {
  const odd: unknown[] = [
    undefined,
    null,
    7,
    "text",
    [],
    {},
    { containers: 7 },
    { ports: "x", rules: { a: 1 } },
  ];
  const kinds =
    "Pod Service Deployment Job CronJob Ingress Endpoints EndpointSlice Node Event ResourceQuota APIService";
  for (const kind of kinds.split(" ")) {
    for (const spec of odd) {
      const row = cells(kind, { spec, status: spec, subsets: spec, endpoints: spec, involvedObject: spec });
      for (const [name, cell] of Object.entries(row))
        t.ok(["string", "number", "boolean"].includes(typeof cell), `${kind} ${name}: ${String(cell)}`);
    }
  }
  t.equal(cells("Service", { spec: { type: "ClusterIP", ports: "x" } })["Port(s)"], "<invalid>");
});
