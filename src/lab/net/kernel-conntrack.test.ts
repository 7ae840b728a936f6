// Which UDP connections of a kernel node go when its services and host ports change.
import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { service, slice } from "../../testing/world/proxy-objects.ts";
import { planTopology } from "../topology.ts";
import { NOBODY_SERVED, staleConnections, udpServed } from "./kernel-conntrack.ts";

const [node] = planTopology("demo", { spec: { nodes: [{ name: "a", agent: "kernel" }] } }).nodes;

function entry(dst: string, dport: number, replySrc: string): string {
  const original = `src=192.168.50.100 dst=${dst} sport=999 dport=${dport}`;
  return `udp      17 29 ${original} src=${replySrc} dst=192.168.50.100 sport=8080 dport=999 [ASSURED] mark=0 use=1\n`;
}

function hostPort(protocol: string, address: string, hostIP = ""): KubeObject {
  const ports = [{ containerPort: 8080, hostPort: 8088, protocol, hostIP }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "hp", namespace: "default" },
    spec: { nodeName: "a", containers: [{ name: "c", image: "a", ports }] },
    status: { podIPs: [{ ip: address }] },
  } as unknown as KubeObject;
}

const served = (...objects: KubeObject[]) => udpServed(node, objects, 4);
const WORDS = ["--orig-src", "192.168.50.100", "--orig-dst", "192.168.50.11", "--sport", "999", "--dport"];

t.test("a host port's connections go when its pod comes, goes or moves", async (t) => {
  const lines = entry("192.168.50.11", 8088, "10.244.0.5") + entry("192.168.50.11", 8089, "10.244.0.5");
  const udp = served(hostPort("UDP", "10.244.0.5"));
  t.same(staleConnections(lines, NOBODY_SERVED, udp), [[...WORDS, "8088"]]);
  t.same(staleConnections(lines, udp, NOBODY_SERVED), [[...WORDS, "8088"]]);
  t.same(staleConnections(lines, udp, served(hostPort("UDP", "10.244.0.6"))), [[...WORDS, "8088"]]);
  t.same(staleConnections(lines, udp, served(hostPort("UDP", "10.244.0.5", "192.168.50.11"))).length, 1);
  t.same(staleConnections(lines, udp, udp), []);
  t.same(staleConnections(lines, NOBODY_SERVED, served(hostPort("TCP", "10.244.0.5"))), []);
});

t.test(
  "a Service's go when their endpoint no longer serves, at every address and the node port",
  async (t) => {
    const spec = {
      type: "NodePort",
      clusterIP: "10.96.0.9",
      clusterIPs: ["10.96.0.9"],
      externalIPs: ["203.0.113.9"],
    };
    const dns = service({
      name: "dns",
      spec: { ...spec, ports: [{ name: "d", protocol: "UDP", port: 53, nodePort: 30053 }] },
    });
    const behind = (...addresses: string[]) =>
      slice({
        name: "dns",
        port: { name: "d", protocol: "UDP", port: 8080 },
        endpoints: addresses.map((address) => ({ address })),
      });
    const before = served(dns, behind("10.244.0.5", "10.244.0.6"));
    const now = served(dns, behind("10.244.0.6"));
    for (const [dst, port] of [
      ["10.96.0.9", 53],
      ["203.0.113.9", 53],
      ["192.168.50.11", 30053],
    ] as const) {
      t.equal(staleConnections(entry(dst, port, "10.244.0.5"), before, now).length, 1, dst);
      t.equal(staleConnections(entry(dst, port, "10.244.0.6"), before, now).length, 0, dst);
      t.equal(staleConnections(entry(dst, port, "10.244.0.6"), before, NOBODY_SERVED).length, 1, dst);
    }
    t.equal(
      staleConnections(entry("10.96.0.9", 53, "10.96.0.9"), NOBODY_SERVED, now).length,
      1,
      "never translated",
    );
    t.equal(staleConnections(entry("10.96.0.10", 53, "10.244.0.5"), before, now).length, 0, "nobody's");
  },
);
