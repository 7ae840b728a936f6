// The client of the Kubernetes API by a Unix socket: what it finds, how it goes on when it is cut.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { makeCredentials } from "../../apiserver/certificates.ts";
import { type ApiServer, serveApi } from "../../apiserver/server.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { TestPrograms } from "../../testing/pod-programs.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
import { ApiClient, pathOf } from "./api-client.ts";
import { ApiError, apiError } from "./api-error.ts";
import { type Fetch, ResourceFinder } from "./discovery.ts";
import { SocketTransport } from "./transport.ts";
import { watchKinds } from "./watch-objects.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-client-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const socket = join(folder, "api.sock");
const credentials = await makeCredentials("test", ["localhost"], ["127.0.0.1"]);
const cluster = makeCluster({ nowMs: Date.now });
const serve = (): Promise<ApiServer> =>
  serveApi({
    ...{ cluster, credentials, programs: new TestPrograms(), port: 0, socket },
    log: (line) => t.fail(line),
  });
const map = (name: string, data = {}) =>
  ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" }, data }) as KubeObject;

t.test("objects by a socket that nobody else may open", async (t) => {
  const server = await serve();
  t.teardown(() => server.close());
  t.equal(statSync(socket).mode & 0o777, 0o600);
  const api = new ApiClient(new SocketTransport("lab test", socket), true);
  const resource = await api.resource("cm");
  const place = { resource, namespace: "default" };
  t.match(await api.create(place, map("a", { x: "1" })), { metadata: { name: "a", uid: /./ } });
  t.match(await api.list(place), {
    items: [{ kind: "ConfigMap", apiVersion: "v1" }],
    resourceVersion: /^\d+$/,
  });
  t.match(await api.patch({ ...place, name: "a" }, "merge", { data: { y: "2" } }), {
    data: { x: "1", y: "2" },
  });
  const table = await api.table(place);
  t.same(
    table.columns.map(({ name }) => name),
    ["Name", "Data", "Age"],
  );
  t.same(table.cells.get(table.items[0])?.slice(0, 2), ["a", 2]);
  t.equal(await api.find({ ...place, name: "b" }), undefined);
  await t.rejects(api.get({ ...place, name: "b" }), {
    code: "NOT_FOUND",
    message: 'Error from server (NotFound): configmaps "b" not found',
    exitCode: 1,
  });
  await t.rejects(api.resource("nosuch"), {
    code: "UNKNOWN_KIND",
    message: /doesn't have a resource type "nosuch"/,
  });
  const refusal = await api
    .get({ ...place, name: "a", subresource: "scale" })
    .catch((error: unknown) => error);
  t.ok(refusal instanceof ApiError && refusal.isNoPath);
  for (const [name, message] of [
    ["", "resource name may not be empty"],
    ["..", `invalid resource name "..": [may not be '..']`],
    ["a/../..", `invalid resource name "a/../..": [may not contain '/']`],
  ]) {
    await t.rejects(api.delete({ ...place, name }), { message, exitCode: 2 });
    await t.rejects(api.delete({ resource, namespace: name, name: "a" }), {
      message: /namespace/,
      exitCode: 2,
    });
  }
  t.match(await api.get({ ...place, name: "a" }), { data: { y: "2" } }, "and nothing else has gone");
  t.match(await api.delete({ ...place, name: "a" }), { kind: "Status", status: "Success" });
});

t.test("a watch goes on over a server's end, and after its history", async (t) => {
  let server = await serve();
  t.teardown(() => server.close());
  const api = new ApiClient(new SocketTransport("lab test", socket), true);
  const resource = await api.resource("configmaps");
  const watch = await watchKinds(api, [{ resource, namespace: "default" }]);
  const told: string[] = [];
  const all = (async () => {
    for await (const { type, object } of watch.changes) {
      told.push(`${type} ${object.metadata.name}`);
      if (object.metadata.name === "last") return;
    }
  })();
  cluster.write(map("one"));
  while (told.length < 1) await new Promise((resolve) => setTimeout(resolve, 10));
  server.close();
  cluster.write(map("two")); // nobody hears it: the next server has no history of it
  cluster.delete(map("one"));
  server = await serve();
  while (told.length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
  cluster.write(map("last"));
  await all;
  watch.close();
  t.same(told, ["ADDED one", "DELETED one", "ADDED two", "ADDED last"]);
});

t.test("a server that is gone ends a watch with a word", async (t) => {
  const server = await serve();
  const api = new ApiClient(new SocketTransport("lab test", socket), true);
  const watch = await watchKinds(api, [{ resource: await api.resource("pods") }]);
  server.close();
  await t.rejects(watch.changes[Symbol.asyncIterator]().next(), { message: /^lab test is not running/ });
});

t.test("kinds by the documents of servers before 1.26", async (t) => {
  const verbs = ["get", "list"];
  const documents: Record<string, object> = {
    "/api": { kind: "APIVersions", versions: ["v1"] },
    "/apis": {
      kind: "APIGroupList",
      groups: [
        {
          versions: ["v1beta1", "v1"].map((version) => ({ groupVersion: `example.com/${version}` })),
          preferredVersion: { groupVersion: "example.com/v1" },
        },
      ],
    },
    "/api/v1": {
      resources: [
        { name: "pods", kind: "Pod", namespaced: true, verbs, shortNames: ["po"] },
        { name: "pods/log", kind: "Pod", namespaced: true, verbs: ["get"] },
        { name: "bindings", kind: "Binding", namespaced: true, verbs: ["create"] },
      ],
    },
    "/apis/example.com/v1": { resources: [{ name: "pods", kind: "Pod", namespaced: false, verbs }] },
    "/apis/example.com/v1beta1": { resources: [{ name: "pods", kind: "Pod", namespaced: false, verbs }] },
  };
  const fetch: Fetch = async (path) => documents[path];
  const finder = new ResourceFinder(fetch, false);
  const found = async (word: string): Promise<string | undefined> => (await finder.byWord(word))?.apiVersion;
  t.same(
    await Promise.all(
      ["pods", "po", "Pod", "pods.example.com", "pod.v1beta1.example.com", "bindings", "log"].map(found),
    ),
    ["v1", "v1", "v1", "example.com/v1", "example.com/v1beta1", undefined, undefined],
  );
  t.same(
    (await finder.served()).map(({ apiVersion, plural, verbs }) => `${apiVersion} ${plural} ${verbs.join()}`),
    [
      "v1 pods get,list",
      "v1 bindings create",
      "example.com/v1 pods get,list",
      "example.com/v1beta1 pods get,list",
    ],
  );
});

t.test("paths and refusals", async (t) => {
  const resource = await new ResourceFinder(async () => undefined, true).byWord("deploy");
  if (resource === undefined) throw new Error("no deployments");
  t.equal(
    pathOf({ resource, namespace: "a", name: "b", subresource: "scale" }, { x: "1 2", y: undefined }),
    "/apis/apps/v1/namespaces/a/deployments/b/scale?x=1+2",
  );
  t.equal(pathOf({ resource }), "/apis/apps/v1/deployments");
  t.match(apiError(502, "<html>\nBad Gateway"), {
    message: "Error from server: HTTP 502: <html>",
    code: "API_REFUSED",
  });
  t.ok(apiError(404, "404 page not found") instanceof ApiError);
});
