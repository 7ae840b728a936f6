import t from "tap";
import type { KubeObject } from "../kube/objects.ts";
import { Store, type StoreEvent } from "./store.ts";

const object = (name: string, data: object = {}): KubeObject =>
  ({ apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, ...data }) as KubeObject;

t.test("put: created, configured with a new resourceVersion, unchanged without one", async (t) => {
  const store = new Store();
  t.equal(store.put(object("a", { spec: { x: 1 } })), "created");
  const first = store.get("Service", "default/a");
  t.equal(store.put(object("a", { spec: { x: 1, y: undefined } })), "unchanged");
  t.equal(store.get("Service", "default/a"), first);
  t.equal(store.put(object("a", { spec: { x: 2 } })), "configured");
  const second = store.get("Service", "default/a");
  t.equal(second?.metadata.uid, first?.metadata.uid);
  t.ok(Number(second?.metadata.resourceVersion) > Number(first?.metadata.resourceVersion));
});

t.test(
  "generations count what is asked for, whoever writes it, and neither status nor metadata",
  async (t) => {
    const store = new Store();
    const put = (kind: string, data: object): number | undefined => {
      store.put({ ...object("a", data), kind });
      return store.get(kind, "default/a")?.metadata.generation;
    };
    for (const kind of ["Deployment", "Pod", "NetworkPolicy", "Widget.example.com"]) {
      t.equal(put(kind, { spec: { x: 1 } }), 1, kind);
      t.equal(put(kind, { spec: { x: 1 }, status: { y: 1 } }), 1, "status");
      t.equal(put(kind, { spec: { x: 2 }, status: { y: 1 } }), 2, "spec");
    }
    t.equal(put("Bare.example.com", { size: 1 }), 1, "custom resources need no spec");
    t.equal(put("Bare.example.com", { size: 2 }), 2);
    for (const kind of ["Service", "Node"]) t.equal(put(kind, { spec: { x: 1 } }), undefined, kind);
    t.equal(put("ConfigMap", { data: { x: "1" } }), undefined);
  },
);

t.test("list is sorted, by namespace if asked; remove gives back what was there", async (t) => {
  const store = new Store();
  for (const name of ["c", "a", "b"]) store.put(object(name));
  t.same(
    store.list("Service").map((o) => o.metadata.name),
    ["a", "b", "c"],
  );
  t.same(store.list("Service", "other"), []);
  t.equal(store.remove("Service", "default/b")?.metadata.name, "b");
  t.equal(store.remove("Service", "default/b"), undefined);
  t.equal(store.count("Service"), 2);
  t.throws(() => store.list("Lab"), TypeError);
});

t.test("a transaction that throws leaves everything as it was and tells nobody", async (t) => {
  const store = new Store();
  store.put(object("a", { spec: { x: 1 } }));
  store.put(object("gone"));
  const heard: StoreEvent[] = [];
  store.watch((event) => heard.push(event));
  let undone = 0;
  t.throws(() =>
    store.transaction(() => {
      store.put(object("a", { spec: { x: 2 } }));
      store.put(object("b"));
      store.remove("Service", "default/gone");
      store.onRollback(() => undone++);
      throw new Error("no");
    }),
  );
  t.match(store.get("Service", "default/a"), { spec: { x: 1 } });
  t.same(
    store.list("Service").map((o) => o.metadata.name),
    ["a", "gone"],
  );
  t.same(heard, []);
  t.equal(undone, 1);
});

t.test("watchers hear after the transaction, observers inside it", async (t) => {
  const store = new Store();
  const order: string[] = [];
  store.watch(({ type, object }) => order.push(`watch ${type} ${object.metadata.name}`));
  const stop = store.observe(({ type }) => order.push(`observe ${type}`));
  store.transaction(() => {
    store.put(object("a"));
    store.transaction(() => store.remove("Service", "default/a"));
    order.push("end");
  });
  stop();
  store.put(object("b"));
  t.same(order, [
    "observe ADDED",
    "observe DELETED",
    "end",
    "watch ADDED a",
    "watch DELETED a",
    "watch ADDED b",
  ]);
});
