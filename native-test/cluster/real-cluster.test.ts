// A real cluster whose network is podwire: two nodes of kubelet, containerd and runc, pods that the scheduler places,
// CoreDNS behind a Service, and neither kube-proxy nor another plug-in. Each node has one NIC, as machines have.
import { readFile } from "node:fs/promises";
import t, { type Test } from "tap";
import { sleep, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { noCluster } from "./support/control-plane.ts";
import { clusterOfAgents } from "./support/real-agents.ts";
import {
  dnsObjects,
  isReady,
  NODE_NAMES,
  NODES,
  type NodeName,
  service,
  WORLD,
  workload,
} from "./support/real-cluster.ts";

const WEB_PORT = 30_080;
const HOST_PORT = 30_081;
const PATIENCE_MS = 60_000;
const skip = noCluster("containerd", "runc", "ctr", "curl", "nft", "unshare", "nsenter");
const namespaces = new Namespaces("pwt-real-cluster");

t.test("kubelets, containerds and CoreDNS in a cluster of podwire's", { skip }, async (t) => {
  const { cluster, agents } = await clusterOfAgents(t, namespaces);
  const { admin } = cluster;

  await t.test("without podwire the nodes are not ready, and have ranges for pods", async (t) => {
    for (const name of NODE_NAMES) {
      await until(
        "the node's ranges",
        async () => (await cluster.node(name)).spec.podCIDRs?.length === 2,
        PATIENCE_MS,
      );
      t.equal(await cluster.condition(name, "Ready"), "False KubeletNotReady");
      t.equal(await cluster.condition(name, "NetworkUnavailable"), "undefined undefined");
    }
  });

  await t.test("with it they are, and have a network", async (t) => {
    const began = performance.now();
    await agents.start();
    for (const name of NODE_NAMES) {
      await until(
        "the node to be ready",
        async () => (await cluster.condition(name, "Ready")) === "True KubeletReady",
        PATIENCE_MS,
      );
      const hasNetwork = async (): Promise<boolean> =>
        (await cluster.condition(name, "NetworkUnavailable")) === "False PodwireIsUp";
      await until("the node to have a network", hasNetwork);
      await until("no taint to be left", async () => (await cluster.node(name)).spec.taints === undefined);
    }
    t.comment(
      `both nodes ready ${((performance.now() - began) / 1000).toFixed(1)} s after the first agent's start`,
    );
  });

  await t.test(
    "Deployments and DaemonSets: scheduled, with networks of podwire, ready by kubelet's probes",
    async (t) => {
      const began = performance.now();
      for (const object of [
        ...dnsObjects(),
        workload("web", { port: 8080 }),
        service("web", 8080, {
          type: "NodePort",
          ports: [{ port: 80, targetPort: 8080, nodePort: WEB_PORT }],
        }),
        workload("client", { kind: "DaemonSet" }),
        workload("host", { kind: "DaemonSet", hostNetwork: true, port: 8085 }),
        service("host", 8085, {
          type: "NodePort",
          ports: [{ port: 80, targetPort: 8085, nodePort: HOST_PORT }],
        }),
      ])
        await admin.apply(object);
      for (const app of ["web", "client", "host"]) {
        const pods = await cluster.ready(app, 2);
        t.same(pods.map(({ spec }) => spec.nodeName).sort(), NODE_NAMES, `${app}: one on each node`);
        const ofHost = pods.every(({ status, spec }) => status.podIP === NODES[spec.nodeName as NodeName][0]);
        t.equal(ofHost, app === "host");
        if (app !== "host")
          t.ok(
            pods.every(({ status }) => status.podIPs.length === 2),
            "both families",
          );
      }
      const pods = await cluster.ready("coredns", 2, "kube-system");
      t.comment(`all pods ready after ${((performance.now() - began) / 1000).toFixed(1)} s`);
      t.same(
        pods.map(({ status }) => status.containerStatuses[0].restartCount),
        [0, 0],
        "at the first try",
      );
    },
  );

  /** Whoever asks: pods of both nodes, programs of both nodes, somebody outside. */
  const clients = async (): Promise<Map<string, (url: string) => Promise<string>>> => {
    const pods = await cluster.ready("client", 2);
    return new Map([
      ...pods.map((pod) => [`pod of ${pod.spec.nodeName}`, (url: string) => cluster.get(pod, url)] as const),
      ...NODE_NAMES.map((name) => [name, (url: string) => cluster.curl(name, url)] as const),
      ["outside", (url: string) => cluster.curl("client", url)] as const,
    ]);
  };
  const reach = async (t: Test, who: RegExp, targets: Readonly<Record<string, RegExp>>): Promise<void> => {
    for (const [name, get] of await clients()) {
      if (!who.test(name)) continue;
      for (const [url, answer] of Object.entries(targets)) {
        let said = "";
        const isRight = async (): Promise<boolean> => answer.test((said = await get(url)));
        await until(url, isRight).catch(() => {});
        t.match(said, answer, `${name} > ${url}`);
      }
    }
  };
  const v6 = (pod: { status: { podIPs: { ip: string }[] } }): string => `[${pod.status.podIPs[1].ip}]`;

  await t.test("pods by their addresses, from pods and nodes", async (t) => {
    const targets = Object.fromEntries(
      (await cluster.ready("web", 2)).flatMap((pod) =>
        [pod.status.podIP, v6(pod)].map((ip) => [
          `http://${ip}:8080/`,
          new RegExp(`${pod.metadata.name} saw `),
        ]),
      ),
    );
    await reach(t, /pod|node/, targets);
  });

  await t.test("Services by their addresses, from pods and nodes", async (t) => {
    const web = (await admin.done("GET", "/api/v1/namespaces/default/services/web")).spec;
    const host = (await admin.done("GET", "/api/v1/namespaces/default/services/host")).spec;
    await reach(t, /pod|node/, {
      [`http://${web.clusterIPs[0]}/`]: /web-\S+ saw /,
      [`http://[${web.clusterIPs[1]}]/`]: /web-\S+ saw /,
      [`http://${host.clusterIPs[0]}/`]: /node[12] saw /,
    });
  });

  await t.test("node ports of both nodes, from everywhere", async (t) => {
    const targets = Object.values(NODES).flatMap(([four, six]) => [
      [`http://${four}:${WEB_PORT}/`, /web-\S+ saw /],
      [`http://[${six}]:${WEB_PORT}/`, /web-\S+ saw /],
      [`http://${four}:${HOST_PORT}/`, /node[12] saw /],
    ]);
    await reach(t, /./, Object.fromEntries(targets));
  });

  await t.test("pods and programs of nodes' own networks, by the nodes' addresses", (t) =>
    reach(t, /pod|node/, {
      [`http://${NODES.node1[0]}:8085/`]: /node1 saw /,
      [`http://${NODES.node2[0]}:8085/`]: /node2 saw /,
      [`http://[${NODES.node2[1]}]:8085/`]: /node2 saw /,
    }),
  );

  await t.test("names: kube-dns answers every pod, for the cluster and for the world", async (t) => {
    const web = (await admin.done("GET", "/api/v1/namespaces/default/services/web")).spec.clusterIPs;
    const both = new RegExp(`^(?=.*${web[0]})(?=.*${web[1]}).* web-\\S+ saw `);
    await reach(t, /pod/, {
      "http://web/": both,
      "http://web.default/": both,
      "http://web.default.svc.cluster.local/": both,
      "http://host.default.svc/": /node[12] saw /,
      [`http://${WORLD.name}:8080/`]: new RegExp(`^${WORLD.address} \\S+ saw 192\\.168\\.77\\.1[12]:`),
      "http://nobody.default.svc.cluster.local/": /no such host/,
    });
    // As kubelet gives it to pods of nodes' networks, which are the nodes' own programs to podwire.
    for (const pod of await cluster.ready("host", 2))
      t.match(await cluster.get(pod, "http://web/"), both, `host of ${pod.spec.nodeName} > http://web/`);
  });

  await t.test("pods reach the API server by the Service `kubernetes`", async (t) => {
    for (const pod of await cluster.ready("client", 2)) {
      const said = await cluster.get(pod, "https://kubernetes.default.svc/version");
      t.match(said, /certificate signed by unknown authority/, "it answers, and is not known to who asks");
    }
  });

  await t.test("a policy closes pods to others, not to kubelet's probes", async (t) => {
    const policy = {
      ...{ apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
      metadata: { name: "closed", namespace: "default" },
      spec: { podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Ingress"], ingress: [] },
    };
    await admin.apply(policy);
    const closed = { "http://web/": /deadline exceeded|timeout/i };
    await reach(t, /pod/, closed);
    await sleep(5000); // several probes
    t.ok((await cluster.pods("web")).every(isReady), "probes go on");
    t.same(
      (await cluster.pods("web")).map(({ status }) => status.containerStatuses[0].restartCount),
      [0, 0],
    );
    await admin.remove(policy);
    await reach(t, /pod/, { "http://web/": /web-\S+ saw / });
  });

  await t.test("a pod is deleted and made again, under traffic to its Service", async (t) => {
    const curl = `curl -sS --max-time 2 -w '%{time_total} s\\n' http://${NODES.node1[0]}:${WEB_PORT}/`;
    const ask = `while :; do ${curl} || echo none; sleep 0.05; done`;
    const traffic = await start([...namespaces.command("client", "sh -c"), ask], /saw/);
    const [first] = await cluster.ready("web", 2);
    await admin.done("DELETE", `/api/v1/namespaces/default/pods/${first.metadata.name}`);
    const isGone = async (): Promise<boolean> =>
      !(await cluster.pods("web")).some(({ metadata }) => metadata.name === first.metadata.name);
    await until("it to go", isGone, PATIENCE_MS);
    const pods = await cluster.ready("web", 2);
    const { name } = pods.find(({ spec }) => spec.nodeName === first.spec.nodeName).metadata;
    await until("the new one to answer", async () => traffic.output().includes(`${name} saw`));
    await until("more answers", async () => traffic.output().split(" saw ").length > 20); // it came quickly
    await traffic.stop();
    const lines = traffic.output().trim().split("\n");
    const answers = lines.filter((line) => line.includes(" saw "));
    const failed = lines.filter((line) => line === "none");
    const longest = Math.max(...lines.map((line) => Number(/^(\S+) s$/.exec(line)?.[1] ?? 0)));
    t.comment(
      `${answers.length} answers, ${failed.length} failed while the pod went; ${longest} s the longest`,
    );
    t.ok(answers.length > 10);
    t.ok(failed.length <= 2, `${failed.length} failed`);
    const leases = JSON.parse(await readFile(agents.leaseFile(first.spec.nodeName), "utf8")).leases;
    const [ours, others] = await Promise.all([cluster.pods("web"), cluster.pods("client")]);
    const expected = [...ours, ...others, ...(await cluster.pods("coredns", "kube-system"))]
      .filter(({ spec }) => spec.nodeName === first.spec.nodeName)
      .flatMap(({ status }) => status.podIPs.map(({ ip }: { ip: string }) => ip));
    t.same(
      leases.flatMap(({ ips }: { ips: string[] }) => ips).sort(),
      expected.sort(),
      "no address is left over",
    );
  });

  await t.test(
    "an agent is killed: its node goes on with the next one, and no container is started anew",
    async (t) => {
      await agents.of("node2").stop("SIGKILL");
      await sleep(2000);
      await agents.of("node2").start();
      await reach(t, /pod of node2|node2|outside/, {
        [`http://${NODES.node2[0]}:${WEB_PORT}/`]: /web-\S+ saw /,
      });
      await reach(t, /pod/, { "http://web/": /web-\S+ saw / });
      const all = [...(await cluster.pods("web")), ...(await cluster.pods("coredns", "kube-system"))];
      t.same(
        all.map(({ status }) => status.containerStatuses[0].restartCount),
        all.map(() => 0),
      );
    },
  );

  await t.test("all is well, by podwire's own account", async (t) => {
    for (const name of NODE_NAMES) {
      const isWell = async (): Promise<boolean> => (await agents.of(name).status()).status === 0;
      await until("status", isWell, PATIENCE_MS).catch(() => {});
      const { status, stdout } = await agents.of(name).status();
      t.equal(status, 0, stdout);
    }
    t.match(await cluster.curl("client", `http://${NODES.node1[0]}:8085/`), /node1 saw 192\.168\.77\.20:/);
  });
});
