// Verbs that make, read, change and delete objects.
import assert from "node:assert/strict";
import { sleep, until } from "../../../src/testing/lab/process.ts";
import type { Kubectl } from "./kubectl.ts";
import type { Trial } from "./trial.ts";

/** For a kubectl to have begun to wait. */
const WAITER_MS = 2000;
const container = { name: "c", image: "podwire/echo", ports: [{ containerPort: 8080 }] };
const deployment = (name: string, replicas = 2, more: object = {}): object => ({
  ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name } },
  spec: {
    ...{ replicas, selector: { matchLabels: { app: name } } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ ...container, ...more }] } },
  },
});
const service = (name: string): object => ({
  ...{ apiVersion: "v1", kind: "Service", metadata: { name } },
  spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
});
const configMap = (name: string, data: object): object => ({
  ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name } },
  data,
});

/** What the others find there: a Deployment with two pods behind a Service. */
export async function makeWeb(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(["create", "-f", await kubectl.file("web.json", [deployment("web"), service("web")])]);
  await kubectl.expect(["wait", "--for=condition=Available", "deployment/web", "--timeout=40s"]);
}

const fieldOf = async (kubectl: Kubectl, object: string, path: string): Promise<string> =>
  kubectl.expect(["get", object, "-o", `jsonpath={${path}}`]);

async function patched(kubectl: Kubectl, type: string, patch: string, wanted: string): Promise<void> {
  await kubectl.expect(
    ["patch", "deployment/web", `--type=${type}`, "-p", patch],
    "deployment.apps/web patched\n",
  );
  assert.equal(await fieldOf(kubectl, "deployment/web", ".metadata.annotations.patched"), wanted);
}

async function edited(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(["create", "configmap", "edited", "--from-literal=colour=blue"]);
  const env = { KUBE_EDITOR: "sed -i s/blue/green/" };
  const said = await kubectl.call(["edit", "configmap", "edited"], "", env);
  assert.equal(said.stdout, "configmap/edited edited\n", said.stderr);
  assert.equal(await fieldOf(kubectl, "cm/edited", ".data.colour"), "green");
}

async function diffed(kubectl: Kubectl): Promise<void> {
  const before = await kubectl.file("diff.json", [configMap("diffed", { colour: "blue" })]);
  await kubectl.expect(["apply", "-f", before]);
  await kubectl.expect(["diff", "-f", before], "");
  const after = await kubectl.file("diff.json", [configMap("diffed", { colour: "green" })]);
  await kubectl.expect(["diff", "-f", after], {
    status: 1,
    stdout: /^- {2}colour: blue\n\+ {2}colour: green$/m,
  });
}

async function applied(kubectl: Kubectl): Promise<void> {
  const file = (data: object) => kubectl.file("apply.json", [configMap("applied", data)]);
  await kubectl.expect(["apply", "-f", await file({ a: "1", b: "2" })], "configmap/applied created\n");
  await kubectl.expect(["apply", "-f", await file({ a: "1", b: "2" })], "configmap/applied unchanged\n");
  await kubectl.expect(["apply", "-f", await file({ a: "3" })], "configmap/applied configured\n");
  assert.equal(await fieldOf(kubectl, "cm/applied", ".data"), '{"a":"3"}');
}

async function appliedByServer(kubectl: Kubectl): Promise<void> {
  const words = ["apply", "--server-side", "-f"];
  const first = await kubectl.file("ssa.json", [configMap("by-server", { a: "1", b: "2" })]);
  await kubectl.expect([...words, first, "--field-manager=one"], "configmap/by-server serverside-applied\n");
  const second = await kubectl.file("ssa.json", [configMap("by-server", { a: "3" })]);
  const other = [...words, second, "--field-manager=two"];
  await kubectl.expect(other, { status: 1, stderr: /conflict with "one".*\.data\.a/s });
  await kubectl.expect([...other, "--force-conflicts"]);
  assert.equal(await fieldOf(kubectl, "cm/by-server", ".data"), '{"a":"3","b":"2"}');
  await kubectl.expect([...words, second, "--field-manager=one"]); // who no longer says b has it no longer
  assert.equal(await fieldOf(kubectl, "cm/by-server", ".data"), '{"a":"3"}');
}

async function replaced(kubectl: Kubectl): Promise<void> {
  const first = await kubectl.file("replace.json", [configMap("replaced", { a: "1", b: "2" })]);
  await kubectl.expect(["create", "-f", first]);
  const second = await kubectl.file("replace.json", [configMap("replaced", { a: "3" })]);
  await kubectl.expect(["replace", "-f", second], "configmap/replaced replaced\n");
  assert.equal(await fieldOf(kubectl, "cm/replaced", ".data"), '{"a":"3"}');
  const before = await fieldOf(kubectl, "cm/replaced", ".metadata.uid");
  await kubectl.expect(["replace", "--force", "-f", second], /replaced/);
  assert.notEqual(await fieldOf(kubectl, "cm/replaced", ".metadata.uid"), before);
}

async function kustomized(kubectl: Kubectl): Promise<void> {
  await kubectl.file("cm.yaml", JSON.stringify(configMap("kustomized", { a: "1" })));
  await kubectl.file("kustomization.yaml", "resources: [ cm.yaml ]\nnamePrefix: my-\n");
  await kubectl.expect(["apply", "-k", kubectl.folder], "configmap/my-kustomized created\n");
}

async function created(kubectl: Kubectl): Promise<void> {
  const image = "--image=podwire/echo";
  for (const [words, said] of [
    [["deployment", "made", image], "deployment.apps/made"],
    [["service", "clusterip", "made", "--tcp=80:8080"], "service/made"],
    [["configmap", "made", "--from-literal=a=b"], "configmap/made"],
    [["secret", "generic", "made", "--from-literal=a=b"], "secret/made"],
    [["serviceaccount", "made"], "serviceaccount/made"],
    [["job", "made", image, "--", "true"], "job.batch/made"],
    [["ingress", "made", "--rule=a.example/=made:80"], "ingress.networking.k8s.io/made"],
    [["quota", "made", "--hard=pods=10"], "resourcequota/made"],
    [["role", "made", "--verb=get", "--resource=pods"], "role.rbac.authorization.k8s.io/made"],
    [["rolebinding", "made", "--role=made", "--user=a"], "rolebinding.rbac.authorization.k8s.io/made"],
  ] as const)
    await kubectl.expect(["create", ...words], `${said} created\n`);
  await kubectl.expect(["wait", "--for=condition=Complete", "job/made", "--timeout=30s"]);
}

/** Those up to 1.20 ask for batch/v1beta1 and policy/v1beta1, which no cluster has any more. */
async function createdOld(kubectl: Kubectl, words: readonly string[], name: string): Promise<void> {
  if (kubectl.minor <= 20)
    await kubectl.expect(["create", ...words], {
      status: 1,
      stderr: /could not find the requested resource|no matches for kind/,
    });
  else await kubectl.expect(["create", ...words], `${name} created\n`);
}

async function deleted(kubectl: Kubectl): Promise<void> {
  const pods = ["a", "b", "c"].map((name) => ({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: `gone-${name}`, labels: { app: "gone" } } },
    spec: { containers: [container] },
  }));
  await kubectl.expect(["create", "-f", await kubectl.file("gone.json", pods)]);
  await kubectl.expect(["delete", "pod", "gone-a", "--grace-period=1"], /^pod "gone-a" .*deleted/);
  await kubectl.expect(["delete", "pod", "gone-b", "--force", "--grace-period=0"], /deleted/);
  await kubectl.expect(["delete", "pods", "-l", "app=gone", "--now"], /^pod "gone-c" .*deleted/);
  assert.equal(await kubectl.expect(["get", "pods", "-l", "app=gone", "-o", "name"]), "");
  await kubectl.expect(["delete", "pod", "none"], { status: 1, stderr: /pods "none" not found/ });
}

async function watched(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(["create", "configmap", "watched"]);
  const watching = await kubectl.begin(
    ["get", "configmaps", "-w", "--output-watch-events"],
    /^ADDED +watched /m,
  );
  await kubectl.expect(["delete", "configmap", "watched"]);
  await until("the deletion", async () => /^DELETED +watched /m.test(watching.output()));
  await watching.stop();
}

async function scaled(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(
    ["scale", "deployment/web", "--replicas=3", "--current-replicas=2"],
    /^deployment.apps\/web scaled/,
  );
  await until(
    "three pods",
    async () => (await fieldOf(kubectl, "deployment/web", ".status.readyReplicas")) === "3",
  );
  await kubectl.expect(["scale", "deployment/web", "--replicas=2"]);
  await kubectl.expect(["scale", "deployment/web", "--replicas=9", "--current-replicas=7"], { status: 1 });
}

async function autoscaled(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(["autoscale", "deployment", "web", "--min=1", "--max=3"], /\/web autoscaled$/m);
  assert.match(await fieldOf(kubectl, "hpa/web", ".spec.maxReplicas"), /^3$/);
  await kubectl.expect(["delete", "hpa", "web"]);
}

async function exposed(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(
    ["expose", "deployment", "web", "--name=exposed", "--port=80"],
    "service/exposed exposed\n",
  );
  assert.equal(await fieldOf(kubectl, "svc/exposed", ".spec.selector.app"), "web");
}

async function rolled(kubectl: Kubectl): Promise<void> {
  const name = "deployment/rolled";
  await kubectl.expect(["apply", "-f", await kubectl.file("rolled.json", [deployment("rolled", 1)])]);
  await kubectl.expect(["rollout", "status", name, "--timeout=40s"], /successfully rolled out\n$/);
  await kubectl.expect(["set", "env", name, "A=1"], `deployment.apps/rolled env updated\n`);
  await kubectl.expect(["rollout", "status", name, "--timeout=40s"], /successfully rolled out\n$/);
  await kubectl.expect(["rollout", "history", name], /^1 +<none>\n2 +<none>$/m);
  await kubectl.expect(["rollout", "undo", name], /rolled back/);
  await kubectl.expect(["rollout", "status", name, "--timeout=40s"]);
  assert.equal(await fieldOf(kubectl, name, ".spec.template.spec.containers[0].env"), "");
  await kubectl.expect(["rollout", "history", name], /^2 +<none>\n3 +<none>$/m);
}

async function restarted(kubectl: Kubectl): Promise<void> {
  const path = ".spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt";
  await kubectl.expect(["rollout", "restart", "deployment/web"], /restarted/);
  assert.match(await fieldOf(kubectl, "deployment/web", path), /^20\d\d-/);
  await kubectl.expect(["rollout", "status", "deployment/web", "--timeout=60s"]);
}

async function paused(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(["rollout", "pause", "deployment/web"], /paused/);
  await kubectl.expect(["set", "image", "deployment/web", "c=podwire/echo:two"], /image updated/);
  assert.match(await fieldOf(kubectl, "deployment/web", ".status.updatedReplicas"), /^0?$/);
  await kubectl.expect(["set", "image", "deployment/web", "c=podwire/echo"], /image updated/);
  await kubectl.expect(["rollout", "resume", "deployment/web"], /resumed/);
  await kubectl.expect(["rollout", "status", "deployment/web", "--timeout=40s"]);
}

async function setFields(kubectl: Kubectl): Promise<void> {
  const name = "deployment/set";
  await kubectl.expect(["create", "deployment", "set", "--image=podwire/echo"]);
  await kubectl.expect(["set", "image", name, "echo=podwire/echo:v2"], /image updated/);
  await kubectl.expect(["set", "resources", name, "--limits=cpu=1"], /resource requirements updated/);
  await kubectl.expect(["set", "serviceaccount", name, "default"], /serviceaccount updated/);
  const path = ".spec.template.spec.containers[0]['image','resources.limits.cpu']";
  assert.equal(await fieldOf(kubectl, name, path), "podwire/echo:v2 1");
}

async function marked(
  kubectl: Kubectl,
  verb: "label" | "annotate",
  where: string,
  said: RegExp,
): Promise<void> {
  await kubectl.expect([verb, "deployment", "web", "tier=front"], said);
  await kubectl.expect([verb, "deployment", "web", "tier=back"], { status: 1, stderr: /overwrite is false/ });
  await kubectl.expect([verb, "deployment", "web", "tier=back", "--overwrite"]);
  assert.equal(await fieldOf(kubectl, "deployment/web", `.metadata.${where}.tier`), "back");
  await kubectl.expect([verb, "deployment", "web", "tier-"]);
}

async function waited(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(
    ["wait", "--for=condition=Available", "deployment/web", "--timeout=40s"],
    /condition met\n$/,
  );
  await kubectl.expect(["create", "configmap", "waited"]);
  const waiting = kubectl.expect(["wait", "--for=delete", "configmap/waited", "--timeout=30s"]);
  const deleting = sleep(WAITER_MS).then(() => kubectl.expect(["delete", "configmap", "waited"]));
  await Promise.all([waiting, deleting]);
  await kubectl.expect(["wait", "--for=condition=Never", "deployment/web", "--timeout=1s"], {
    status: 1,
    stderr: /timed out/,
  });
}

const isOld = { words: "asks for an API that clusters have no more", upTo: 20 };

export const OBJECT_TRIALS: readonly Trial[] = [
  { verb: "`create -f`, `create KIND NAME`", run: created },
  {
    verb: "`create cronjob`",
    refusal: isOld,
    run: (k) =>
      createdOld(
        k,
        ["cronjob", "made", "--image=podwire/echo", "--schedule=0 0 1 1 *", "--", "true"],
        "cronjob.batch/made",
      ),
  },
  {
    verb: "`create pdb`",
    refusal: isOld,
    run: (k) =>
      createdOld(
        k,
        ["pdb", "made", "--selector=app=web", "--min-available=1"],
        "poddisruptionbudget.policy/made",
      ),
  },
  {
    verb: "`create token`",
    since: 24,
    run: (k) => k.expect(["create", "token", "default"], /^[\w-]+\.[\w-]+\.[\w-]+\n?$/),
  },
  {
    verb: "`get` (`-o wide`, `yaml`, `jsonpath`, `-l`, `all`)",
    run: async (k) => {
      await k.expect(
        ["get", "pods", "-l", "app=web", "-o", "wide"],
        /^NAME +READY .* NODE .*\nweb-\S+ +1\/1 +Running .* node\d /,
      );
      await k.expect(["get", "service", "web", "-o", "yaml"], /^ {4}app: web$/m);
      await k.expect(["get", "all"], /^deployment\.apps\/web /m);
      await k.expect(
        ["get", "pods", "-A", "--sort-by=.metadata.name", "-o", "custom-columns=N:.metadata.name"],
        /^N\n/,
      );
    },
  },
  { verb: "`get -w`", run: watched },
  {
    verb: "`describe` pod, service, deployment, node",
    run: async (k) => {
      await k.expect(["describe", "pods", "-l", "app=web"], /^Node: +node\d\/192\.168\.50\.\d+$/m);
      // Of several objects at once newer kubectls show no events.
      await k.expect(["describe", "pod", "talk"], /^Events:\n[\s\S]* Started .* Started container c$/m);
      await k.expect(
        ["describe", "service", "web"],
        /^Endpoints: +10\.244\.\d+\.\d+:8080,10\.244\.\d+\.\d+:8080$/m,
      );
      await k.expect(
        ["describe", "deployment", "web"],
        /^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available/m,
      );
      await k.expect(["describe", "node", "node1"], /^ {2}Ready +True .*KubeletReady/m);
    },
  },
  { verb: "`apply`", run: applied },
  { verb: "`apply --server-side`", run: appliedByServer },
  { verb: "`apply -k`", run: kustomized },
  { verb: "`diff`", run: diffed },
  { verb: "`edit`", run: edited },
  {
    verb: "`patch --type=strategic`",
    run: (k) => patched(k, "strategic", '{"metadata":{"annotations":{"patched":"a"}}}', "a"),
  },
  {
    verb: "`patch --type=merge`",
    run: (k) => patched(k, "merge", '{"metadata":{"annotations":{"patched":"b"}}}', "b"),
  },
  {
    verb: "`patch --type=json`",
    run: (k) =>
      patched(k, "json", '[{"op":"replace","path":"/metadata/annotations/patched","value":"c"}]', "c"),
  },
  {
    verb: "`patch --subresource`",
    since: 24,
    run: (k) =>
      k.expect(
        ["patch", "deployment/web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":2}}'],
        /patched/,
      ),
  },
  { verb: "`replace`, `replace --force`", run: replaced },
  { verb: "`set image`, `resources`, `serviceaccount`", run: setFields },
  { verb: "`scale`", run: scaled },
  { verb: "`autoscale` (stored alone)", run: autoscaled },
  { verb: "`rollout status`, `history`, `undo`", run: rolled },
  { verb: "`rollout restart`", run: restarted },
  { verb: "`rollout pause`, `resume`", run: paused },
  { verb: "`expose`", run: exposed },
  { verb: "`label`", run: (k) => marked(k, "label", "labels", /labeled/) },
  { verb: "`annotate`", run: (k) => marked(k, "annotate", "annotations", /annotated/) },
  { verb: "`wait --for=condition`, `delete`", run: waited },
  {
    verb: "`wait --for=jsonpath`",
    since: 23,
    run: (k) =>
      k.expect(
        ["wait", "--for=jsonpath={.spec.replicas}=2", "deployment/web", "--timeout=10s"],
        /condition met/,
      ),
  },
  { verb: "`delete` (`-l`, `--now`, `--force`)", run: deleted },
];
