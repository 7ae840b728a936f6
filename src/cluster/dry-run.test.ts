// Calls that do everything but storing, and calls that create.
import t from "tap";
import { parseManifests } from "../kube/manifest/manifest.ts";
import { type KubeObject, keyOf, type Service } from "../kube/objects.ts";
import { deleteNamed } from "../testing/world/delete-named.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";

const POD =
  "{ apiVersion: v1, kind: Pod, metadata: { name: a }, spec: { containers: [ { name: a, image: a } ] } }";
const SERVICE =
  "{ apiVersion: v1, kind: Service, metadata: { name: web }, spec: { ports: [ { port: 80 } ] } }";
const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: api }
spec:
  replicas: 2
  selector: { matchLabels: { app: api } }
  template: { metadata: { labels: { app: api } }, spec: { containers: [ { name: a, image: a } ] } }
`;
const ALL = `${POD}\n---\n${SERVICE}\n---\n${DEPLOYMENT}`;
const KINDS = ["Pod", "Service", "Deployment", "EndpointSlice"];

function watchedCluster() {
  const cluster = makeCluster({ nodes: 1 });
  const told: string[] = [];
  cluster.onChange(({ type, object }) => told.push(`${type} ${object.kind}/${keyOf(object)}`));
  const call = (text: string, options = {}): string[] =>
    cluster
      .applyManifests(parseManifests([{ file: "f.yaml", text }]), options)
      .map(({ resource, action }) => `${resource} ${action}`);
  return { cluster, told, call, objects: () => KINDS.flatMap((kind) => cluster.list(kind)) };
}

t.test("a dry run answers as the call would, and nothing is stored or told", async (t) => {
  const { cluster, told, call, objects } = watchedCluster();
  const version = cluster.store.version;
  const wanted = ["pod/a created", "service/web created", "deployment.apps/api created"];
  t.same(call(ALL, { dryRun: true }), wanted);
  t.same([objects(), told, cluster.store.version], [[], [], version]);
  t.same(call(ALL), wanted, "and the call itself, afterwards");
  t.equal(cluster.list("Pod").length, 3);
  t.same(call(ALL, { dryRun: true }), [
    "pod/a unchanged",
    "service/web unchanged",
    "deployment.apps/api unchanged",
  ]);
  t.same(call(SERVICE.replace("80", "81"), { dryRun: true }), ["service/web configured"]);
  t.equal((cluster.get("Service", "default/web") as Service).spec.ports?.[0].port, 80);
});

t.test("a dry run hands out what it would have stored", async (t) => {
  const { cluster } = watchedCluster();
  const apply = (dryRun: boolean) =>
    cluster.applyManifests(parseManifests([{ file: "f.yaml", text: ALL }]), { dryRun });
  const [pod, service, deployment] = apply(true).map(({ object }) => object);
  t.match(pod, {
    kind: "Pod",
    spec: { nodeName: "node1", restartPolicy: "Always" },
    status: { podIP: String },
  });
  t.match(service, { spec: { clusterIP: /^10\.96\./, type: "ClusterIP", ports: [{ targetPort: 80 }] } });
  t.match(deployment, { kind: "Deployment", metadata: { uid: String } });
  t.same(
    apply(false).map(({ object }) => object),
    [undefined, undefined, undefined],
    "a call that stores needs not say what",
  );
  t.equal(
    (cluster.get("Service", "default/web") as Service).spec.clusterIP,
    (service as Service).spec.clusterIP,
  );
});

t.test("a dry run is refused where the call would be", async (t) => {
  const { call } = watchedCluster();
  const taken = SERVICE.replace("spec: {", "spec: { clusterIP: 10.97.0.1,");
  t.throws(() => call(taken, { dryRun: true }), /clusterIPs.*10\.97\.0\.1/);
});

t.test("what a dry run allocates is free afterwards, what was allocated stays", async (t) => {
  const { cluster, call } = watchedCluster();
  call(SERVICE);
  const before = cluster.get("Service", "default/web");
  const other = SERVICE.replace("web", "other").replace("spec: {", "spec: { clusterIP: 10.96.0.9,");
  call(other, { dryRun: true });
  const address = (before as Service).spec.clusterIP as string;
  t.throws(() => call(other.replace("10.96.0.9", address)), /already allocated/);
  t.same(call(other), ["service/other created"]);
  t.same(cluster.get("Service", "default/web"), before);
});

t.test("a deletion's dry run", async (t) => {
  const { cluster, told, call, objects } = watchedCluster();
  call(ALL);
  const before = objects();
  told.length = 0;
  deleteNamed(cluster, "deploy", "default", ["api"], undefined, { dryRun: true });
  deleteNamed(cluster, "pod", "default", ["a"], 0, { dryRun: true });
  t.same([objects(), told], [before, []]);
});

t.test("create: an object that is there refuses the call, in kubectl's words", async (t) => {
  const { cluster, call } = watchedCluster();
  call(DEPLOYMENT);
  t.throws(() => call(ALL, { create: true }), {
    code: "ALREADY_EXISTS",
    message:
      'Error from server (AlreadyExists): error when creating "f.yaml": deployments.apps "api" already exists',
  });
  t.equal(cluster.get("Service", "default/web"), undefined, "nothing of the call is there");
  t.same(call(SERVICE, { create: true }), ["service/web created"]);
});

t.test("generateName makes another name each time for who creates", async (t) => {
  const { cluster } = watchedCluster();
  const isTaken = ({ kind, metadata }: KubeObject, name: string): boolean =>
    cluster.get(kind, keyOf({ metadata: { ...metadata, name } })) !== undefined;
  const create = (): string => {
    const text = POD.replace("name: a }", "generateName: web- }");
    return cluster.applyManifests(parseManifests([{ file: "f", text }], { isTaken }), { create: true })[0]
      .name;
  };
  t.equal(new Set([create(), create(), create()]).size, 3);
});
