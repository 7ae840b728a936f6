import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import type { ConfigMap, KubeObject } from "../../kube/objects.ts";
import { deleteNamed } from "../../testing/world/delete-named.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
import { publishRootCertificate } from "./root-certificate.ts";

t.test("every namespace has the certificate, and has it again", async (t) => {
  const cluster = makeCluster();
  publishRootCertificate(cluster, "PEM");
  const inside = (namespace: string): ConfigMap | undefined =>
    cluster.get("ConfigMap", `${namespace}/kube-root-ca.crt`) as ConfigMap | undefined;
  const settled = async (namespace: string): Promise<ConfigMap | undefined> => {
    await turn();
    await turn();
    return inside(namespace);
  };
  t.match(inside("kube-system"), { data: { "ca.crt": "PEM" } });
  cluster.update({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } } as KubeObject);
  t.match(await settled("shop"), { data: { "ca.crt": "PEM" } });
  deleteNamed(cluster, "configmap", "shop", ["kube-root-ca.crt"]);
  t.match(await settled("shop"), { data: { "ca.crt": "PEM" } });
  const { metadata, ...rest } = inside("shop") as ConfigMap;
  cluster.update({ ...rest, metadata: { ...metadata, labels: { a: "1" } }, data: {} } as ConfigMap);
  t.match(await settled("shop"), { metadata: { labels: { a: "1" } }, data: { "ca.crt": "PEM" } });
  const { version } = cluster.store;
  await turn();
  t.equal(cluster.store.version, version);
  deleteNamed(cluster, "namespace", "default", ["shop"]);
  t.equal(await settled("shop"), undefined);
});
