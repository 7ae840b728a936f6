// ipvs.strictARP from the file to the plane: what the plane makes of it is answer-echo.test.ts's.
import t from "tap";
import { cidr } from "../../base/ip.ts";
import { readProxyConfig } from "../../config/proxy.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import { offlineConfig } from "../offline-config.ts";
import { OfflineNode } from "../offline-node.ts";

const NODE = `
{ apiVersion: v1, kind: Node, metadata: { name: node1 }, spec: { podCIDR: 10.244.1.0/24 },
  status: { addresses: [{ type: InternalIP, address: 192.168.50.11 }] } }`;

t.test(
  "ipvs mode answers ARP for service addresses, unless strictARP is set; other modes never",
  async (t) => {
    const objects = parseManifests([{ file: "node.yaml", text: NODE }]).map(({ object }) => object);
    const told = (proxy: object): number => {
      const read = readProxyConfig(proxy, new FieldProblems());
      const node = new OfflineNode(offlineConfig("node1", read, [cidr("10.244.0.0/16")]), objects);
      return node.engine.tables.config.proxy.serviceArp;
    };
    t.equal(told({ mode: "ipvs" }), 1);
    t.equal(told({ mode: "ipvs", ipvs: { strictARP: true } }), 0);
    t.equal(told({ mode: "iptables" }), 0);
  },
);
