// Verbs that reach what runs in pods, nodes, and the server itself.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run, sleep, until } from "../../../src/testing/lab/process.ts";
import type { Kubectl } from "./kubectl.ts";
import type { Trial } from "./trial.ts";

const TALK = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.1; done";
const pod = (name: string, container: object): object => ({
  ...{ apiVersion: "v1", kind: "Pod", metadata: { name } },
  spec: { nodeName: "node1", terminationGracePeriodSeconds: 1, containers: [{ name: "c", ...container }] },
});

/** What the others find there: a pod that talks, one that serves, one that reads. */
export async function makePods(kubectl: Kubectl): Promise<void> {
  const pods = [
    pod("talk", { image: "x", command: ["sh", "-c", TALK] }),
    pod("serve", { image: "podwire/echo", ports: [{ containerPort: 8080 }] }),
    pod("read", {
      image: "x",
      stdin: true,
      command: ["sh", "-c", "while read word; do echo got $word; done"],
    }),
  ];
  await kubectl.expect(["create", "-f", await kubectl.file("pods.json", pods)]);
  const names = ["talk", "serve", "read"].map((name) => `pod/${name}`);
  await kubectl.expect(["wait", "--for=condition=Ready", ...names, "--timeout=40s"]);
}

async function followed(kubectl: Kubectl): Promise<void> {
  const following = await kubectl.begin(["logs", "-f", "talk", "--tail=1"], /line \d+\n/);
  const before = following.output().length;
  await sleep(700);
  await following.stop();
  assert.ok(following.output().length > before, "it goes on");
}

async function executed(kubectl: Kubectl): Promise<void> {
  const words = ["exec", "serve", "--", "sh", "-c", "echo out; echo err >&2; exit 7"];
  await kubectl.expect(words, { status: 7, stdout: "out\n", stderr: /^err\n/ });
  const text = "0123456789abcdef\n".repeat(20_000);
  await kubectl.expect(["exec", "-i", "serve", "--", "cat"], text, text);
}

async function attached(kubectl: Kubectl): Promise<void> {
  const attaching = await kubectl.begin(["attach", "talk"], /line \d+/);
  await attaching.stop();
  const typed = "(sleep 1; echo word; sleep 2) | timeout 10 kubectl attach -i read";
  assert.match(await kubectl.shell(`${typed} || true`), /^got word$/m);
}

async function copied(kubectl: Kubectl): Promise<void> {
  const [here, back] = ["here", "back"].map((name) => join(kubectl.folder, name));
  const there = join(kubectl.folder, "there");
  const bytes = Buffer.alloc(100_000, "podwire");
  await writeFile(here, bytes);
  await kubectl.expect(["cp", here, `serve:${there}`]);
  await kubectl.expect(["cp", `serve:${there}`, back]);
  assert.ok((await readFile(back)).equals(bytes), "what comes back is what went");
}

async function forwarded(kubectl: Kubectl, target: string, port: string, inside: string): Promise<void> {
  const said = new RegExp(`127\\.0\\.0\\.1:(\\d+) -> ${inside}`);
  const forwarding = await kubectl.begin(["port-forward", target, `:${port}`], said);
  const [, local] = said.exec(forwarding.output()) ?? [];
  const answers = await Promise.all([1, 2, 3].map(() => ask(`http://127.0.0.1:${local}/`)));
  await forwarding.stop();
  for (const answer of answers) assert.match(answer, /"pod":/);
}

async function ask(url: string): Promise<string> {
  return (await run(["curl", "-s", "--max-time", "10", url])).stdout;
}

async function proxied(kubectl: Kubectl): Promise<void> {
  const proxy = await kubectl.begin(["proxy", "--port=0"], /Starting to serve on 127\.0\.0\.1:\d+/);
  const [, port] = /127\.0\.0\.1:(\d+)/.exec(proxy.output()) ?? [];
  const answer = await ask(`http://127.0.0.1:${port}/api/v1/namespaces/${kubectl.namespace}/pods/talk`);
  await proxy.stop();
  assert.match(answer, /"name": ?"talk"/);
}

/** A node that the cluster's own pods are not drained from: DaemonSets there are none. */
async function drained(kubectl: Kubectl): Promise<void> {
  const podsThere = (): Promise<string> =>
    kubectl.expect(["get", "pods", "-A", "--field-selector=spec.nodeName=node2", "-o", "name"]);
  try {
    await kubectl.expect([
      "drain",
      "node2",
      "--ignore-daemonsets",
      "--delete-emptydir-data",
      "--force",
      "--timeout=60s",
    ]);
    assert.equal(await podsThere(), "");
    await kubectl.expect(["get", "node", "node2"], /Ready,SchedulingDisabled/);
  } finally {
    await kubectl.call(["uncordon", "node2"]);
  }
}

async function cordoned(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(["cordon", "node2"], "node/node2 cordoned\n");
  await kubectl.expect(["get", "node", "node2", "-o", "jsonpath={.spec.unschedulable}"], "true");
  await kubectl.expect(["uncordon", "node2"], "node/node2 uncordoned\n");
  await kubectl.expect(["get", "node", "node2", "-o", "jsonpath={.spec.unschedulable}"], "");
}

async function tainted(kubectl: Kubectl): Promise<void> {
  await kubectl.expect(["taint", "nodes", "node2", "tried=yes:NoSchedule"], "node/node2 tainted\n");
  await kubectl.expect(["get", "node", "node2", "-o", "jsonpath={.spec.taints[*].key}"], /tried/);
  await kubectl.expect(["taint", "nodes", "node2", "tried-"], "node/node2 untainted\n");
}

async function ranOnce(kubectl: Kubectl): Promise<void> {
  const words = ["run", "once", "--rm", "-i", "--image=busybox", "--restart=Never", "--"];
  await kubectl.expect([...words, "sh", "-c", "echo begun; wc -l"], /^begun\n[\s\S]*3\n/m, "a\nb\nc\n");
  await until("its pod is gone", async () => (await kubectl.call(["get", "pod", "once"])).status === 1);
}

async function metricsRefused(kubectl: Kubectl, what: string): Promise<void> {
  await kubectl.expect(["top", what], { status: 1, stderr: /^error: Metrics API not available\n$/ });
}

async function debuggedCopy(kubectl: Kubectl): Promise<void> {
  const words = [
    "debug",
    "serve",
    "--copy-to=copy",
    "--image=busybox",
    "--container=look",
    "--",
    "sleep",
    "1000",
  ];
  await kubectl.expect(words);
  await kubectl.expect(["wait", "--for=condition=Ready", "pod/copy", "--timeout=30s"]);
  await kubectl.expect(["get", "pod", "copy", "-o", "jsonpath={.spec.containers[*].name}"], "c look");
}

const EPHEMERAL = "ephemeral containers are disabled for this cluster";

export const MACHINE_TRIALS: readonly Trial[] = [
  {
    verb: "`run`",
    run: async (k) => {
      await k.expect(["run", "ran", "--image=podwire/echo", "--port=8080"], "pod/ran created\n");
      await k.expect(["wait", "--for=condition=Ready", "pod/ran", "--timeout=30s"]);
    },
  },
  { verb: "`run -i --rm`", run: ranOnce },
  {
    verb: "`logs` (`--tail`, `--since`, `--timestamps`, `-p`)",
    run: async (k) => {
      await k.expect(["logs", "talk", "--tail=2", "--since=1m"], /^line \d+\nline \d+\n$/);
      await k.expect(["logs", "talk", "--tail=1", "--timestamps"], /^20\d\d-\S+Z line \d+\n$/);
      await k.expect(["logs", "talk", "-p"], {
        status: 1,
        stderr: /previous terminated container "c" in pod "talk" not found/,
      });
    },
  },
  { verb: "`logs -f`", run: followed },
  { verb: "`exec`, `exec -i`", run: executed },
  {
    verb: "`exec -it`",
    run: async (k) => {
      const inside = "tty; read line; echo got \\$line";
      const words = `exec kubectl exec -it serve -- sh -c '${inside}'`;
      const typed = `(sleep 2; printf 'hello\\r') | script -qec "${words}" /dev/null`;
      assert.match(await k.shell(typed), /\/dev\/pts\/\d+\r\n[\s\S]*got hello\r\n/);
    },
  },
  { verb: "`attach`, `attach -i`", run: attached },
  { verb: "`cp`, there and back", run: copied },
  { verb: "`port-forward` to a pod", run: (k) => forwarded(k, "pod/serve", "8080", "8080") },
  { verb: "`port-forward` to a Service", run: (k) => forwarded(k, "svc/web", "80", "8080") },
  { verb: "`proxy`", run: proxied },
  { verb: "`get events`", run: (k) => k.expect(["get", "events"], /^\S+ +Normal +Started +pod\/talk /m) },
  {
    verb: "`events`",
    since: 26,
    run: (k) => k.expect(["events", "--for", "pod/talk"], /Normal +Started +Pod\/talk /),
  },
  {
    verb: "`version`, `cluster-info`",
    run: async (k) => {
      await k.expect(["version"], /Server Version: .*v?1\.\d+/);
      await k.expect(["cluster-info"], /is running at/);
    },
  },
  {
    verb: "`api-resources`, `api-versions`",
    run: async (k) => {
      await k.expect(["api-resources", "-o", "name"], /^deployments\.apps$/m);
      await k.expect(["api-versions"], /^networking\.k8s\.io\/v1$/m);
    },
  },
  {
    verb: "`explain`",
    run: async (k) => {
      await k.expect(["explain", "pods.spec.containers"], /^ +livenessProbe\s+<\S+>/m);
      await k.expect(["explain", "deployments", "--recursive"], /^ +maxSurge\s+</m);
    },
  },
  { verb: "`auth can-i`", run: (k) => k.expect(["auth", "can-i", "delete", "pods"], "yes\n") },
  { verb: "`auth whoami`", since: 27, run: (k) => k.expect(["auth", "whoami"], /kubernetes-admin/) },
  { verb: "`cordon`, `uncordon`", run: cordoned },
  { verb: "`taint`", run: tainted },
  { verb: "`drain`", run: drained },
  {
    verb: "`top nodes`",
    refusal: { words: "Metrics API not available" },
    run: (k) => metricsRefused(k, "nodes"),
  },
  {
    verb: "`top pods`",
    refusal: { words: "Metrics API not available" },
    run: (k) => metricsRefused(k, "pods"),
  },
  { verb: "`debug --copy-to`", run: debuggedCopy },
  {
    verb: "`debug`",
    refusal: { words: EPHEMERAL },
    run: (k) => k.expect(["debug", "serve", "--image=busybox"], { status: 1, stderr: new RegExp(EPHEMERAL) }),
  },
];
