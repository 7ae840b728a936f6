// CoreDNS and podwire dns beside one real API server: the same objects, the same queries, the same answers.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { KubeObject } from "../../src/kube/objects.ts";
import { namespaceObject, pod, service, slice } from "../../src/testing/dns/dns-objects.ts";
import { askTcp, askUdp, DnsPeer } from "../../src/testing/dns/dns-peer.ts";
import { queryBytes, textOf } from "../../src/testing/dns/dns-text.ts";
import { PODWIRE } from "../../src/testing/lab/lab.ts";
import { type Running, start, until } from "../../src/testing/lab/process.ts";
import { ControlPlane, noCluster, PROGRAMS } from "./support/control-plane.ts";

const [THEIRS, OURS] = [5301, 5302];
const HTTPS = { name: "https", port: 443, protocol: "TCP" };
const dual = { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"] };
const headless = { clusterIP: "None", clusterIPs: ["None"], ...dual, ports: [HTTPS] };

const OBJECTS: readonly KubeObject[] = [
  ...["shop", "empty"].map(namespaceObject),
  service(
    "web",
    { clusterIP: "10.96.0.80", clusterIPs: ["10.96.0.80", "fd00:10:96::80"], ...dual, ports: [HTTPS] },
    "shop",
  ),
  service("plain", { clusterIP: "10.96.0.81", ports: [{ port: 80 }] }),
  service("many", {
    clusterIP: "10.96.0.82",
    ports: [
      HTTPS,
      { name: "dns", port: 53, protocol: "UDP" },
      { name: "dns-tcp", port: 53, protocol: "TCP" },
    ],
  }),
  service("pets", headless),
  slice("pets", [
    { addresses: ["10.244.1.2"], hostname: "pet-0", conditions: { ready: true } },
    { addresses: ["10.244.1.3"], conditions: { ready: true } },
    { addresses: ["10.244.1.4"], hostname: "sick", conditions: { ready: false } },
  ]),
  slice(
    "pets",
    [{ addresses: ["fd00:10:244:1::2"], hostname: "pet-0", conditions: { ready: true } }],
    [HTTPS],
    {
      ...{ family: "IPv6", name: "pets-6" },
    },
  ),
  service("nobody", { clusterIP: "None", ports: [HTTPS] }),
  service("outside", { type: "ExternalName", externalName: "www.example.com" }),
  service("inside", { type: "ExternalName", externalName: "plain.default.svc.cluster.local" }),
  pod("client", ["10.244.1.9", "fd00:10:244:1::9"]),
].map((object) =>
  object.kind === "Pod" ? { ...object, spec: { containers: [{ name: "c", image: "c" }] } } : object,
);

const SVC = "svc.cluster.local";
/** Type and name. */
const QUERIES: readonly (readonly [type: string, name: string])[] = [
  ["TXT", "dns-version.cluster.local"],
  ["A", `kubernetes.default.${SVC}`],
  ["A", `KuberNetes.Default.${SVC}`],
  ["A", `web.shop.${SVC}`],
  ["AAAA", `web.shop.${SVC}`],
  ["SRV", `web.shop.${SVC}`],
  ["SRV", `_https._tcp.web.shop.${SVC}`],
  ["SRV", `_https._udp.web.shop.${SVC}`],
  ["SRV", `_http._tcp.web.shop.${SVC}`],
  ["MX", `web.shop.${SVC}`],
  ["A", `web.default.${SVC}`],
  ["A", `plain.default.${SVC}`],
  ["AAAA", `plain.default.${SVC}`],
  ["SRV", `plain.default.${SVC}`],
  ["SRV", `many.default.${SVC}`],
  ["SRV", `_dns._udp.many.default.${SVC}`],
  ["A", `_dns._udp.many.default.${SVC}`],
  ["A", `pets.default.${SVC}`],
  ["AAAA", `pets.default.${SVC}`],
  ["SRV", `_https._tcp.pets.default.${SVC}`],
  ["SRV", `pets.default.${SVC}`],
  ["A", `pet-0.pets.default.${SVC}`],
  ["AAAA", `pet-0.pets.default.${SVC}`],
  ["A", `10-244-1-3.pets.default.${SVC}`],
  ["SRV", `pet-0.pets.default.${SVC}`],
  ["A", `sick.pets.default.${SVC}`],
  ["A", `nobody.default.${SVC}`],
  ["CNAME", `outside.default.${SVC}`],
  ["A", `outside.default.${SVC}`],
  ["A", `inside.default.${SVC}`],
  ["A", "10-244-1-9.default.pod.cluster.local"],
  ["AAAA", "fd00-10-244-1--9.default.pod.cluster.local"],
  ["A", "10-244-1-9.shop.pod.cluster.local"],
  ["A", "10-244-1-8.default.pod.cluster.local"],
  ["PTR", "80.0.96.10.in-addr.arpa"],
  ["PTR", "2.1.244.10.in-addr.arpa"],
  ["PTR", "3.1.244.10.in-addr.arpa"],
  ["PTR", "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa"],
  ["A", `empty.${SVC}`],
  ["A", `none.${SVC}`],
  ["A", SVC],
  ["A", "cluster.local"],
  ["A", "none.cluster.local"],
  ["A", `a.b.c.d.default.${SVC}`],
  ["A", "www.example.com"],
  ["A", "none.example.com"],
];

t.test("the same answers as CoreDNS", { skip: noCluster() }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-dns-"));
  const flags = { "service-cluster-ip-range": "10.96.0.0/12,fd00:10:96::/112" };
  const control = await ControlPlane.start(folder, { flags });
  const other = await DnsPeer.start();
  const running: Running[] = [];
  t.teardown(async () => {
    for (const each of running.reverse()) await each.stop("SIGKILL");
    await other.stop();
    await control.stop();
    await rm(folder, { recursive: true, force: true });
  });
  other.says = ({ name }) =>
    name === "www.example.com"
      ? { answers: [{ type: "A", name, ttl: 60, data: "192.0.2.1" }] }
      : { rcode: 3 };
  for (const object of OBJECTS) await control.admin.apply(object);
  const kubeconfig = control.kubeconfig({ token: "admin-token" });
  const file = join(folder, "Corefile");
  await writeFile(
    file,
    `.:${THEIRS} {
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig ${kubeconfig} test
    pods verified
    ttl 5
    fallthrough in-addr.arpa ip6.arpa
  }
  forward . 127.0.0.1:${other.port}
}
`,
  );
  running.push(await start([join(PROGRAMS, "coredns"), "-conf", file], /CoreDNS-/, 30_000));
  const words = [
    "dns",
    "--kubeconfig",
    kubeconfig,
    "--listen",
    `127.0.0.1:${OURS}`,
    "--forward",
    `127.0.0.1:${other.port}`,
  ];
  running.push(await start([PODWIRE, ...words], /dns: cluster\.local on/));
  const said = async (port: number, type: string, name: string): Promise<string[]> => {
    const [head, ...records] = textOf(await askUdp(port, queryBytes(name, type)));
    return [head.split(" ")[0], ...records.sort()];
  };
  const knows = async (port: number): Promise<boolean> =>
    (await said(port, "A", "10-244-1-9.default.pod.cluster.local").catch(() => [""]))[0] === "NOERROR";
  for (const port of [THEIRS, OURS])
    await until(`port ${port} to know the objects`, () => knows(port), 30_000);
  for (const [type, name] of QUERIES)
    t.same(await said(OURS, type, name), await said(THEIRS, type, name), `${type} ${name}`);

  await t.test("by TCP, too", async (t) => {
    const bytes = queryBytes(`pets.default.${SVC}`, "A");
    const [ours, theirs] = await Promise.all(
      [OURS, THEIRS].map(async (port) => textOf((await askTcp(port, [bytes]))[0])),
    );
    t.same(ours.slice(1).sort(), theirs.slice(1).sort());
  });

  await t.test(
    "where they differ: what is above names is there (RFC 8020), ports have underscores",
    async (t) => {
      const codes = async (type: string, name: string): Promise<string[]> =>
        Promise.all([OURS, THEIRS].map(async (port) => (await said(port, type, name))[0]));
      t.same(await codes("A", `_udp.many.default.${SVC}`), ["NOERROR", "NXDOMAIN"]);
      t.same(await codes("SRV", `dns.udp.many.default.${SVC}`), ["NXDOMAIN", "NOERROR"]);
    },
  );

  await t.test("a change is heard of", async (t) => {
    const plain = `plain.default.${SVC}`;
    t.equal((await said(OURS, "A", plain))[0], "NOERROR");
    await control.admin.remove(OBJECTS.find(({ metadata }) => metadata.name === "plain") as KubeObject);
    await until("its name to be gone", async () => (await said(OURS, "A", plain))[0] === "NXDOMAIN");
  });
});
