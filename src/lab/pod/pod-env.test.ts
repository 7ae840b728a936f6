import t from "tap";
import type { Pod } from "../../kube/objects.ts";
import { planTopology } from "../topology.ts";
import { etcFiles } from "./pod-env.ts";

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
