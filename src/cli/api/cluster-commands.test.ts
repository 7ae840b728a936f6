// podwire's commands on a cluster that a kubeconfig names: a lab's API server, which they know nothing else of.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { makeCredentials } from "../../apiserver/certificates.ts";
import { kubeconfigText } from "../../apiserver/kubeconfig.ts";
import { serveApi } from "../../apiserver/server.ts";
import { CommandLine, type Said } from "../../testing/command-line.ts";
import { TestPrograms } from "../../testing/pod-programs.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-cluster-"));
const credentials = await makeCredentials("test", ["localhost"], ["127.0.0.1"]);
const cluster = makeCluster({ nowMs: Date.now });
const server = await serveApi({
  ...{ cluster, credentials, programs: new TestPrograms(), port: 0 },
  notesOf: ({ kind }) => (kind === "Secret" ? ['a "b", c', "d"] : []),
  log: (line) => t.fail(line),
});
const kubeconfig = join(folder, "kubeconfig");
writeFileSync(kubeconfig, kubeconfigText("test", `https://127.0.0.1:${server.port}`, credentials));
const commands = new CommandLine();
t.teardown(async () => {
  server.close();
  await commands.close();
  rmSync(folder, { recursive: true });
});

const podwire = (...words: string[]): Promise<Said> =>
  commands.runBeside([...words, "--kubeconfig", kubeconfig]);

async function output(...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await podwire(...words);
  if (status !== 0) throw new Error(`podwire ${words.join(" ")}: ${status}: ${stderr}`);
  return stdout;
}

function file(name: string, ...objects: object[]): string {
  const path = join(folder, name);
  writeFileSync(path, objects.map((each) => `${JSON.stringify(each, null, 1)}\n`).join("---\n"));
  return path;
}

const template = (image = "nginx") => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "c", image }] },
});
const DEPLOYMENT = {
  ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" } },
  spec: { replicas: 1, selector: { matchLabels: { app: "web" } }, template: template() },
};
const SERVICE = {
  ...{ apiVersion: "v1", kind: "Service", metadata: { name: "web" } },
  spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
};
const column = { name: "Size", type: "integer", jsonPath: ".spec.size" };
const DEFINITION = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { kind: "Widget", plural: "widgets", singular: "widget", shortNames: ["wd"] },
    versions: [
      {
        ...{ name: "v1", served: true, storage: true, additionalPrinterColumns: [column] },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: { type: "object", properties: { size: { type: "integer", minimum: 1 } } },
            },
          },
        },
      },
    ],
  },
};
const widget = (name: string, size: number) => ({
  ...{ apiVersion: "example.com/v1", kind: "Widget", metadata: { name }, spec: { size } },
});

t.test("apply, get, label, scale, rollout, wait, describe, logs, delete", async (t) => {
  const app = file("app.yaml", DEPLOYMENT, SERVICE);
  const made = "deployment.apps/web created\nservice/web created\n";
  t.equal(
    await output("apply", "--dry-run=server", "-f", app),
    made.replaceAll("created", "created (server dry run)"),
  );
  t.match(await podwire("get", "svc", "web"), { status: 1, stderr: /services "web" not found/ });
  t.equal(await output("apply", "-f", app), made);
  t.equal(await output("apply", "-f", app), made.replaceAll("created", "unchanged"));
  const more = { ...SERVICE, metadata: { name: "web", labels: { a: "b" } } };
  t.equal(await output("apply", "-f", file("more.yaml", more)), "service/web configured\n");
  t.equal(
    await output("apply", "-f", app),
    "deployment.apps/web unchanged\nservice/web configured\n",
    "a label goes",
  );
  t.match(await output("get", "svc", "-o", "wide"), /^NAME +TYPE .*SELECTOR\nweb +ClusterIP .*app=web\n$/);
  t.equal(await output("get", "svc", "-o", "name"), "service/web\n");
  t.equal(await output("get", "-f", app, "-o", "name"), "deployment.apps/web\nservice/web\n");
  t.equal(await output("label", "svc/web", "x=y"), "service/web labeled\n");
  t.match(await podwire("label", "svc/web", "x=z"), {
    status: 1,
    stderr: "error: 'x' already has a value (y), and --overwrite is false\n",
  });
  t.equal(
    await output("label", "svc/web", "x=z", "--overwrite", "--dry-run"),
    "service/web labeled (dry run)\n",
  );
  t.equal(await output("annotate", "svc/web", "n=m", "-o", "name"), "service/web\n");
  t.equal(
    await output("get", "svc", "-l", "x=y", "-L", "x", "--no-headers").then((text) =>
      text.split(/\s+/).at(-2),
    ),
    "y",
  );
  t.equal(
    await output("scale", "deploy/web", "--replicas=2", "--current-replicas=1"),
    "deployment.apps/web scaled\n",
  );
  t.match(await podwire("scale", "deploy/web", "--replicas=3", "--current-replicas=1"), {
    status: 1,
    stderr: "error: scale deployment/web: expected replicas to be 1, it has 2\n",
  });
  t.match(await podwire("scale", "svc/web", "--replicas=3"), {
    stderr: "error: scale service/web: a Service has no replicas\n",
  });
  t.match(await podwire("scale", "deploy/no", "--replicas=3"), { status: 1, stderr: /"no" not found\n$/ });
  t.equal(await output("rollout", "restart", "deploy"), "deployment.apps/web restarted\n");
  t.match(await podwire("rollout", "restart", "svc/web"), {
    stderr: 'error: services "web" restarting is not supported\n',
  });
  t.match(await output("rollout", "status", "deploy/web", "--watch=false"), /^Waiting for deployment "web"/);
  const replicas = ["wait", "deploy/web", "--for=jsonpath={.spec.replicas}=2"];
  t.equal(await output(...replicas), "deployment.apps/web condition met\n");
  t.match(await podwire("wait", "deploy/web", "--for=delete", "--timeout=100ms"), {
    status: 1,
    stderr: "error: timed out waiting for the condition on deployments/web\n",
  });
  t.match(await output("describe", "svc", "web"), /^Name: +web\nNamespace: +default\n/);
  t.equal(await output("logs", "deploy/web"), "one\ntwo\n");
  t.match(await podwire("delete", "svc", "web", "no", "--wait=false"), {
    status: 1,
    stdout: 'service "web" deleted\n',
    stderr: 'Error from server (NotFound): services "no" not found\n',
  });
  t.equal(await output("delete", "deploy", "--all"), 'deployment.apps "web" deleted\n');
  t.match(await podwire("delete", "ns", "default", "kube-public"), {
    status: 1,
    stdout: "",
    stderr: /^(Error from server \(Forbidden\): namespaces "[a-z-]+" is forbidden: .*\n){2}$/,
  });
});

t.test("custom resources: their definition in the same call, columns, short names, schemas", async (t) => {
  const all = file("widgets.yaml", widget("a", 3), DEFINITION);
  t.equal(
    await output("apply", "-f", all),
    "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created\nwidget.example.com/a created\n",
  );
  t.match(await output("get", "wd"), /^NAME +SIZE\na +3\n$/);
  t.equal(await output("get", "widgets.example.com", "-A", "-o", "name"), "widget.example.com/a\n");
  t.match(await output("get", "-f", all), /\nwidget.example.com\/a +3\n/);
  t.match(await output("describe", "widget", "a"), /\nAPI Version: +example.com\/v1\nKind: +Widget\n/);
  const wrong = file("wrong.yaml", widget("b", 1), widget("c", 0));
  t.match(await podwire("apply", "-f", wrong), {
    status: 1,
    stderr: /^error: \S+wrong.yaml:\d+:\d+: document 2: Widget "c": spec.size: Invalid value: 0: .*\n$/,
  });
  t.match(await podwire("get", "wd", "b"), { status: 1 }, "nothing of the call");
  t.match(await podwire("apply", "-f", file("unknown.yaml", { ...widget("b", 1), kind: "Gadget" })), {
    status: 1,
    stderr:
      /unknown.yaml:3:\d+: document 1: Gadget "b": no matches for kind "Gadget" in version "example.com\/v1": install/,
  });
  t.equal(await output("label", "wd", "a", "x=y"), "widget.example.com/a labeled\n");
  t.equal(await output("delete", "-f", file("a.yaml", widget("a", 3))), 'widget.example.com "a" deleted\n');
});

t.test("namespaces come first; what is there already refuses create", async (t) => {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } };
  const map = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "m", namespace: "shop" },
    data: { a: "b" },
  };
  const both = file("shop.yaml", map, namespace);
  t.equal(await output("create", "-f", both), "namespace/shop created\nconfigmap/m created\n");
  t.match(await podwire("create", "-f", both), {
    status: 1,
    stderr:
      /^Error from server \(AlreadyExists\): error when creating ".*shop.yaml": namespaces "shop" already exists\n.*configmaps "m"/,
  });
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" } };
  t.match(await podwire("apply", "-f", file("secret.yaml", secret)), {
    status: 0,
    stdout: "secret/s created\n",
    stderr: 'Warning: a "b", c\nWarning: d\n',
  });
  const lost = { ...map, metadata: { name: "m", namespace: "nowhere" } };
  t.match(await podwire("apply", "-f", file("lost.yaml", lost)), {
    status: 1,
    stderr: /lost.yaml:1:\d+: document 1: ConfigMap "m": .*namespaces "nowhere" not found\n$/,
  });
  t.match(await podwire("apply", "-n", "default", "-f", both), {
    status: 1,
    stderr: /does not match the namespace/,
  });
  const typo = { ...map, dat: {} };
  t.match(await podwire("apply", "-f", file("typo.yaml", typo)), {
    status: 1,
    stderr: /typo.yaml:11:2: document 1: ConfigMap "m": .*\.dat: field not declared/,
  });
});

t.test("places that cannot be asked, in one line", async (t) => {
  for (const [words, status, stderr] of [
    [["--lab", "x", "--kubeconfig", kubeconfig], 2, /--lab and --kubeconfig name two places/],
    [["--kubeconfig", join(folder, "no")], 1, /kubeconfig .*no: /],
    [["--kubeconfig", kubeconfig, "--context", "no"], 1, /no context "no"/],
    [["--kubeconfig", ""], 2, /nothing is named/],
  ] as const) {
    const said = await commands.runBeside(["get", "pods", ...words]);
    t.same([said.status, said.stdout], [status, ""], words.join(" "));
    t.match(said.stderr, stderr);
    t.equal(said.stderr.trim().split("\n").length, 1);
  }
  const nobody = file("nobody.yaml", {
    ...{ apiVersion: "v1", kind: "Config", "current-context": "a" },
    contexts: [{ name: "a", context: { cluster: "a", user: "a" } }],
    clusters: [
      {
        name: "a",
        cluster: { server: `https://127.0.0.1:${server.port}`, "insecure-skip-tls-verify": true },
      },
    ],
    users: [{ name: "a", user: { token: "wrong" } }],
  });
  t.match(await commands.runBeside(["get", "pods", "--kubeconfig", nobody]), {
    status: 1,
    stderr: /^error: You must be logged in to the server \(Unauthorized\): [^\n]*\n$/,
  });
});
