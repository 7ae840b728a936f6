import t from "tap";
import { Cluster } from "../../cluster/cluster.ts";
import { dnsConfig, labDns } from "../../config/dns.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import type { Service } from "../../kube/objects.ts";
import { labPaths } from "../state-dir.ts";
import { planTopology } from "../topology.ts";
import { applyDns, dnsConfiguration } from "./dns-objects.ts";

const paths = labPaths("demo");

function configured(spec: object) {
  const topology = planTopology("demo", { spec });
  if (topology.dns === null) return null;
  const problems = new FieldProblems();
  const config = dnsConfig(dnsConfiguration(topology, topology.dns, paths), problems);
  t.same(problems.list, []);
  return config;
}

t.test("what the pod is told is what podwire dns takes", async (t) => {
  t.match(configured({}), {
    listen: [{ address: "0.0.0.0", port: 53 }],
    metrics: { address: "0.0.0.0", port: 9153 },
    source: { kubernetes: { servers: [`unix:${paths.apiSocket}`] } },
    forward: [{ path: paths.dns }],
    zone: "cluster.local",
  });
  const dns = {
    ...{ forward: ["192.168.50.100", "[fd00::1]:5353"], stubDomains: { "corp.example": ["192.168.50.101"] } },
    ...{
      hosts: [{ ip: "192.0.2.7", hostnames: ["db.example"] }],
      autopath: true,
      log: true,
      zone: "lab.test",
    },
  };
  t.match(configured({ dns, clusterCIDR: "10.244.0.0/16,fd00:10:244::/56" }), {
    listen: [
      { address: "0.0.0.0", port: 53 },
      { address: "::", port: 53 },
    ],
    forward: [
      { address: "192.168.50.100", port: 53 },
      { address: "fd00::1", port: 5353 },
    ],
    stubDomains: [{ domain: "corp.example", servers: [{ address: "192.168.50.101", port: 53 }] }],
    ...{ hosts: dns.hosts, autopath: true, log: true, zone: "lab.test" },
  });
  t.equal(configured({ dns: { forward: "none" } })?.forward, null);
  t.equal(configured({ dns: { enabled: false } }), null);
});

t.test("a wrong field is told even where there is no DNS", async (t) => {
  const problems = new FieldProblems();
  t.equal(labDns({ enabled: false, forward: "nobody" }, problems), null);
  t.match(problems.list[0].message, /^spec\.dns\.forward: Invalid value: "nobody"/);
});

t.test(
  "the Service has the tenth address, and objects that are there already stay as they are",
  async (t) => {
    const topology = planTopology("demo", { spec: { serviceCIDR: "10.100.0.0/16" } });
    const cluster = new Cluster({
      clusterCidr: topology.clusterCidr,
      serviceCidr: topology.serviceCidr,
      nowMs: () => 0,
      architecture: "amd64",
    });
    const changes: string[] = [];
    cluster.onChange(({ type, object }) => changes.push(`${type} ${object.kind}`));
    applyDns(cluster, topology, ["node", "main.js", "dns"], { ttl: 5 });
    t.equal((cluster.get("Service", "kube-system/kube-dns") as Service).spec.clusterIP, "10.100.0.10");
    t.equal(cluster.list("Pod", "kube-system").length, 1);
    changes.length = 0;
    applyDns(cluster, topology, ["node", "main.js", "dns"], { ttl: 5 });
    t.same(changes, []);
    applyDns(cluster, topology, ["node", "main.js", "dns"], { ttl: 6 });
    t.ok(changes.includes("ADDED Pod"), "with another configuration there is another pod");
  },
);
