// Pods as the plug-in ServiceAccount leaves them, by manifests, controllers and the API's way in alike.
import t from "tap";
import { hasCode } from "../../base/errors.ts";
import type { KubeObject, Pod } from "../../kube/objects.ts";
import { deleteNamed } from "../../testing/world/delete-named.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";

const FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";
const pod = (spec: object, metadata: object = {}): object => ({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "a", ...metadata } },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
});
const account = (name: string, more: object = {}): object => ({
  ...{ apiVersion: "v1", kind: "ServiceAccount", metadata: { name } },
  ...more,
});
const apply = (cluster: ReturnType<typeof makeCluster>, ...objects: object[]): void =>
  void cluster.apply(
    objects.map((object, i) => ({ file: `${i}`, text: JSON.stringify(object) })),
    { carries: true },
  );
const podOf = (...objects: object[]): Pod => {
  const cluster = makeCluster({ hasApi: true });
  apply(cluster, ...objects);
  return cluster.get("Pod", "default/a") as Pod;
};

t.test("a pod runs as default, with the volume by which it calls the API", async (t) => {
  const init = [{ name: "i", image: "i", volumeMounts: [{ name: "v", mountPath: "/v" }] }];
  const { spec } = podOf(pod({ initContainers: init, volumes: [{ name: "v", emptyDir: {} }] }));
  t.match(spec, { serviceAccountName: "default", serviceAccount: "default" });
  const [v, volume] = spec.volumes ?? [];
  t.equal(v.name, "v");
  t.match(volume.name, /^kube-api-access-[a-z0-9]{5}$/);
  t.same(volume.projected, {
    defaultMode: 420,
    sources: [
      { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
      { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
      {
        downwardAPI: {
          items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
        },
      },
    ],
  });
  const own = { name: volume.name, readOnly: true, mountPath: FOLDER };
  t.same(spec.containers[0].volumeMounts, [own]);
  t.same(spec.initContainers?.[0].volumeMounts, [{ name: "v", mountPath: "/v" }, own]);
});

t.test("the pod says whether it is mounted, else its account; what is there already is left", async (t) => {
  const mounts = (...objects: object[]): boolean => podOf(...objects).spec.volumes !== undefined;
  const no = { automountServiceAccountToken: false };
  t.equal(mounts(pod(no)), false);
  t.equal(mounts(account("own", no), pod({ serviceAccountName: "own" })), false);
  t.equal(
    mounts(account("own", no), pod({ serviceAccountName: "own", automountServiceAccountToken: true })),
    true,
  );
  t.equal(mounts(account("default", no), pod({})), false);
  const mount = { name: "mine", mountPath: FOLDER };
  const containers = [
    { name: "c", image: "i", volumeMounts: [mount] },
    { name: "d", image: "i" },
  ];
  const volumes = [{ name: "mine", emptyDir: {} }];
  const { spec } = podOf(pod({ containers, volumes }));
  t.same(spec.containers[0].volumeMounts, [mount]);
  t.equal(spec.containers[1].volumeMounts?.[0].mountPath, FOLDER);
  t.equal(spec.volumes?.length, 2);
  t.equal(podOf(pod({ containers: containers.slice(0, 1), volumes })).spec.volumes?.length, 1);
  const mirror = podOf(pod({}, { annotations: { "kubernetes.io/config.mirror": "1" } }));
  t.equal(mirror.spec.serviceAccountName, undefined);
});

t.test("an account has to be there, but the one that every namespace has", async (t) => {
  const cluster = makeCluster({ hasApi: true });
  try {
    apply(cluster, pod({ serviceAccountName: "own" }));
    t.fail("it was taken");
  } catch (error) {
    t.match(
      (error as Error).message,
      /error looking up service account default\/own: serviceaccount "own" not found/,
    );
    t.notOk(hasCode(error, "RECONCILE_LOOP"));
  }
  apply(cluster, pod({ serviceAccountName: "own" }), account("own", { imagePullSecrets: [{ name: "k" }] }));
  t.match((cluster.get("Pod", "default/a") as Pod).spec.imagePullSecrets, [{ name: "k" }]);
  const shop = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } };
  apply(cluster, pod({}, { namespace: "shop" }), shop);
  t.ok(cluster.get("ServiceAccount", "shop/default"));
  deleteNamed(cluster, "sa", "shop", ["default"]);
  t.ok(cluster.get("ServiceAccount", "shop/default"), "it is made again");
  deleteNamed(cluster, "namespace", "default", ["shop"]);
  t.equal(cluster.get("ServiceAccount", "shop/default"), undefined, "and goes with its namespace");
});

t.test("pods of controllers come when their account comes", async (t) => {
  const labels = { app: "a" };
  const { spec } = pod({ serviceAccountName: "own" }) as { spec: object };
  const cluster = makeCluster({ hasApi: true, events: true });
  apply(cluster, {
    ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "a" } },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  });
  const messages = (cluster.list("Event") as (KubeObject & { message?: string })[]).map(
    (each) => each.message,
  );
  t.ok(
    messages.some((each) => each?.includes('serviceaccount "own" not found')),
    messages.join(),
  );
  t.equal(cluster.list("Pod").length, 0);
  apply(cluster, account("own"));
  const pods = cluster.list("Pod") as Pod[];
  t.equal(pods.length, 2);
  t.ok(pods.every((each) => each.spec.containers[0].volumeMounts?.length === 1));
});

t.test("a manifest that is applied again changes nothing", async (t) => {
  const cluster = makeCluster({ hasApi: true });
  const manifest = pod({ volumes: [{ name: "v", emptyDir: {} }] }, { labels: { a: "1" } });
  apply(cluster, manifest);
  const before = cluster.get("Pod", "default/a");
  apply(cluster, manifest);
  t.equal(cluster.get("Pod", "default/a"), before);
  apply(cluster, pod({ volumes: [{ name: "v", emptyDir: {} }] }, { labels: { a: "2" } }));
  const after = cluster.get("Pod", "default/a") as Pod;
  t.same(after.spec, (before as Pod).spec);
  t.same(after.metadata.labels, { a: "2" });
  t.throws(() => apply(cluster, pod({ volumes: [{ name: "w", emptyDir: {} }] })), {
    message: /pod updates may not change fields/,
  });
});

t.test("without an API pods are as they are written", async (t) => {
  const cluster = makeCluster();
  apply(cluster, pod({ serviceAccountName: "own" }));
  t.equal((cluster.get("Pod", "default/a") as Pod).spec.volumes, undefined);
  t.same(cluster.list("ServiceAccount"), []);
});
