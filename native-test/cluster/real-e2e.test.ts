// What others test a cluster's network by, in a cluster of podwire's: Kubernetes' own end-to-end tests of SIG Network, by
// their own runner, and cyclonus' policies, by its own simulation.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { layImages, TOOLS } from "./support/agnhost.ts";
import { noCluster, PROGRAMS } from "./support/control-plane.ts";
import { type Choice, imagesOf, runCyclonus, runSpecs, type Spec } from "./support/network-specs.ts";
import { clusterOfAgents } from "./support/real-agents.ts";
import { dnsObjects, NODE_NAMES } from "./support/real-cluster.ts";

const REGISTRY = "localhost/e2e";
/** The image that cyclonus names, whole. */
const CYCLONUS = "docker.io/mfenwick100/cyclonus-worker:latest";
const PATIENCE_MS = 60_000;
/** "all", "cyclonus", or a pattern of full names; without it those that fit into a few minutes. */
const WHICH = process.env.PODWIRE_E2E ?? "";
const IS_CYCLONUS = WHICH === "cyclonus" || WHICH === "all";

const timeoutMs = WHICH === "" ? 900_000 : 3_600_000;
const CHOICE: Choice = choose();
const skip = noCluster("containerd", "runc", "ctr", "nft", "unshare", "nsenter", ...TOOLS);
const namespaces = new Namespaces("pwt-real-e2e");

t.test("what others test a cluster's network by", { skip }, async (t) => {
  const { folder, cluster, agents } = await clusterOfAgents(t, namespaces);
  await agents.start();
  const images = [...(await imagesOf(folder, REGISTRY)), ...(IS_CYCLONUS ? [CYCLONUS] : [])];
  const nodes = [...cluster.kubelets.values()].map(({ containerd }) => containerd);
  const certificate = cluster.control.caFile.replace(/\.crt$/, "");
  const more = IS_CYCLONUS ? [{ path: "worker", from: join(PROGRAMS, "cyclonus") }] : [];
  await layImages(images, { folder, nodes, certificate, more });
  for (const object of dnsObjects()) await cluster.admin.apply(object);
  await cluster.ready("coredns", 2, "kube-system");
  await cluster.routePods();
  const kubeconfig = cluster.control.kubeconfig({ token: cluster.control.tokenOf("admin") });

  const specs = async (t: Test): Promise<void> => {
    const options = { folder, registry: REGISTRY, kubeconfig, processes: 6, timeoutMs };
    const { summary, specs, output } = await runSpecs(CHOICE, options);
    for (const line of [summary, ...table(specs)]) t.comment(`> ${line}`);
    for (const { name, state, said } of specs) {
      if (state === "skipped") t.comment(`> did not run: ${name}: ${said}`);
      else if (state !== "passed") t.fail(`${name}: ${state}: ${said}`);
    }
    const passed = specs.filter(({ state }) => state === "passed").length;
    t.match(summary, /SUCCESS! -- \d+ Passed \| 0 Failed/);
    if (!summary.includes("SUCCESS!"))
      for (const line of output.split("\n").slice(-400)) t.comment(line.trimEnd());
    t.ok(passed >= (WHICH === "" ? 30 : 1), `${passed} passed`);
  };
  const policies = async (t: Test): Promise<void> => {
    const tag = WHICH === "all" ? "" : "upstream-e2e";
    const { summary, passed, failed, output } = await runCyclonus(tag, { folder, kubeconfig, timeoutMs });
    for (const line of summary.split("\n")) t.comment(`> ${line}`);
    t.same(failed, []);
    if (failed.length > 0) for (const line of output.split("\n").slice(-400)) t.comment(line.trimEnd());
    t.ok(passed.length >= 10, `${passed.length} passed`);
  };
  if (WHICH !== "cyclonus") await t.test("Kubernetes' own end-to-end tests of SIG Network", specs);
  if (IS_CYCLONUS) await t.test("policies of cyclonus, each judged by its own simulation", policies);

  await t.test("all is well after it, by podwire's own account", async (t) => {
    for (const name of NODE_NAMES) {
      const isWell = async (): Promise<boolean> => (await agents.of(name).status()).status === 0;
      await until("status", isWell, PATIENCE_MS).catch(() => {});
      const { status, stdout } = await agents.of(name).status();
      t.equal(status, 0, stdout);
    }
  });
});

function choose(): Choice {
  const skip = [
    ...(readFileSync("/proc/net/protocols", "utf8").includes("SCTP") ? [] : ["SCTPConnectivity"]),
    String.raw`\[Disruptive\]`,
    String.raw`\[Feature:(LoadBalancer|Ingress|PerformanceDNS|NetworkingPerformance|NetworkingDNS|NetworkingIPv[46])`,
  ];
  if (WHICH !== "") return { focus: [WHICH === "all" ? String.raw`\[sig-network\]` : WHICH], skip };
  const policies = [
    ...["support a 'default-deny-all' policy", "enforce policy based on Ports"],
    ...["allow egress access to server in CIDR block", "stop enforcing policies after they are deleted"],
  ];
  const focus = [
    String.raw`\[sig-network\].*\[Conformance\]`,
    `Netpol NetworkPolicy between server and client should (${policies.join("|")})`,
  ];
  return { focus, skip };
}

/** How many of each kind passed, and how long they took. */
function table(specs: readonly Spec[]): string[] {
  const kinds = new Map<string, Spec[]>();
  for (const spec of specs) {
    const kind = /^\[sig-network\] (\S+( API)?)/.exec(spec.name)?.[1] ?? "other";
    kinds.set(kind, [...(kinds.get(kind) ?? []), spec]);
  }
  return [...kinds].map(([kind, all]) => {
    const passed = all.filter(({ state }) => state === "passed").length;
    const seconds = all.reduce((sum, each) => sum + each.seconds, 0);
    return `${kind}: ${passed} of ${all.length} passed, ${seconds.toFixed(0)} s`;
  });
}
