// A lab's DNS, asked from its pods by the programs that people have: dig, nslookup, getent.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { cannotRun, PODWIRE, TestLab } from "../../src/testing/lab/lab.ts";
import { client, pod, service } from "../../src/testing/lab/objects.ts";
import { until } from "../../src/testing/lab/process.ts";

const CLIENT = "192.168.50.100";
const DNS = "10.96.0.10";
const CORP = `
apiVersion: v1
kind: Service
metadata: { name: mail, namespace: hq }
spec: { clusterIP: 192.0.2.25, ports: [{ port: 25 }] }
`;
const statefulSet = {
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: { name: "db", namespace: "default" },
  spec: {
    replicas: 2,
    serviceName: "db",
    selector: { matchLabels: { app: "db" } },
    template: {
      metadata: { labels: { app: "db" } },
      spec: { containers: [{ name: "c", image: "podwire/echo", ports: [{ containerPort: 8080 }] }] },
    },
  },
};
const headless = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "db", namespace: "default" },
  spec: { clusterIP: "None", selector: { app: "db" }, ports: [{ name: "tcp", port: 8080 }] },
};
const external = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "mail", namespace: "default" },
  spec: { type: "ExternalName", externalName: "mail.hq.svc.corp.test" },
};
const resolving = (name: string, spec: object) => {
  const made = client(name, "node1") as { spec: object };
  return { ...made, spec: { ...made.spec, ...spec } };
};

t.test("names in a lab", { skip: cannotRun("dig", "nslookup", "getent", "curl") }, async (t) => {
  const lab = await TestLab.up("dns", {
    dns: {
      ...{ forward: "none", autopath: true, log: true },
      stubDomains: { "corp.test": [CLIENT] },
      hosts: [{ ip: "192.0.2.7", hostnames: ["printer.test"] }],
    },
    objects: [
      ...[
        client("shell-1", "node1"),
        client("shell-2", "node2"),
        pod("web-1", "node2", { app: "web" }),
        service("web"),
      ],
      ...[statefulSet, headless, external],
      resolving("own-dns", {
        dnsPolicy: "None",
        dnsConfig: {
          nameservers: [CLIENT],
          searches: ["corp.test"],
          options: [{ name: "ndots", value: "5" }],
        },
      }),
    ],
  });
  t.teardown(() => lab.down());
  const ask = async (from: string, ...words: string[]): Promise<string[]> => {
    const { stdout } = await lab.exec(from, ["dig", "+short", "+time=2", "+tries=2", ...words]);
    return stdout.trimEnd().split("\n").sort();
  };
  const web = await lab.clusterIP("web");

  await t.test("the Service kube-dns is at the tenth address, its pod is ready", async (t) => {
    const dns = await lab.json("get", "services", "kube-dns", "-n", "kube-system");
    t.equal(dns.spec.clusterIP, DNS);
    t.same(
      dns.spec.ports.map((port: { name: string; protocol: string; port: number }) => [
        port.name,
        port.protocol,
        port.port,
      ]),
      [
        ["dns", "UDP", 53],
        ["dns-tcp", "TCP", 53],
        ["metrics", "TCP", 9153],
      ],
    );
    t.match(
      (await lab.exec("shell-1", ["cat", "/etc/resolv.conf"])).stdout,
      [
        ...[
          "search default.svc.cluster.local svc.cluster.local cluster.local",
          `nameserver ${DNS}`,
          "options ndots:5",
          "",
        ],
      ].join("\n"),
    );
  });

  await t.test("from pods of both nodes, by UDP and TCP", async (t) => {
    for (const from of ["shell-1", "shell-2"]) {
      t.same(await ask(from, "web.default.svc.cluster.local"), [web]);
      t.same(await ask(from, "+tcp", "web.default.svc.cluster.local"), [web]);
      t.same(await ask(from, "+search", "web"), [web]);
    }
    const [a, b] = [await lab.podAddress("db-0"), await lab.podAddress("db-1")];
    t.same(await ask("shell-1", "db.default.svc.cluster.local"), [a, b].sort());
    t.same(await ask("shell-1", "db-1.db.default.svc.cluster.local"), [b]);
    t.same(await ask("shell-1", "SRV", "_tcp._tcp.db.default.svc.cluster.local"), [
      "0 50 8080 db-0.db.default.svc.cluster.local.",
      "0 50 8080 db-1.db.default.svc.cluster.local.",
    ]);
    t.same(await ask("shell-1", "-x", web), ["web.default.svc.cluster.local."]);
    t.same(await ask("shell-1", "-x", a), ["db-0.db.default.svc.cluster.local."]);
    t.same(await ask("shell-1", `${a.replaceAll(".", "-")}.default.pod.cluster.local`), [a]);
    t.same(await ask("shell-1", "printer.test"), ["192.0.2.7"]);
    t.match((await lab.exec("shell-1", ["dig", "www.example.com"])).stdout, /status: REFUSED/);
  });

  await t.test("the C library and nslookup find what a pod calls by its short name", async (t) => {
    const getent = async (name: string): Promise<string> =>
      (await lab.exec("shell-1", ["getent", "ahostsv4", name])).stdout.split(/\s+/, 1)[0];
    t.equal(await getent("web"), web);
    t.equal(await getent("web.default"), web);
    t.equal(await getent("db-0.db"), await lab.podAddress("db-0"));
    t.match((await lab.exec("shell-1", ["nslookup", "web"])).stdout, new RegExp(`Address: ${web}\n`));
    const { stdout } = await lab.exec("shell-1", ["curl", "-s", "--max-time", "5", "http://web/"]);
    t.match(JSON.parse(stdout), { pod: "web-1" });
  });

  await t.test("a domain with a server of its own, and an ExternalName that leads there", async (t) => {
    const file = join(lab.folder, "corp.yaml");
    await writeFile(file, CORP);
    const words = [
      PODWIRE,
      "dns",
      "-f",
      file,
      "--zone",
      "corp.test",
      "--forward",
      "none",
      "--listen",
      `${CLIENT}:53`,
    ];
    await lab.startIn("client/outside", words, /dns: corp\.test on/);
    t.same(await ask("shell-1", "mail.hq.svc.corp.test"), ["192.0.2.25"]);
    t.same(await ask("shell-1", "mail.default.svc.cluster.local"), ["192.0.2.25", "mail.hq.svc.corp.test."]);
    t.same(await ask("own-dns", "+search", "mail.hq.svc"), ["192.0.2.25"]);
    t.match(
      (await lab.exec("shell-1", ["dig", "+search", "mail.hq.svc.corp.test"])).stdout,
      /ANSWER: 2/,
      "autopath",
    );
  });

  await t.test("the log says which pod asked for what", async (t) => {
    const log = await lab.output(["logs", "deploy/kube-dns", "-n", "kube-system"]);
    t.match(
      log,
      / default\/shell-1 10\.244\.\d+\.\d+:\d+ udp A web\.default\.svc\.cluster\.local NOERROR kubernetes /,
    );
    t.match(log, / default\/shell-2 10\.244\.\d+\.\d+:\d+ tcp A web\.default\.svc\.cluster\.local /);
    const { stdout } = await lab.exec("shell-1", ["curl", "-s", `http://${DNS}:9153/metrics`]);
    t.match(stdout, /^coredns_dns_requests_total\{.*proto="udp".*type="SRV"\} 1$/m);
  });

  await t.test("a change is heard of, and a new pod of the DNS knows all", async () => {
    await lab.apply(service("later", { type: "ClusterIP", clusterIP: "10.96.7.7", ports: [{ port: 80 }] }));
    await until(
      "the new name",
      async () => (await ask("shell-1", "later.default.svc.cluster.local"))[0] === "10.96.7.7",
    );
    await lab.output(["delete", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns"]);
    await until(
      "another pod",
      async () => (await ask("shell-1", "web.default.svc.cluster.local"))[0] === web,
      30_000,
    );
  });

  await t.test("nothing is left", async (t) => {
    await lab.down();
    t.same(await lab.traces(), []);
  });
});
