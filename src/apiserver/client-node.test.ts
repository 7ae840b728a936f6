// An independent client, Kubernetes' own for Node.js: its informers follow a churn over connections that are cut after
// any number of bytes, and end with what there is.
import { setTimeout as sleep } from "node:timers/promises";
import { CoreV1Api, KubeConfig, makeInformer, type V1ConfigMap } from "@kubernetes/client-node";
import t from "tap";
import type { KubeObject } from "../kube/objects.ts";
import { cutRelay } from "../testing/cut-relay.ts";
import { TestPrograms } from "../testing/pod-programs.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";
import { makeCredentials } from "./certificates.ts";
import { kubeconfigText } from "./kubeconfig.ts";
import { serveApi } from "./server.ts";

const SECONDS = 3;
const CHANGES_A_SECOND = 500;
const NAMES = 40;
const CUT_BYTES = 60_000;

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
}

t.test("informers end with what there is, and tell nothing that never was", async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  t.comment(`seed ${seed}`);
  const random = seeded(seed);
  const cluster = makeCluster();
  const credentials = await makeCredentials("test", ["localhost"], ["127.0.0.1"]);
  const programs = new TestPrograms();
  const server = await serveApi({ cluster, credentials, programs, port: 0, log: (line) => t.fail(line) });
  const relay = await cutRelay(server.port, random, CUT_BYTES);
  const told = new Set<string>();
  cluster.store.watch(({ object: { kind, metadata } }) => {
    if (kind === "ConfigMap") told.add(`${metadata.name}@${metadata.resourceVersion}`);
  });
  const config = new KubeConfig();
  config.loadFromString(kubeconfigText("test", `https://127.0.0.1:${relay.port}`, credentials));
  const api = config.makeApiClient(CoreV1Api);
  const path = "/api/v1/namespaces/default/configmaps";
  const informer = makeInformer(config, path, () => api.listNamespacedConfigMap({ namespace: "default" }));
  const known = new Map<string, string>();
  const invented: string[] = [];
  let errors = 0;
  let isOver = false;
  const idOf = ({ metadata }: V1ConfigMap): string => `${metadata?.name}@${metadata?.resourceVersion}`;
  const set = (object: V1ConfigMap): void => {
    if (!told.has(idOf(object))) invented.push(idOf(object));
    known.set(object.metadata?.name ?? "", object.metadata?.resourceVersion ?? "");
  };
  const start = (): void => {
    if (!isOver) informer.start().catch(again);
  };
  const again = (): void => {
    errors++;
    setTimeout(start, 5);
  };
  informer.on("add", set);
  informer.on("update", set);
  informer.on("delete", (object) => known.delete(object.metadata?.name ?? ""));
  informer.on("error", again);
  start();
  for (let i = 0; i < SECONDS * 100; i++) {
    for (let n = 0; n < CHANGES_A_SECOND / 100; n++)
      change(cluster, `m${Math.floor(random() * NAMES)}`, `${i}/${n}`);
    await sleep(10);
  }
  relay.isCutting = false;
  const is = (): string => JSON.stringify(cluster.list("ConfigMap", "default").map(versioned));
  const was = (): string => JSON.stringify([...known].sort());
  for (let i = 0; i < 500 && was() !== is(); i++) await sleep(20);
  t.equal(was(), is());
  t.same(invented, []);
  t.ok(relay.cuts > 5, `${relay.cuts} cuts, ${errors} of them told`);
  t.ok(told.size > SECONDS * CHANGES_A_SECOND * 0.5, `${told.size} changes`);
  isOver = true;
  await informer.stop();
  relay.close();
  server.close();
});

function versioned({ metadata }: KubeObject): [string, string | undefined] {
  return [metadata.name, metadata.resourceVersion];
}

function change(cluster: ReturnType<typeof makeCluster>, name: string, value: string): void {
  const old = cluster.get("ConfigMap", `default/${name}`);
  const metadata = { name, namespace: "default" };
  if (old !== undefined && value.endsWith("0")) cluster.delete(old);
  else cluster.write({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { value } } as KubeObject);
}
