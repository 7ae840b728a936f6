import t from "tap";
import type { Pod } from "../../kube/objects.ts";
import { planTopology } from "../topology.ts";
import { environmentOf, etcFiles, isEcho, programOf } from "./pod-env.ts";

const topology = planTopology("demo", {});
const [node] = topology.nodes;

function pod(spec: object): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web-1", namespace: "shop", labels: { app: "web" } },
    spec: { containers: [], ...spec },
    status: { podIPs: [{ ip: "10.244.1.2" }] },
  } as Pod;
}

t.test("variables are expanded in command, args and later variables", async (t) => {
  const container = {
    name: "c",
    command: ["sh", "-c"],
    args: ["echo $(A) $(B) $(NO) $$(A) $HOME"],
    env: [
      { name: "A", value: "1" },
      { name: "B", value: "$(A)2" },
      { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      { name: "APP", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    ],
  };
  const env = environmentOf("demo", pod({}), container, node);
  t.match(env, { A: "1", B: "12", IP: "10.244.1.2", APP: "web", HOSTNAME: "web-1" });
  t.same(programOf(container, env), ["sh", "-c", "echo 1 12 $(NO) $(A) $HOME"]);
});

t.test("the echo image is built in, another image without a command only keeps the namespace", async (t) => {
  for (const image of ["podwire/echo", "podwire/echo:1", "docker.io/podwire/echo@sha256:0"])
    t.ok(isEcho({ name: "c", image }));
  for (const image of ["nginx", "my/podwire/echo-not", "podwire/echo2"])
    t.notOk(isEcho({ name: "c", image }), image);
  const echo = {
    name: "c",
    image: "podwire/echo",
    ports: [{ containerPort: 53, protocol: "UDP" }, { containerPort: 80 }],
  };
  const env = environmentOf("demo", pod({}), echo, node);
  t.match(env, {
    PODWIRE_ECHO_PORTS: "53/UDP,80/TCP",
    PODWIRE_POD: "web-1",
    PODWIRE_NODE: "node1",
    PODWIRE_ADDRESSES: "10.244.1.2",
    PORT: "53",
  });
  t.match(programOf(echo, env)?.[1], /lab\/pod\/echo\.js$/);
  t.equal(programOf({ name: "c", image: "nginx" }, {}), undefined);
});

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
