// From the annotation of a Service to the plane: which addresses of load balancers a node answers for.
import t from "tap";
import { cidr, ip } from "../../base/ip.ts";
import { readProxyConfig } from "../../config/proxy.ts";
import { RouteKind } from "../../dataplane/spec/routes.ts";
import * as localAddresses from "../../dataplane/table/local-addresses.ts";
import { lookup4 } from "../../dataplane/table/routes.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import { offlineConfig } from "../offline-config.ts";
import { OfflineNode } from "../offline-node.ts";

const OBJECTS = `
{ apiVersion: v1, kind: Node, metadata: { name: node1 }, spec: { podCIDR: 10.244.1.0/24 },
  status: { addresses: [{ type: InternalIP, address: 192.168.50.11 }] } }
---
{ apiVersion: v1, kind: Service, metadata: { name: a, annotations: { podwire.dev/announced-from: node1 } },
  spec: { type: LoadBalancer, clusterIP: 10.96.0.80, ports: [ { port: 80 } ] },
  status: { loadBalancer: { ingress: [ { ip: 192.168.50.240 } ] } } }`;

t.test(
  "what no service port takes of an announced address goes nowhere, not even to the fabric",
  async (t) => {
    const objects = parseManifests([{ file: "a.yaml", text: OBJECTS }]).map(({ object }) => object);
    const config = offlineConfig("node1", readProxyConfig({}, new FieldProblems()), [cidr("10.244.0.0/16")]);
    const { routes } = new OfflineNode(config, objects).engine.tables;
    const kindOf = (text: string): number => routes.kind[lookup4(routes, ip(text).w3)];
    t.equal(kindOf("192.168.50.240"), RouteKind.BLACKHOLE);
    t.equal(kindOf("192.168.50.241"), RouteKind.ONLINK);
  },
);

t.test(
  "a node answers for what it announces, and on a shared uplink leaves that to the kernel",
  async (t) => {
    const objects = parseManifests([{ file: "a.yaml", text: OBJECTS }]).map(({ object }) => object);
    const answers = (name: string, uplink = {}): boolean => {
      const config = offlineConfig(name, readProxyConfig({}, new FieldProblems()), [cidr("10.244.0.0/16")]);
      const node = new OfflineNode({ ...config, uplink: { ...config.uplink, ...uplink } }, objects);
      const { w0, w1, w2, w3 } = ip("192.168.50.240");
      return localAddresses.has(node.engine.tables.addresses.announced, w0, w1, w2, w3);
    };
    t.equal(answers("node1"), true);
    t.equal(answers("node2"), false);
    t.equal(answers("node1", { mode: "shared" }), false);
  },
);
