// kubectl against the API alone: what it explains, how it applies by either side, the kinds of patches, what it would
// change, and what it says of fields that nobody knows.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { makeCredentials } from "../../src/apiserver/certificates.ts";
import { kubeconfigText } from "../../src/apiserver/kubeconfig.ts";
import { serveApi } from "../../src/apiserver/server.ts";
import { cannotRun } from "../../src/testing/lab/lab.ts";
import { run } from "../../src/testing/lab/process.ts";
import { TestPrograms } from "../../src/testing/pod-programs.ts";
import { makeCluster } from "../../src/testing/world/make-cluster.ts";

const skip = cannotRun("kubectl", "diff");
const deployment = (image: string, more = ""): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: 1
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - { name: a, image: "${image}", env: [ { name: X, value: "1" } ] }
      ${more}
`;
const settings = (data: string): string => `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: ${data}
`;

const CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: crontabs.stable.example.com }
spec:
  group: stable.example.com
  scope: Namespaced
  names: { kind: CronTab, plural: crontabs, shortNames: [ ct ] }
  versions:
  - name: v1
    served: true
    storage: true
    subresources: { scale: { specReplicasPath: .spec.size, statusReplicasPath: .status.size } }
    schema:
      openAPIV3Schema:
        type: object
        properties:
          status: { type: object, properties: { size: { type: integer } } }
          spec:
            type: object
            properties:
              size: { type: integer, minimum: 1 }
              jobs:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [ name ]
                items: { type: object, required: [ name ], properties: { name: { type: string } } }
`;
const TAB = `
apiVersion: stable.example.com/v1
kind: CronTab
metadata: { name: tab }
`;

t.test("kubectl", { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-kubectl-"));
  const credentials = await makeCredentials("patches", ["localhost"], ["127.0.0.1"]);
  const log: string[] = [];
  const cluster = makeCluster();
  const programs = new TestPrograms();
  const server = await serveApi({
    cluster,
    credentials,
    programs,
    port: 0,
    log: (line) => void log.push(line),
  });
  t.teardown(async () => {
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, kubeconfigText("patches", `https://127.0.0.1:${server.port}`, credentials));
  const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: folder };
  const kubectl = async (...words: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(["kubectl", ...words], { env });
    return status === 0 ? stdout + stderr : `status ${status}: ${stdout}${stderr}`;
  };
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };

  t.test("explain knows the fields of kinds, and their types", async (t) => {
    const pods = await kubectl("explain", "pods.spec.containers");
    for (const line of [/image\s+<string>/, /env\s+<\[\](?:Object|EnvVar)>/, /name\s+<string> -required-/])
      t.match(pods, line);
    t.match(await kubectl("explain", "deployments.spec.replicas"), /replicas\s+<integer>/);
    t.match(await kubectl("explain", "service", "--recursive"), /clusterIP\s+<string>/);
    t.match(
      await kubectl("explain", "pods.spec.nothing"),
      /^status 1: [\s\S]*field "nothing" does not exist/,
    );
  });

  t.test("apply by the client's side merges what was applied last", async (t) => {
    t.match(await kubectl("apply", "-f", await file("d.yaml", deployment("x:1"))), /web created/);
    t.match(await kubectl("apply", "-f", await file("d.yaml", deployment("x:1"))), /web unchanged/);
    const two = await file("d.yaml", deployment("x:2", '- { name: b, image: "y:1" }'));
    t.match(await kubectl("diff", "-f", two), /^status 1: [\s\S]*\+.*image: x:2/);
    t.match(await kubectl("apply", "-f", two), /web configured/);
    const images = "jsonpath={.spec.template.spec.containers[*].image}";
    t.equal(await kubectl("get", "deployment", "web", "-o", images), "x:2 y:1");
    t.equal(await kubectl("diff", "-f", two), "");
    t.match(await kubectl("apply", "-f", await file("d.yaml", deployment("x:2"))), /web configured/);
    t.equal(await kubectl("get", "deployment", "web", "-o", images), "x:2");
  });

  t.test("apply by the server's side has managers, conflicts and force", async (t) => {
    const apply = (data: string, ...words: string[]): Promise<string> =>
      file("c.yaml", settings(data)).then((name) => kubectl("apply", "--server-side", "-f", name, ...words));
    t.match(await apply('{ a: "1", b: "1" }'), /settings serverside-applied/);
    const other = await apply('{ a: "2" }', "--field-manager=other");
    t.match(other, /status 1: [\s\S]*Apply failed with 1 conflict: conflict with "kubectl": \.data\.a/);
    t.match(await apply('{ a: "2" }', "--field-manager=other", "--force-conflicts"), /serverside-applied/);
    t.match(await apply('{ b: "2" }'), /serverside-applied/);
    t.equal(await kubectl("get", "configmap", "settings", "-o", "jsonpath={.data}"), '{"a":"2","b":"2"}');
    t.match(await apply("{}", "--field-manager=other"), /serverside-applied/);
    t.equal(await kubectl("get", "configmap", "settings", "-o", "jsonpath={.data}"), '{"b":"2"}');
    t.match(await apply('{ b: "3" }', "--dry-run=server"), /serverside-applied \(server dry run\)/);
    t.equal(await kubectl("get", "configmap", "settings", "-o", "jsonpath={.data}"), '{"b":"2"}');
    t.match(
      await kubectl("apply", "--server-side", "-f", await file("d.yaml", deployment("x:2"))),
      /serverside-applied/,
    );
  });

  t.test("patches of each kind", async (t) => {
    const patch = (type: string, text: object): Promise<string> =>
      kubectl("patch", "deployment", "web", `--type=${type}`, "-p", JSON.stringify(text));
    const json = [{ op: "replace", path: "/spec/replicas", value: 2 }];
    t.match(await patch("json", json), /web patched/);
    t.match(await patch("merge", { spec: { replicas: 3 } }), /web patched/);
    const env = [{ name: "Y", value: "2" }];
    const template = { spec: { containers: [{ name: "a", env }] } };
    t.match(await patch("strategic", { spec: { template } }), /web patched/);
    t.match(await patch("json", [{ op: "test", path: "/spec/replicas", value: 9 }]), /^status 1: /);
    const made = JSON.parse(await kubectl("get", "deployment", "web", "-o", "json"));
    t.equal(made.spec.replicas, 3);
    const names = made.spec.template.spec.containers[0].env.map(({ name }: { name: string }) => name);
    t.same(names.sort(), ["X", "Y"]);
  });

  t.test("fields that nobody knows are told, and kept by nobody", async (t) => {
    const odd = await file(
      "odd.yaml",
      settings('{ a: "1" }').replace("settings", "odd").concat("datas: { b: c }\n"),
    );
    t.match(await kubectl("apply", "-f", odd), /status 1: [\s\S]*(?:unknown field "datas")/);
    await kubectl("apply", "--validate=false", "-f", odd);
    t.equal(await kubectl("get", "configmap", "odd", "-o", "jsonpath={.data}{.datas}"), '{"a":"1"}');
  });

  t.test("custom resources are explained, applied by either side and held to their schema", async (t) => {
    t.match(
      await kubectl("apply", "-f", await file("crd.yaml", CRD)),
      /crontabs\.stable\.example\.com created/,
    );
    const established = await kubectl(
      "wait",
      "--for=condition=Established",
      "crd/crontabs.stable.example.com",
    );
    t.match(established, /condition met/);
    t.match(await kubectl("explain", "crontabs.spec"), /size\s+<integer>/);
    const tab = async (spec: string, ...words: string[]): Promise<string> =>
      kubectl("apply", ...words, "-f", await file("tab.yaml", `${TAB}spec: ${spec}\n`));
    t.match(await tab("{ size: 1, jobs: [ { name: a } ] }"), /crontab.stable.example.com\/tab created/);
    t.match(await tab("{ size: 3 }"), /tab configured/);
    t.match(await tab("{ size: 0 }"), /spec\.size in body should be greater than or equal to 1/);
    t.match(
      await tab("{ size: 3, jobs: [ { name: b } ] }", "--server-side", "--force-conflicts"),
      /serverside-applied/,
    );
    t.equal(await kubectl("get", "ct", "tab", "-o", "jsonpath={.spec.size} {.spec.jobs[*].name}"), "3 b");
    t.match(await kubectl("scale", "crontab", "tab", "--replicas=5"), /tab scaled/);
    t.equal(await kubectl("get", "ct", "tab", "-o", "jsonpath={.spec.size}"), "5");
    t.match(await kubectl("delete", "crd", "crontabs.stable.example.com"), /deleted/);
  });

  t.test("nothing went wrong inside", async (t) => t.same(log, []));
});
