import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { Pod } from "../../kube/objects.ts";
import { planTopology } from "../topology.ts";
import { wirePod } from "./pod-network.ts";

const topology = planTopology("demo", {});

/** Files under /etc that a pod in the node's network sees instead of the node's. */
async function etcOf(t: Test, spec: object): Promise<Record<string, string>> {
  const folder = t.testdir();
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "proxy", namespace: "shop" },
    spec: { containers: [], hostNetwork: true, ...spec },
    status: {},
  } as unknown as Pod;
  await wirePod({ topology, node: topology.nodes[0], pod, netns: topology.nodes[0].netns, folder });
  const names = await readdir(join(folder, "etc")).catch(() => []);
  const files = names.map(async (name) => [name, await readFile(join(folder, "etc", name), "utf8")]);
  return Object.fromEntries(await Promise.all(files));
}

t.test("a pod in the node's network sees the node's files", async (t) => {
  t.same(await etcOf(t, {}), {});
  t.same(await etcOf(t, { dnsPolicy: "ClusterFirst" }), {});
  t.same(await etcOf(t, { dnsPolicy: "Default" }), {});
});

t.test("unless it asks for the cluster's DNS by name", async (t) => {
  t.same(await etcOf(t, { dnsPolicy: "ClusterFirstWithHostNet" }), {
    "resolv.conf":
      "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
  });
});

t.test("or for DNS and hosts of its own", async (t) => {
  const dnsConfig = { nameservers: ["192.0.2.1"], searches: ["corp.test"] };
  const hostAliases = [{ ip: "192.0.2.2", hostnames: ["old-shop"] }];
  const files = await etcOf(t, { dnsPolicy: "None", dnsConfig, hostAliases });
  t.equal(files["resolv.conf"], "search corp.test\nnameserver 192.0.2.1\n");
  t.match(files.hosts, /^192\.0\.2\.2\told-shop$/m);
});
