// The manifests that people apply, and a real API server: it takes every field of them, and the pods made of them.
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { parseAllDocuments } from "yaml";
import { PODWIRE, ROOT } from "../../src/testing/lab/lab.ts";
import { run } from "../../src/testing/lab/process.ts";
import { Client, pathOf } from "./support/client.ts";
import { ControlPlane, noCluster, PROGRAMS, type Rule, rightsOf } from "./support/control-plane.ts";

// biome-ignore lint/suspicious/noExplicitAny: tests check what they read of it
type Manifest = { kind: string; metadata: any; spec?: any; rules?: Rule[] };

const objectsOf = (text: string): Manifest[] => parseAllDocuments(text).map((document) => document.toJS());

t.test("install and uninstall, and a real API server", { skip: noCluster() }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-install-"));
  const control = await ControlPlane.start(folder);
  t.teardown(async () => {
    await control.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const deploy = objectsOf(readFileSync(join(ROOT, "deploy/podwire.yaml"), "utf8"));
  const uninstall = objectsOf((await run([PODWIRE, "uninstall", "--print"])).stdout);
  const strict = "dryRun=All&fieldValidation=Strict&fieldManager=test";
  const taken = (object: Manifest) =>
    control.admin.ask("PATCH", `${pathOf(object)}?${strict}`, object, "application/apply-patch+yaml");

  await t.test("a server-side dry run takes every object, field by field", async (t) => {
    await control.admin.apply(deploy[0]); // the namespace, without which nothing can be tried in it
    for (const object of [...deploy, ...uninstall]) {
      const { status, body } = await taken(object);
      t.ok(status === 200 || status === 201, `${object.kind} ${object.metadata.name}`, body);
    }
    const wrong = structuredClone(deploy.find(({ kind }) => kind === "DaemonSet") as Manifest);
    wrong.spec.template.spec.hostNetwrok = true;
    t.match(
      await taken(wrong),
      { status: /4\d\d|500/, body: { message: /hostNetwrok/ } },
      "it would have spoken",
    );
  });

  await t.test("and the pods that become of the DaemonSets, in their namespace", async (t) => {
    for (const object of [...deploy, ...uninstall].filter(({ kind }) => kind === "DaemonSet")) {
      const { metadata, spec } = object.spec.template;
      const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { ...metadata, name: "one", namespace: "podwire" },
        spec,
      };
      const { status, body } = await control.admin.ask(
        "POST",
        `/api/v1/namespaces/podwire/pods?${strict}`,
        pod,
      );
      t.equal(status, 201, body.message);
      t.equal(body.spec?.priority, 2_000_001_000, "the priority of what a node cannot do without");
    }
  });

  await t.test("its account may do what the role says, and else what every account may", async (t) => {
    for (const object of deploy.filter(({ kind }) => /Account|Role/.test(kind)))
      await control.admin.apply(object);
    const other = {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "other", namespace: "podwire" },
    };
    await control.admin.apply(other);
    const [everybodys, all] = [await rightsOfAccount("other"), await rightsOfAccount("podwire")];
    const role = deploy.find(({ kind }) => kind === "ClusterRole");
    t.same(
      all.filter((each) => !everybodys.includes(each)),
      rightsOf(role?.rules ?? []),
    );
    const token = await control.serviceAccountToken("podwire", "podwire", "of-kubectl");
    const asked = ["auth", "can-i", "--list", "--namespace", "podwire"];
    const kubeconfig = control.kubeconfig({ token });
    const said = await run([join(PROGRAMS, "kubectl"), ...asked, "--kubeconfig", kubeconfig]);
    for (const line of said.stdout.trimEnd().split("\n")) t.comment(`> ${line.trimEnd()}`);
    t.match(said.stdout, /^nodes\/status +\[\] +\[\] +\[patch\]$/m, said.stderr);
    t.notMatch(said.stdout, /secrets|\*\.\*/);
  });

  /** As kubectl auth can-i --list asks for them. */
  async function rightsOfAccount(name: string): Promise<string[]> {
    const token = await control.serviceAccountToken("podwire", name, `of-${name}`);
    const own = new Client(control.server, control.caFile, token);
    const review = {
      ...{ apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectRulesReview" },
      spec: { namespace: "podwire" },
    };
    const { status } = await own.done(
      "POST",
      "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
      review,
    );
    own.close();
    return rightsOf(status.resourceRules);
  }
});
