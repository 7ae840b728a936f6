// kubectl against a lab: what it makes, changes and takes away, and podwire's own commands see the same.
import { statSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { type Result, run, until } from "../../src/testing/lab/process.ts";

const skip = cannotRun("kubectl");

const WEB = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [ { name: c, image: podwire/echo, ports: [ { containerPort: 8080 } ] } ] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [ { port: 80, targetPort: 8080 } ] }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: web }
data: { colour: blue }
`;

const CRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.example.org }
spec:
  group: example.org
  scope: Namespaced
  names: { kind: Widget, plural: widgets, shortNames: [ wg ] }
  versions:
  - { name: v1, served: true, storage: true, schema: { openAPIV3Schema: { type: object, properties: { spec: {
      type: object, x-kubernetes-preserve-unknown-fields: true } } } } }
`;

t.test("kubectl", { skip }, async (t) => {
  const lab = await TestLab.up("kubectl", { nodes: [{ name: "node1" }] });
  t.teardown(() => lab.down());
  const podwire = (...words: string[]): Promise<Result> => lab.podwire(words);
  const kubeconfig = join(lab.folder, "kubeconfig");
  const printed = await podwire("kubeconfig");
  await writeFile(kubeconfig, printed.stdout);
  const env = { ...process.env, KUBECONFIG: kubeconfig, HOME: lab.folder };
  const kubectl = async (...words: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(["kubectl", ...words], { env });
    return status === 0 ? stdout : `status ${status}: ${stderr}`;
  };
  const file = join(lab.folder, "web.yaml");
  await writeFile(file, WEB);

  t.test("the kubeconfig is its owner's alone", async (t) => {
    const mode = statSync(`/run/podwire/labs/${lab.name}/kubeconfig`).mode & 0o777;
    t.equal(mode, 0o600);
    t.match(printed.stdout, /https:\/\/127\.0\.0\.1:\d+/);
  });

  t.test("discovery, the server, who may what", async (t) => {
    const resources = await kubectl("api-resources", "-o", "name");
    for (const name of [
      "pods",
      "deployments.apps",
      "networkpolicies.networking.k8s.io",
      "leases.coordination.k8s.io",
    ])
      t.match(resources, new RegExp(`^${name.replaceAll(".", "\\.")}$`, "m"));
    t.match(await kubectl("api-versions"), /^apps\/v1$/m);
    t.match(await kubectl("version"), /Server Version: .*v1\./);
    t.equal(await kubectl("auth", "can-i", "delete", "pods"), "yes\n");
    // What `kubectl auth whoami` sends, which Debian's kubectl does not know.
    const review = join(lab.folder, "review.json");
    await writeFile(review, '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}');
    const whoAmI = ["--raw", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "-f", review];
    t.match(await kubectl("create", ...whoAmI), /kubernetes-admin/);
    t.equal(await kubectl("get", "--raw", "/readyz"), "ok");
  });

  t.test("create, get, describe, wait", async (t) => {
    const made = await kubectl("create", "-f", file);
    t.equal(made, "deployment.apps/web created\nservice/web created\nconfigmap/web created\n");
    t.match(await kubectl("create", "-f", file), /AlreadyExists.*configmaps "web" already exists/s);
    const ready = await kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=30s");
    t.equal(ready, "deployment.apps/web condition met\n");
    const names = await kubectl("get", "pods", "-l", "app=web", "-o", "name");
    t.equal(names.split("\n").filter((name) => name.startsWith("pod/web-")).length, 2);
    t.match(await kubectl("describe", "service", "web"), /TargetPort: +8080\/TCP/);
    const slices = ["get", "endpointslices", "-l", "kubernetes.io/service-name=web"];
    const listed = /IPv4 +8080 +10\.244\.\d+\.\d+/;
    await until("the endpoints", async () => listed.test(await kubectl(...slices)));
    t.match(await kubectl("describe", "pod", "-l", "app=web"), /Node: +node1/);
    t.match(await kubectl("get", "all"), /deployment\.apps\/web/);
    t.match(await kubectl("get", "configmap", "web", "-o", "jsonpath={.data.colour}"), /^blue$/);
    t.match((await podwire("get", "configmap", "web", "-o", "yaml")).stdout, /colour: blue/);
    t.match(
      await kubectl("get", "events", "--field-selector", "reason=Scheduled", "-o", "name"),
      /event\/web-/,
    );
  });

  t.test("patch, label, scale", async (t) => {
    const patch = JSON.stringify({ data: { colour: "red", size: "1" } });
    t.equal(await kubectl("patch", "cm", "web", "--type=merge", "-p", patch), "configmap/web patched\n");
    t.match(
      await kubectl("patch", "cm", "web", "--type=merge", "-p", '{"data":{"a":1}}'),
      /cannot unmarshal number|The request is invalid/, // Debian's kubectl keeps the cause to itself
    );
    t.equal(await kubectl("get", "cm", "web", "-o", "jsonpath={.data}"), '{"colour":"red","size":"1"}');
    t.equal(await kubectl("scale", "deployment/web", "--replicas=3"), "deployment.apps/web scaled\n");
    await until("three pods", async () => {
      const pods = await kubectl("get", "pods", "-l", "app=web", "-o", "name");
      return pods.trim().split("\n").length === 3;
    });
    t.match(await kubectl("replace", "--dry-run=server", "-f", file), /replaced \(server dry run\)/);
    t.equal(await kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}"), "3");
  });

  t.test("what is wrong is refused in the API's words", async (t) => {
    const bad = join(lab.folder, "bad.yaml");
    await writeFile(
      bad,
      "apiVersion: v1\nkind: Service\nmetadata: { name: bad }\nspec: { ports: [ { port: 0 } ] }\n",
    );
    t.match(await kubectl("create", "-f", bad), /The Service "bad" is invalid:.*spec\.ports\[0\]\.port/s);
    await writeFile(bad, "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: bad }\ndta: {}\n");
    t.match(await kubectl("create", "-f", bad), /unknown field "dta"/);
    t.match(await kubectl("get", "pod", "none"), /pods "none" not found/);
  });

  t.test("custom resources", async (t) => {
    const crd = join(lab.folder, "crd.yaml");
    await writeFile(crd, CRD);
    t.match(await kubectl("create", "-f", crd), /widgets\.example\.org created/);
    t.match(await kubectl("wait", "--for=condition=Established", "crd/widgets.example.org"), /condition met/);
    const widget = join(lab.folder, "widget.yaml");
    const text = "apiVersion: example.org/v1\nkind: Widget\nmetadata: { name: w }\nspec: { size: 3 }\n";
    await writeFile(widget, text);
    t.equal(await kubectl("create", "-f", widget), "widget.example.org/w created\n");
    t.equal(await kubectl("get", "wg", "w", "-o", "jsonpath={.spec.size}"), "3");
    t.match(await kubectl("delete", "crd", "widgets.example.org"), /deleted/);
    t.match(await kubectl("get", "wg"), /could not find the requested resource/);
    t.match(await kubectl("get", "sa", "default", "-o", "name"), /^serviceaccount\/default$/m);
    const ca = await kubectl("get", "cm", "kube-root-ca.crt", "-o", "jsonpath={.data.ca\\.crt}");
    t.match(ca, /BEGIN CERTIFICATE/);
  });

  t.test("a watch, and what is deleted is gone", async (t) => {
    t.equal(await kubectl("delete", "cm", "web"), 'configmap "web" deleted\n');
    const gone = await kubectl("delete", "deployment", "web", "--timeout=20s");
    t.equal(gone, 'deployment.apps "web" deleted\n');
    await until("no pods", async () => (await kubectl("get", "pods", "-o", "name")) === "");
    t.equal(await kubectl("create", "namespace", "other"), "namespace/other created\n");
    t.equal(await kubectl("delete", "namespace", "other", "--timeout=20s"), 'namespace "other" deleted\n');
    t.match(await kubectl("delete", "namespace", "default"), /forbidden: this namespace may not be deleted/);
  });

  t.test("a lab process that starts again is the same server", async (t) => {
    const { pid } = JSON.parse(await readFile(`/run/podwire/labs/${lab.name}/lab.pid`, "utf8"));
    process.kill(pid, "SIGTERM");
    await until(
      "the lab process is gone",
      async () => (await run(["test", "-d", `/proc/${pid}`])).status !== 0,
    );
    t.equal((await podwire("lab", "up", "-f", join(lab.folder, "lab.yaml"))).status, 0);
    t.match(await kubectl("get", "service", "web", "-o", "name"), /^service\/web$/m);
  });
});
