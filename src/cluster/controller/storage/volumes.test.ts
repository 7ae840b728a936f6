// Claims and volumes: bound, made, let go.
import t from "tap";
import type { KubeObject } from "../../../kube/objects.ts";
import { makeCluster } from "../../../testing/world/make-cluster.ts";
import { STANDARD_CLASS } from "./volumes.ts";

const claim = (name: string, spec: object = {}): KubeObject =>
  ({
    ...{ apiVersion: "v1", kind: "PersistentVolumeClaim", metadata: { name, namespace: "default" } },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, ...spec },
  }) as unknown as KubeObject;
const volume = (name: string, storage: string, spec: object = {}): KubeObject =>
  ({
    ...{ apiVersion: "v1", kind: "PersistentVolume", metadata: { name } },
    spec: {
      ...{ accessModes: ["ReadWriteOnce", "ReadOnlyMany"], capacity: { storage } },
      ...{ hostPath: { path: "/x" }, persistentVolumeReclaimPolicy: "Retain", ...spec },
    },
  }) as unknown as KubeObject;

t.test("a claim gets a volume of its class, and the volume goes with it", async (t) => {
  const cluster = makeCluster();
  cluster.write(STANDARD_CLASS);
  cluster.write(claim("a"));
  const made = cluster.get("PersistentVolumeClaim", "default/a") as KubeObject;
  const name = `pvc-${made.metadata.uid}`;
  t.match(made, {
    metadata: { annotations: { "pv.kubernetes.io/bind-completed": "yes" } },
    spec: { storageClassName: "standard", volumeName: name },
    status: { phase: "Bound", accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" } },
  });
  t.match(cluster.get("PersistentVolume", name), {
    spec: {
      ...{
        claimRef: { namespace: "default", name: "a", uid: made.metadata.uid },
        storageClassName: "standard",
      },
      persistentVolumeReclaimPolicy: "Delete",
    },
    status: { phase: "Bound" },
  });
  cluster.delete(made);
  t.same(cluster.list("PersistentVolume"), []);
  cluster.write(claim("b", { storageClassName: "gp2" }));
  t.match(
    cluster.get("PersistentVolumeClaim", "default/b"),
    { status: { phase: "Bound" } },
    "whatever its class",
  );
});

t.test("a claim without a class waits for a volume that fits", async (t) => {
  const cluster = makeCluster();
  const phase = (kind: string, key: string) =>
    (cluster.get(kind, key) as { status?: { phase?: string } }).status?.phase;
  cluster.write(claim("a", { storageClassName: "" }));
  t.equal(phase("PersistentVolumeClaim", "default/a"), "Pending");
  cluster.write(volume("small", "500Mi"));
  cluster.write(volume("many", "2Gi", { accessModes: ["ReadOnlyMany"] }));
  t.same(
    [phase("PersistentVolumeClaim", "default/a"), phase("PersistentVolume", "small")],
    ["Pending", "Available"],
  );
  cluster.write(volume("large", "5Gi"));
  t.match(cluster.get("PersistentVolumeClaim", "default/a"), {
    spec: { volumeName: "large" },
    status: { phase: "Bound", capacity: { storage: "5Gi" } },
  });
  cluster.delete(cluster.get("PersistentVolumeClaim", "default/a") as KubeObject);
  t.equal(phase("PersistentVolume", "large"), "Released", "what is in it is kept");
  cluster.write(claim("b", { storageClassName: "", volumeName: "large" }));
  t.equal(phase("PersistentVolumeClaim", "default/b"), "Pending", "it is another's");
  cluster.write(claim("c", { storageClassName: "", volumeName: "many", accessModes: ["ReadOnlyMany"] }));
  t.equal(phase("PersistentVolumeClaim", "default/c"), "Bound");
  const kept = { claimRef: { namespace: "default", name: "d" } };
  cluster.write(volume("kept", "1Gi", kept));
  t.equal(phase("PersistentVolume", "kept"), "Available");
  cluster.write(claim("d", { storageClassName: "" }));
  t.match(cluster.get("PersistentVolumeClaim", "default/d"), { spec: { volumeName: "kept" } }, "kept for it");
});
