// What an owner leaves behind, and what is waited for.
import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { deleteNamed } from "../../testing/world/delete-named.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
import type { Cluster } from "../cluster.ts";

const owner = ({ apiVersion, kind, metadata: { name, uid } }: KubeObject, more: object = {}) =>
  ({ apiVersion, kind, name, uid, ...more }) as never;

function made(cluster: Cluster, name: string, owners: object[] = [], finalizers: string[] = []): KubeObject {
  const metadata = {
    ...{ name, namespace: "default" },
    ...(owners.length === 0 ? {} : { ownerReferences: owners }),
    ...(finalizers.length === 0 ? {} : { finalizers }),
  };
  return cluster.write({ apiVersion: "v1", kind: "ConfigMap", metadata } as KubeObject);
}

const names = (cluster: Cluster, kind = "ConfigMap"): string =>
  cluster
    .list(kind, "default")
    .map(({ metadata }) => `${metadata.name}${metadata.deletionTimestamp === undefined ? "" : " going"}`)
    .join(", ");

const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template: { metadata: { labels: { app: web } }, spec: { containers: [ { name: c, image: c } ] } }
`;

t.test("dependents of dependents go with it; who has another owner stays", async (t) => {
  const cluster = makeCluster();
  const a = made(cluster, "a");
  const other = made(cluster, "other");
  const b = made(cluster, "b", [owner(a)]);
  made(cluster, "c", [owner(b)]);
  made(cluster, "two", [owner(a), owner(other)]);
  made(cluster, "dump", [{ ...(owner(a) as object), uid: "of another cluster" }]);
  cluster.delete(a);
  t.equal(names(cluster), "dump, other, two");
  t.same(cluster.get("ConfigMap", "default/two")?.metadata.ownerReferences, [owner(other)]);
  cluster.delete(other);
  t.equal(names(cluster), "dump");
});

t.test("podwire's own deletion does the same", async (t) => {
  const cluster = makeCluster();
  made(cluster, "b", [owner(made(cluster, "a"))]);
  deleteNamed(cluster, "cm", "default", ["a"]);
  t.equal(names(cluster), "");
});

t.test("orphans stay, and are nobody's", async (t) => {
  const cluster = makeCluster();
  cluster.apply([{ file: "a", text: DEPLOYMENT }]);
  const pods = names(cluster, "Pod");
  const sets = names(cluster, "ReplicaSet");
  t.equal(pods.split(", ").length, 2);
  cluster.delete(cluster.get("Deployment", "default/web") as KubeObject, { propagation: "Orphan" });
  t.same([names(cluster, "ReplicaSet"), names(cluster, "Pod")], [sets, pods]);
  t.ok(cluster.list("ReplicaSet").every(({ metadata }) => metadata.ownerReferences === undefined));
});

t.test("in the foreground the owner goes last", async (t) => {
  const cluster = makeCluster();
  cluster.apply([{ file: "a", text: DEPLOYMENT }]);
  cluster.delete(cluster.get("Deployment", "default/web") as KubeObject, { propagation: "Foreground" });
  t.equal(names(cluster, "Deployment"), "web going");
  const pods = cluster.list("Pod");
  t.equal(pods.filter(({ metadata }) => metadata.deletionTimestamp !== undefined).length, 2);
  cluster.remove(pods[0]);
  t.equal(names(cluster, "Deployment"), "web going");
  cluster.remove(pods[1]);
  t.equal(names(cluster, "Deployment"), "");
  t.equal(names(cluster, "Pod"), "", "and no more pods are made");
});

t.test("finalizers are waited for, those of a cluster's controllers are not", async (t) => {
  const cluster = makeCluster();
  const a = made(cluster, "a", [], ["example.org/mine", "kubernetes"]);
  const left = cluster.delete(a);
  t.match(left?.metadata, { deletionGracePeriodSeconds: 0, deletionTimestamp: "1970-01-01T00:00:00Z" });
  cluster.delete(a);
  t.equal(names(cluster), "a going");
  const now = cluster.get("ConfigMap", "default/a") as KubeObject;
  cluster.write({ ...now, metadata: { ...now.metadata, finalizers: ["kubernetes"] } });
  t.equal(names(cluster), "");
  cluster.delete(made(cluster, "b", [], ["kubernetes"]));
  t.equal(names(cluster), "");
});

t.test("a call that is refused, or only rehearsed, leaves who owns what as it was", async (t) => {
  const cluster = makeCluster();
  const a = made(cluster, "a");
  made(cluster, "b", [owner(a)]);
  cluster.delete(a, { dryRun: true });
  t.equal(names(cluster), "a, b");
  cluster.delete(a);
  t.equal(names(cluster), "");
});
