// podwire as clusters get it: `podwire install --print` applied to a real API server, the image of scripts/image, pods of
// a DaemonSet under real kubelets that bring their nodes' network; an update node by node; and all of it taken back.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { parseAllDocuments } from "yaml";
import { PODWIRE } from "../../src/testing/lab/lab.ts";
import { run, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { noCluster } from "./support/control-plane.ts";
import type { Kubelet } from "./support/kubelet.ts";
import {
  CONTROL,
  dnsObjects,
  NODE_NAMES,
  NODES,
  type NodeName,
  RANGES,
  RealCluster,
  service,
  workload,
} from "./support/real-cluster.ts";

const IMAGE_FILE = process.env.PODWIRE_CLUSTER_IMAGE ?? "";
const IMAGE = "localhost/podwire:test";
const PATIENCE_MS = 120_000;
const MERGE = "application/merge-patch+json";
const DAEMON_SET = "/apis/apps/v1/namespaces/podwire/daemonsets/podwire";
const skip =
  noCluster("containerd", "runc", "ctr", "curl", "nft", "unshare", "nsenter") ||
  (IMAGE_FILE === "" &&
    "needs podwire's image: scripts/test-cluster makes it where Debian's packages are at hand");
const namespaces = new Namespaces("pwt-daemonset");

type Manifest = { kind: string; metadata: { name: string } };

t.test("a DaemonSet of podwire under real kubelets", { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-daemonset-"));
  t.teardown(async () => {
    namespaces.remove();
    await rm(folder, { recursive: true, force: true });
  });
  const cluster = await RealCluster.start(namespaces, folder);
  t.teardown(() => cluster.stop());
  const { admin } = cluster;
  for (const name of NODE_NAMES) {
    const { containerd } = cluster.kubelets.get(name) as Kubelet;
    await containerd.importImage(IMAGE_FILE);
    t.match((await containerd.crictl("images")).stdout, /localhost\/podwire +test/);
  }
  const ready = (count = 2) => cluster.ready("podwire", count, "podwire", "app.kubernetes.io/name");
  /** What of a machine's network podwire must leave as it was. */
  const networkOf = async (name: NodeName): Promise<string> => {
    const words =
      "nft list ruleset; ip -4 rule; ip -6 rule; ip -4 route; ip -6 route; ip -br addr; " +
      "sysctl net.ipv4.ip_local_reserved_ports net.ipv4.conf.all.rp_filter net.ipv4.ip_forward";
    return (await cluster.machines[name].run("sh", "-c", words)).stdout.replace(/ expires \d+sec/g, "");
  };
  const before = new Map<NodeName, string>();
  for (const name of NODE_NAMES) before.set(name, await networkOf(name));
  const printed = async (...words: string[]): Promise<Manifest[]> => {
    const { status, stdout, stderr } = await run([PODWIRE, ...words, "--print", "--image", IMAGE]);
    if (status !== 0) throw new Error(stderr);
    return parseAllDocuments(stdout).map((document) => document.toJS());
  };
  const places = ["--cni-bin-dir", "/var/lib/runtime/bin", "--cni-conf-dir", "/var/lib/runtime/net.d"];

  await t.test("its manifests bring a network to every node", async (t) => {
    const began = performance.now();
    const ranges = ["--pod-cidr", RANGES.pods, "--service-cidr", RANGES.services];
    const server = ["--api-server", `https://${CONTROL}:6443`];
    for (const object of await printed("install", ...places, ...ranges, ...server)) await admin.apply(object);
    const pods = await ready();
    t.same(pods.map(({ spec }) => spec.nodeName).sort(), NODE_NAMES);
    for (const name of NODE_NAMES) {
      const isReady = async () => (await cluster.condition(name, "Ready")) === "True KubeletReady";
      await until("the node to be ready", isReady, PATIENCE_MS);
      // The network's file, by which the node is ready, may be there before the agent has written this.
      const hasNetwork = async () =>
        (await cluster.condition(name, "NetworkUnavailable")) === "False PodwireIsUp";
      await until("the node to have a network", hasNetwork);
    }
    t.comment(`both nodes ready ${((performance.now() - began) / 1000).toFixed(1)} s after the manifests`);
    t.same(
      pods.map(({ status }) => status.containerStatuses[0].restartCount),
      [0, 0],
    );
  });

  const web = `http://${NODES.node1[0]}:30080/`;
  await t.test("pods on both nodes, names, a Service, a node port", async (t) => {
    for (const object of [
      ...dnsObjects(),
      workload("web", { port: 8080 }),
      service("web", 8080, { type: "NodePort", ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }] }),
      workload("client", { kind: "DaemonSet" }),
    ])
      await admin.apply(object);
    await cluster.ready("web", 2);
    await cluster.ready("coredns", 2, "kube-system");
    for (const pod of await cluster.ready("client", 2)) {
      let said = "";
      const isRight = async () => /web-\S+ saw /.test((said = await cluster.get(pod, "http://web/")));
      await until("an answer", isRight).catch(() => {});
      t.match(said, /web-\S+ saw /, pod.spec.nodeName);
    }
    t.match(await cluster.curl("client", web), /web-\S+ saw /);
  });

  await t.test("an update, one node after the other, under traffic", async (t) => {
    const old = (await ready()).map(({ metadata }) => metadata.name);
    const ask = `while :; do curl -sS --max-time 1 ${web}; date +at\\ %s.%N; sleep 0.05; done`;
    const traffic = await start([...namespaces.command("client", "sh -c"), ask], /saw/);
    t.teardown(() => traffic.stop("SIGKILL"));
    const annotations = { "podwire.dev/test": "again" };
    await admin.done("PATCH", DAEMON_SET, { spec: { template: { metadata: { annotations } } } }, MERGE);
    const areNew = async () => (await ready()).every(({ metadata }) => !old.includes(metadata.name));
    await until("new pods of podwire", areNew, PATIENCE_MS);
    await cluster.ready("web", 2);
    await until("answers", async () => /(\S+ saw .*\nat .*\n){3}$/.test(traffic.output()));
    // Old pod, new pod, init container, agent: until it runs, the kernel refuses connections to node ports.
    const answered = [...traffic.output().matchAll(/ saw .*\nat (\S+)/g)].map(([, at]) => Number(at));
    const gaps = answered.slice(1).map((at, i) => at - answered[i]);
    t.comment(`${answered.length} answers; without one for at most ${Math.max(...gaps).toFixed(1)} s`);
    t.ok(Math.max(...gaps) < 20);
    const restarts = (await cluster.pods("web")).map(
      ({ status }) => status.containerStatuses[0].restartCount,
    );
    t.same(restarts, [0, 0], "kubelet started no container anew");
  });

  await t.test("taken back: the nodes' networks are what they were", async (t) => {
    for (const app of ["web", "coredns"])
      await admin.done(
        "DELETE",
        `/apis/apps/v1/namespaces/${app === "web" ? "default" : "kube-system"}/deployments/${app}`,
      );
    await admin.done("DELETE", "/apis/apps/v1/namespaces/default/daemonsets/client");
    for (const [app, namespace] of [
      ["web", "default"],
      ["client", "default"],
      ["coredns", "kube-system"],
    ])
      await until("pods to go", async () => (await cluster.pods(app, namespace)).length === 0, PATIENCE_MS);
    await admin.done("DELETE", DAEMON_SET);
    const own = "app.kubernetes.io/name";
    await until(
      "the agents to end",
      async () => (await cluster.pods("podwire", "podwire", own)).length === 0,
      PATIENCE_MS,
    );
    for (const object of await printed("uninstall", ...places)) await admin.apply(object);
    await cluster.ready("podwire-uninstall", 2, "podwire", own);
    for (const name of NODE_NAMES) {
      t.equal(await networkOf(name), before.get(name), name);
      const left = await cluster.machines[name].run("ls", "/var/lib/runtime/bin", "/var/lib/runtime/net.d");
      t.notMatch(left.stdout, /podwire/);
      const isNot = async () => /^False/.test(await cluster.condition(name, "Ready"));
      await until("kubelet to know", isNot, PATIENCE_MS);
    }
  });
});
