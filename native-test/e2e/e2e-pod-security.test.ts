// Pod security in a lab that runs: what its commands say, which pods come, and what is left in the log.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { until } from "../../src/testing/lab/process.ts";

const skip = cannotRun("ip");
const PREFIX = "pod-security.kubernetes.io";
const CONTAINERS = [{ name: "c", image: "podwire/echo" }];
const FOUND =
  'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), ' +
  'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), ' +
  'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
  'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")';

const pod = (name: string, namespace = "shop") => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace },
  spec: { containers: CONTAINERS },
});
const deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "shop" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: CONTAINERS } },
  },
};
const labels = { [`${PREFIX}/enforce`]: "restricted", [`${PREFIX}/audit`]: "restricted" };

t.test("a namespace that enforces", { skip }, async (t) => {
  const lab = await TestLab.up("psa", {
    nodes: [{ name: "node1" }],
    podSecurity: { defaults: { warn: "baseline" }, exemptions: { namespaces: ["kube-system"] } },
    objects: [{ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop", labels } }],
  });
  t.teardown(() => lab.down());
  const file = async (object: object): Promise<string> => {
    const path = join(lab.folder, "object.json");
    await writeFile(path, JSON.stringify(object));
    return path;
  };
  const said = async (...args: string[]) => {
    const { status, stdout, stderr } = await lab.podwire(args);
    return { status, stdout, stderr };
  };

  t.test("a pod is refused, dry or not; in an exempt namespace it is not", async (t) => {
    const path = await file(pod("x"));
    const line = `error: ${path}:1:76: document 1: Pod "x": pods "x" is forbidden: violates PodSecurity "restricted:latest": ${FOUND}\n`;
    for (const args of [["apply"], ["create"], ["apply", "--dry-run=server"], ["apply", "--dry-run"]])
      t.same(await said(...args, "-f", path), { status: 1, stdout: "", stderr: line }, args.join(" "));
    const exempt = await said("apply", "-f", await file(pod("x", "kube-system")));
    t.same(exempt, { status: 0, stdout: "pod/x created\n", stderr: "" });
    const log = await readFile(`/run/podwire/labs/${lab.name}/lab.log`, "utf8");
    t.match(log, `audit: create Pod shop/x by kubernetes-admin: ${PREFIX}/audit-violations: would violate`);
  });

  t.test("by default a template is warned of by a laxer level", async (t) => {
    const spec = {
      ...deployment.spec,
      template: { ...deployment.spec.template, spec: { hostPID: true, containers: CONTAINERS } },
    };
    const other = { ...deployment, metadata: { name: "d", namespace: "default" }, spec };
    const { stdout, stderr } = await said("apply", "--dry-run=server", "-f", await file(other));
    t.equal(stdout, "deployment.apps/d created (server dry run)\n");
    t.match(stderr, 'Warning: would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)\n');
  });

  t.test("a Deployment comes, its pods when the label allows them", async (t) => {
    const warning = `Warning: would violate PodSecurity "restricted:latest": ${FOUND}\n`;
    const applied = await said("apply", "-f", await file(deployment));
    t.same(applied, { status: 0, stdout: "deployment.apps/web created\n", stderr: warning });
    const why = /Error creating: pods "web-\w+-\w+" is forbidden: violates PodSecurity "restricted:latest": /;
    const events = await lab.output(["get", "events", "-n", "shop"]);
    t.match(events, /Warning +FailedCreate +replicaset\/web-\w+ +Error creating: pods/);
    const described = await lab.output(["describe", "deploy", "web", "-n", "shop"]);
    t.match(described, /ReplicaFailure +True +FailedCreate\n/);
    t.match(await lab.output(["describe", "rs", "-n", "shop"]), why);
    t.match(await said("get", "pods", "-n", "shop"), { stdout: "", stderr: /No resources found/ });
    const label = (level: string) => said("label", "ns", "shop", `${PREFIX}/enforce=${level}`, "--overwrite");
    t.same(await label("baseline"), { status: 0, stdout: "namespace/shop labeled\n", stderr: "" });
    await until("two pods", async () => {
      const pods = await lab.json("get", "pods", "-n", "shop");
      return (
        pods.items.filter((each: { status: { phase: string } }) => each.status.phase === "Running").length ===
        2
      );
    });
    const reasons =
      "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile";
    t.match(await label("restricted"), {
      status: 0,
      stdout: "namespace/shop labeled\n",
      stderr: new RegExp(
        `^Warning: existing pods in namespace "shop" violate the new PodSecurity enforce level "restricted:latest"\n` +
          `Warning: web-\\w+-\\w+ \\(and 1 other pod\\): ${reasons}\n$`,
      ),
    });
    t.same(await said("rollout", "restart", "deploy/web", "-n", "shop"), {
      status: 0,
      stdout: "deployment.apps/web restarted\n",
      stderr: warning,
    });
    t.equal((await lab.json("get", "pods", "-n", "shop")).items.length, 2, "they stay");
  });

  t.test("a label that is none changes nothing", async (t) => {
    t.same(await said("label", "ns", "shop", `${PREFIX}/enforce=strict`, "--overwrite"), {
      status: 1,
      stdout: "",
      stderr:
        'Error from server (Invalid): Namespace "shop" is invalid: ' +
        `metadata.labels[${PREFIX}/enforce]: Invalid value: "strict": ` +
        "must be one of privileged, baseline, restricted\n",
    });
  });
});
