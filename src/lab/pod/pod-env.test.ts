import t from "tap";
import type { Pod } from "../../kube/objects.ts";
import { planTopology } from "../topology.ts";
import { etcFiles, resolverNotes } from "./pod-env.ts";

const topology = planTopology("demo", {});

function pod(spec: object): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web-1", namespace: "shop", labels: { app: "web" } },
    spec: { containers: [], ...spec },
    status: { podIPs: [{ ip: "10.244.1.2" }] },
  } as Pod;
}

t.test("resolv.conf follows dnsPolicy and dnsConfig", async (t) => {
  t.equal(
    etcFiles(topology, pod({}))["resolv.conf"],
    "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
  );
  t.equal(etcFiles(topology, pod({ dnsPolicy: "Default" }))["resolv.conf"], undefined);
  const dnsConfig = {
    nameservers: ["1.2.3.4"],
    searches: ["x.y"],
    options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
  };
  t.equal(
    etcFiles(topology, pod({ dnsPolicy: "None", dnsConfig }))["resolv.conf"],
    "search x.y\nnameserver 1.2.3.4\noptions ndots:2 edns0\n",
  );
  t.match(etcFiles(topology, pod({})).hosts, /^10\.244\.1\.2\tweb-1$/m);
});

t.test("dnsConfig comes on top of the machine's own, each thing once", async (t) => {
  const machine = () => ({
    servers: [{ address: "192.0.2.53", port: 53 }, { path: "/run/relay" }],
    search: ["corp.test"],
    options: ["edns0", "ndots:1"],
  });
  const dnsConfig = {
    nameservers: ["192.0.2.53", "192.0.2.54"],
    searches: ["lab.test", "corp.test"],
    options: [{ name: "ndots", value: "3" }],
  };
  const own = [
    "search corp.test lab.test",
    "nameserver 192.0.2.53",
    "nameserver 192.0.2.54",
    "options edns0 ndots:3",
    "",
  ].join("\n");
  t.equal(etcFiles(topology, pod({ dnsPolicy: "Default", dnsConfig }), machine)["resolv.conf"], own);
  const onNode = pod({ hostNetwork: true, dnsPolicy: "ClusterFirst", dnsConfig });
  t.equal(etcFiles(topology, onNode, machine)["resolv.conf"], own, "the node's network, the node's DNS");
});

t.test(
  "a pod's resolv.conf has no more than programs read of it, and what is left out is told",
  async (t) => {
    const nameservers = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    const searches = Array.from({ length: 33 }, (_, i) => `s${i}.example.com`);
    const many = pod({ dnsPolicy: "None", dnsConfig: { nameservers, searches } });
    const text = etcFiles(topology, many)["resolv.conf"];
    t.match(text, /^search s0\.example\.com .* s31\.example\.com$/m);
    t.equal(text.match(/^nameserver /gm)?.length, 3);
    t.match(resolverNotes(topology, many), [
      /^Nameserver limits .* the applied nameserver line is: 10\.0\.0\.1 10\.0\.0\.2 10\.0\.0\.3$/,
      /^Search Line limits were exceeded, some search paths have been omitted, the applied search line is: s0\.example/,
    ]);
    const long = pod({
      dnsConfig: { searches: Array.from({ length: 20 }, (_, i) => `${"a".repeat(150)}${i}.b`) },
    });
    const [line = ""] = /^search .*$/m.exec(etcFiles(topology, long)["resolv.conf"]) ?? [];
    t.ok(line.length <= "search ".length + 2048 && line.length > 1900, `${line.length}`);
    t.same(resolverNotes(topology, pod({})), []);
  },
);
