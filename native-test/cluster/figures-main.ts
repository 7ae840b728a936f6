// Figures beside the real kube-proxy, with the same objects of a real API server: from the answer to an EndpointSlice's
// write to the first new connection that goes where it says; how long an agent takes to load them, and its memory.
//   scripts/test-cluster --figures [--services 1000,10000] [--endpoints 10] [--pods N] [--rounds N] [--pause MS]
//                                  [--proxy podwire,nftables]
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../../src/testing/lab/lab.ts";
import { type Running, run, sleep, start, until } from "../../src/testing/lab/process.ts";
import { Namespaces } from "../support/namespaces.ts";
import { makeNode, objects } from "../support/own-node.ts";
import { ClusterNode } from "./support/cluster-node.ts";
import { ControlPlane, PROGRAMS } from "./support/control-plane.ts";
import { loadPods, loadServices } from "./support/load.ts";

const { values } = parseArgs({
  options: {
    services: { type: "string", default: "1000,10000" },
    endpoints: { type: "string", default: "10" },
    pods: { type: "string", default: "0" },
    rounds: { type: "string", default: "100" },
    pause: { type: "string", default: "200" },
    proxy: { type: "string", default: "podwire,nftables" },
  },
});
const [ENDPOINTS, PODS, ROUNDS, PAUSE_MS] = [
  ...[values.endpoints, values.pods, values.rounds, values.pause].map(Number),
];
const VIP = "10.96.0.53";
const PORT = 5353;
const NODE_PODS = { a: "10.244.1.2", shell: "10.244.1.3", b: "10.244.1.4" };
const PROXY_ENDS = ["192.0.2.11", "192.0.2.12"];
const LONG_MS = 600_000;
const FOLLOW = join(ROOT, "build/native-test/cluster/support/follow-main.js");
const namespaces = new Namespaces("pwt-figures");
const folder = await mkdtemp(join(tmpdir(), "podwire-figures-"));
const control = await ControlPlane.start(folder);
/** Programs beside this one: they end with it, however it ends. */
const programs = new Set<Running>();
const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

const slice = (address: string): object => ({
  ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
  metadata: { name: "probe-a", namespace: "default", labels: { "kubernetes.io/service-name": "probe" } },
  ports: [{ name: "u", port: PORT, protocol: "UDP" }],
  endpoints: [{ addresses: [address], conditions: { ready: true }, nodeName: "node1" }],
});

/** Switches the service between two ends and tells how long each took. */
async function follow(
  title: string,
  ends: readonly string[],
  asking: Running,
  pauseMs: number,
): Promise<void> {
  const seenUs = (letter: string, fromUs: number): number => {
    const lines = asking.output().trim().split("\n").slice(-4);
    const found = lines
      .map((line) => line.split(" "))
      .find(([l, us]) => l === letter && Number(us) >= fromUs);
    return found === undefined ? -1 : Number(found[1]);
  };
  const write = (to: number) =>
    control.admin.done("PATCH", PROBE, slice(ends[to]), "application/merge-patch+json");
  const took: number[] = [];
  await write(0);
  await until("the first end to answer", async () => /a \d+\n$/.test(asking.output()), LONG_MS);
  for (let i = 1; i <= ROUNDS; i++) {
    await sleep(pauseMs * (0.75 + Math.random() / 2));
    const beganUs = nowUs();
    await write(i % 2);
    const answeredUs = nowUs();
    let at = -1;
    for (const end = Date.now() + LONG_MS; at < 0 && Date.now() < end; await sleep(1))
      at = seenUs("ab"[i % 2], beganUs);
    took.push((at - answeredUs) / 1000);
  }
  took.sort((x, y) => x - y);
  const at = (q: number): string => took[Math.min(took.length - 1, Math.floor(q * took.length))].toFixed(1);
  console.log(
    `${title}: write to first packet, ms: median ${at(0.5)} p90 ${at(0.9)} p99 ${at(0.99)} max ${at(1)}`,
  );
}

async function program(command: readonly string[], ready: RegExp): Promise<Running> {
  const running = await start(command, ready);
  programs.add(running);
  return running;
}

async function end(): Promise<void> {
  for (const each of programs) await each.stop("SIGKILL");
  await control.stop();
  namespaces.remove();
  await rm(folder, { recursive: true, force: true });
}

const PROBE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/probe-a";

async function withPodwire(services: number): Promise<void> {
  makeNode(namespaces, NODE_PODS);
  const node = new ClusterNode(control, namespaces, folder);
  const beganMs = performance.now();
  await node.begin();
  const known = new RegExp(` ${services + 3} services`); // kubernetes, web and probe as well
  await until("all objects", async () => known.test((await node.status()).stdout), LONG_MS);
  const seconds = (performance.now() - beganMs) / 1000;
  await sleep(10_000); // for what is done later, as writing the state
  const { now, most } = node.memory();
  const title = `podwire, ${services} services`;
  console.log(
    `${title}: loaded in ${seconds.toFixed(1)} s, ${now.toFixed(0)} MiB, at most ${most.toFixed(0)}`,
  );
  const inPod = (pod: string, ...words: string[]): Promise<Running> =>
    program(["ip", "netns", "exec", namespaces.nameOf(pod), process.execPath, FOLLOW, ...words], /ready/);
  const running: Running[] = [];
  if (services > 0) {
    for (const pod of ["a", "b"] as const)
      running.push(await inPod(pod, "serve", NODE_PODS[pod], `${PORT}`, pod));
    running.push(await inPod("shell", "ask", VIP, "53"));
    await follow(title, [NODE_PODS.a, NODE_PODS.b], running[2], PAUSE_MS);
  }
  for (const each of running) await each.stop("SIGKILL");
  await node.stop();
  await node.forget();
  namespaces.remove();
}

async function withKubeProxy(mode: string, services: number): Promise<void> {
  const config = join(folder, "kube-proxy.yaml");
  await writeFile(
    config,
    JSON.stringify({
      ...{ apiVersion: "kubeproxy.config.k8s.io/v1alpha1", kind: "KubeProxyConfiguration", mode },
      ...{ hostnameOverride: "node1", clusterCIDR: "10.244.0.0/16", [mode]: { minSyncPeriod: "1s" } },
      clientConnection: { kubeconfig: control.kubeconfig({ token: "proxy-token" }) },
      ...{ healthzBindAddress: "127.0.0.1:10256", metricsBindAddress: "127.0.0.1:10249" },
      conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    }),
  );
  for (const words of [
    "link add up0 type veth peer name up1",
    "link set up0 up",
    "link set up1 up",
    "addr add 192.0.2.1/24 dev up0",
    ...PROXY_ENDS.map((address) => `addr add ${address}/32 dev lo`),
    "route add default via 192.0.2.254 dev up0",
  ])
    if ((await run(["ip", ...words.split(" ")])).status !== 0) throw new Error(`ip ${words}: failed`);
  const beganMs = performance.now();
  const proxy = await program([join(PROGRAMS, "kube-proxy"), "--config", config, "-v", "2"], /Starting/);
  const synced = /^kubeproxy_sync_proxy_rules_duration_seconds_count(\{ip_family="IPv4"\})? [1-9]/m;
  await until(
    "the first sync",
    async () => synced.test((await run(["curl", "-s", "http://127.0.0.1:10249/metrics"])).stdout),
    LONG_MS,
  );
  const title = `kube-proxy ${mode}, ${services} services`;
  console.log(`${title}: first sync after ${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
  const [a, b] = PROXY_ENDS;
  const end = (...words: string[]): Promise<Running> =>
    program([process.execPath, FOLLOW, ...words], /ready/);
  const serving = await end("serve", a, `${PORT}`, "a", b, `${PORT}`, "b");
  const asking = await end("ask", VIP, "53");
  await follow(title, PROXY_ENDS, asking, Math.max(PAUSE_MS, 1200)); // it syncs once a second at most
  for (const each of [asking, serving, proxy]) await each.stop("SIGKILL");
  await run(["nft", "flush", "ruleset"]);
  await run(["ip", "link", "del", "up0"]);
  for (const address of PROXY_ENDS) await run(["ip", "addr", "del", `${address}/32`, "dev", "lo"]);
}

for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => void end().finally(() => process.exit(1)));
try {
  const { admin } = control;
  for (const object of objects(namespaces, NODE_PODS)) await admin.apply(object);
  await admin.apply({
    ...{ apiVersion: "v1", kind: "Service", metadata: { name: "probe", namespace: "default" } },
    spec: { clusterIP: VIP, ports: [{ name: "u", port: 53, targetPort: PORT, protocol: "UDP" }] },
  });
  await admin.apply(slice(NODE_PODS.a));
  if (values.proxy.includes("podwire")) await withPodwire(0);
  let loaded = 0;
  for (const services of values.services.split(",").map(Number)) {
    const beganMs = performance.now();
    await loadServices(admin, loaded, services, ENDPOINTS);
    loaded = services;
    console.log(`${services} services written in ${((performance.now() - beganMs) / 1000).toFixed(0)} s`);
    for (const proxy of values.proxy.split(","))
      await (proxy === "podwire" ? withPodwire(services) : withKubeProxy(proxy, services));
  }
  if (PODS > 0) {
    await loadPods(admin, 0, PODS);
    console.log(`${PODS} pods written`);
    await withPodwire(loaded);
  }
} finally {
  await end();
}
process.exit(0);
