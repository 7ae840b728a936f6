// podwire's commands on a real API server: what they send it takes, and what it answers they print.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { PODWIRE } from "../../src/testing/lab/lab.ts";
import { run, start, until } from "../../src/testing/lab/process.ts";
import { ControlPlane, noCluster } from "./support/control-plane.ts";

const template = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "c", image: "nginx" }] },
};
const DEPLOYMENT = {
  ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web", namespace: "shop" } },
  spec: { replicas: 1, selector: { matchLabels: { app: "web" } }, template },
};
const SERVICE = {
  ...{ apiVersion: "v1", kind: "Service", metadata: { name: "web", namespace: "shop", labels: { a: "b" } } },
  spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
};
const NAMESPACE = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } };
const size = { name: "Size", type: "integer", jsonPath: ".spec.size" };
const spec = { type: "object", properties: { size: { type: "integer", minimum: 1 } } };
const DEFINITION = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    ...{ group: "example.com", scope: "Namespaced" },
    names: { kind: "Widget", plural: "widgets", singular: "widget", shortNames: ["wd"] },
    versions: [
      {
        ...{ name: "v1", served: true, storage: true, additionalPrinterColumns: [size] },
        schema: { openAPIV3Schema: { type: "object", properties: { spec } } },
      },
    ],
  },
};
const widget = (size: unknown) => ({
  ...{
    apiVersion: "example.com/v1",
    kind: "Widget",
    metadata: { name: "a", namespace: "shop" },
    spec: { size },
  },
});

t.test("podwire's commands on a real API server", { skip: noCluster() }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-commands-"));
  const control = await ControlPlane.start(folder, { users: { guest: "" } });
  t.teardown(async () => {
    await control.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const kubeconfig = control.kubeconfig({ token: "admin-token" });
  const file = join(folder, "objects.yaml");
  const write = (...items: object[]): Promise<void> =>
    writeFile(file, items.map((each) => `${JSON.stringify(each, null, 1)}\n`).join("---\n"));
  const podwire = (...words: string[]) => run([PODWIRE, ...words, "--kubeconfig", kubeconfig]);
  const output = async (...words: string[]): Promise<string> => {
    const { status, stdout, stderr } = await podwire(...words);
    if (status !== 0) throw new Error(`podwire ${words.join(" ")}: ${status}: ${stderr}`);
    return stdout;
  };

  await write(widget(3), DEPLOYMENT, SERVICE, DEFINITION, NAMESPACE);
  t.equal(
    await output("apply", "-f", file),
    "namespace/shop created\ncustomresourcedefinition.apiextensions.k8s.io/widgets.example.com created\n" +
      "widget.example.com/a created\ndeployment.apps/web created\nservice/web created\n",
  );
  t.match(await output("apply", "-f", file), /^(\S+ unchanged\n){5}$/);
  t.match(await output("get", "wd", "-n", "shop"), /^NAME {3}SIZE\na {6}3\n$/);
  t.match(
    await output("get", "deploy,svc", "-n", "shop", "-o", "wide"),
    /^NAME +READY +UP-TO-DATE .*\ndeployment.apps\/web +0\/1 .*\n\nNAME +TYPE .*\nservice\/web +ClusterIP .*app=web\n$/,
  );
  t.match(await output("get", "ns", "shop", "-o", "yaml"), /^apiVersion: v1\nkind: Namespace\nmetadata:\n/);
  await write({ ...SERVICE, metadata: { name: "web", namespace: "shop" } }, widget(4));
  t.equal(
    await output("apply", "-f", file, "--dry-run=server"),
    "service/web configured (server dry run)\nwidget.example.com/a configured (server dry run)\n",
  );
  t.equal(await output("apply", "-f", file), "service/web configured\nwidget.example.com/a configured\n");
  t.equal(
    await output("get", "svc", "web", "-n", "shop", "-o", "jsonpath={.metadata.labels}"),
    "",
    "a label is gone",
  );

  await write({ ...SERVICE, spec: { ports: [{ port: 0 }] } }, widget("x"), { ...DEPLOYMENT, spek: {} });
  const wrong = await podwire("apply", "-f", file, "-v");
  t.equal(wrong.status, 1);
  t.match(
    wrong.stderr,
    /objects.yaml:14:\d+: document 1: Service "web": spec.ports\[0\].port: Invalid value: 0: /,
  );
  t.match(wrong.stderr, /objects.yaml:28:11: document 2: Widget "a": .*: \.spec\.size: expected numeric/);
  t.match(wrong.stderr, /document 3: Deployment "web": .*\.spek: field not declared in schema/);
  t.match(await output("get", "wd", "a", "-n", "shop", "--no-headers"), /^a +4\n$/, "nothing of the call");

  const watch = await start(
    [PODWIRE, "get", "wd", "-n", "shop", "-w", "--kubeconfig", kubeconfig],
    /^a +4$/m,
  );
  await write(widget(5));
  await output("apply", "-f", file);
  await until("the change", async () => /^a +5$/m.test(watch.output()));
  await watch.stop();
  t.equal(await output("label", "deploy/web", "-n", "shop", "x=y"), "deployment.apps/web labeled\n");
  t.equal(
    await output("scale", "deploy/web", "-n", "shop", "--replicas=3", "--current-replicas=1"),
    "deployment.apps/web scaled\n",
  );
  t.equal(await output("rollout", "restart", "deploy/web", "-n", "shop"), "deployment.apps/web restarted\n");
  t.equal(
    await output("wait", "deploy/web", "-n", "shop", "--for=jsonpath={.spec.replicas}=3"),
    "deployment.apps/web condition met\n",
  );
  t.match(await output("describe", "deploy", "web", "-n", "shop"), /\nReplicas: +3 desired/);
  t.match(await output("describe", "wd", "-n", "shop"), /\nKind: +Widget\n/);

  const held = {
    ...SERVICE,
    metadata: { name: "held", namespace: "shop", finalizers: ["example.com/hold"] },
  };
  await write(held);
  await output("apply", "-f", file);
  t.match(await podwire("delete", "-f", file, "--timeout=500ms"), {
    status: 1,
    stdout: 'service "held" deleted\n',
    stderr: "error: delete: service held: still ending after 0.5 s\n",
  });
  t.match(await podwire("delete", "ns", "kube-system", "shop", "--wait=false"), {
    status: 1,
    stdout: "",
    stderr: /^Error from server \(Forbidden\): /,
  });
  t.equal(await output("delete", "svc", "web", "-n", "shop"), 'service "web" deleted\n');
  const guest = control.kubeconfig({ token: control.tokenOf("guest") });
  t.match(await run([PODWIRE, "get", "pods", "--kubeconfig", guest]), {
    status: 1,
    stderr:
      'Error from server (Forbidden): pods is forbidden: User "guest" cannot list resource "pods" in API group "" in the namespace "default"\n',
  });
});
