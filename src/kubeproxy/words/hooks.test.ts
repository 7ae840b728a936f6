// A packet's hooks are those of its way, as Linux has them: what passes, what is for the node, and what the node sends.
import t from "tap";
import type { TraceRecord } from "../../observe/trace-record.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import {
  AskedWorld,
  CLUSTER_IP,
  EVERYWHERE,
  NODE,
  NODE_PORT,
  OUTSIDE,
} from "../../testing/world/explain-world.ts";
import { nodeAddress } from "../../testing/world/test-cluster.ts";
import { CLIENT, pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { traceNode } from "../../testing/world/trace-node.ts";
import { stepText } from "./trace-format.ts";

const [POD2, POD3, VIP] = ["10.244.1.2", "10.244.1.3", "10.96.0.10"];
const OWN = nodeAddress(1);
const HOOKED = ["track-connection", "choose-backend", "enforce-policy", "masquerade"];
const PROXY_PORT = 30080;

interface Way {
  readonly what: string;
  readonly port: string;
  readonly src: string;
  readonly dst: string;
  readonly dstPort?: number;
}

const WAYS: readonly Way[] = [
  { what: "pod → pod", port: "pod2", src: POD2, dst: POD3 },
  { what: "pod → node", port: "pod2", src: POD2, dst: OWN },
  { what: "pod → gateway", port: "pod2", src: POD2, dst: "10.244.1.1" },
  { what: "node → pod", port: "host", src: "10.244.1.1", dst: POD3 },
  { what: "node → outside", port: "host", src: OWN, dst: CLIENT },
  { what: "outside → node", port: "uplink", src: CLIENT, dst: OWN },
  { what: "pod → service", port: "pod2", src: POD2, dst: VIP, dstPort: 80 },
  { what: "node → service", port: "host", src: OWN, dst: VIP, dstPort: 80 },
  { what: "outside → node port", port: "uplink", src: CLIENT, dst: OWN, dstPort: PROXY_PORT },
];

/** Every record of the first packet of a connection that goes this way. */
function walk(mode: string, way: Way, endpoints = [`${POD3}:8080`]): TraceRecord[] {
  const node = new TestNode();
  node.setService({ name: "default/web:http", clusterIp: VIP, nodePort: PROXY_PORT, endpoints });
  const take = traceNode(node, mode);
  const path = pathTo(node, way.src, way.dst);
  node.send(way.port, build.tcpFrame({ ...path, dstPort: way.dstPort ?? 443, flags: "S" }));
  node.run();
  return take();
}

function hooks(mode: string, way: Way): string {
  const steps = walk(mode, way).filter(({ stage }) => HOOKED.includes(stage));
  return steps.map(({ hook }) => hook).join(" · ");
}

const WANT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  iptables: {
    "pod → pod": "PREROUTING conntrack · PREROUTING nat · FORWARD filter · POSTROUTING nat",
    "pod → node": "PREROUTING conntrack · PREROUTING nat · INPUT filter · INPUT nat",
    "pod → gateway": "PREROUTING conntrack · PREROUTING nat · INPUT filter · INPUT nat",
    "node → pod": "OUTPUT conntrack · OUTPUT nat · OUTPUT filter · POSTROUTING nat",
    "node → outside": "OUTPUT conntrack · OUTPUT nat · OUTPUT filter · POSTROUTING nat",
    "outside → node": "PREROUTING conntrack · PREROUTING nat · INPUT filter · INPUT nat",
    "pod → service": "PREROUTING conntrack · PREROUTING nat · FORWARD filter · POSTROUTING nat",
    "node → service": "OUTPUT conntrack · OUTPUT nat · OUTPUT filter · POSTROUTING nat",
    "outside → node port": "PREROUTING conntrack · PREROUTING nat · FORWARD filter · POSTROUTING nat",
  },
  nftables: {
    "pod → pod": "PREROUTING conntrack · nat-prerouting · filter-forward · nat-postrouting",
    "pod → node": "PREROUTING conntrack · nat-prerouting · filter-input · nat INPUT",
    "node → pod": "OUTPUT conntrack · nat-output · filter-output · nat-postrouting",
    "node → service": "OUTPUT conntrack · nat-output · filter-output · nat-postrouting",
    "outside → node port": "PREROUTING conntrack · nat-prerouting · filter-forward · nat-postrouting",
  },
  // ip_vs gets requests at INPUT, or at OUTPUT what the node asks, and sends them by way of OUTPUT.
  ipvs: {
    "pod → pod": "PREROUTING conntrack · PREROUTING nat · FORWARD filter · POSTROUTING nat",
    "pod → node": "PREROUTING conntrack · INPUT ip_vs · INPUT filter · INPUT nat",
    "pod → service": "PREROUTING conntrack · INPUT ip_vs · OUTPUT filter · POSTROUTING nat",
    "node → service": "OUTPUT conntrack · OUTPUT ip_vs · OUTPUT filter · POSTROUTING nat",
    "outside → node port": "PREROUTING conntrack · INPUT ip_vs · OUTPUT filter · POSTROUTING nat",
  },
  userspace: {
    "pod → pod": "PREROUTING conntrack · PREROUTING nat · FORWARD filter · POSTROUTING nat",
    "pod → service": "PREROUTING conntrack · PREROUTING nat · OUTPUT filter · proxy socket",
    "node → service": "OUTPUT conntrack · OUTPUT nat · OUTPUT filter · proxy socket",
  },
};

for (const [mode, ways] of Object.entries(WANT)) {
  t.test(`${mode}: every way has the hooks that Linux gives it`, async (t) => {
    for (const way of WAYS) {
      if (ways[way.what] !== undefined) t.equal(hooks(mode, way), ways[way.what], way.what);
    }
  });
}

t.test("a line says the hook that its record has", async (t) => {
  const lines = walk("iptables", WAYS[1]).map((step) => stepText(step));
  for (const want of ["PREROUTING conntrack NEW", "filter INPUT accept", "nat INPUT: source kept"])
    t.ok(lines.includes(want), `${want} in ${lines.join("\n")}`);
  t.notMatch(lines.join("\n"), /FORWARD|POSTROUTING/);
});

t.test("what no rule serves is refused where the packet would be filtered", async (t) => {
  const refused = (mode: string, what: string): string | undefined => {
    const way = WAYS.find((each) => each.what === what) as Way;
    return walk(mode, way, []).find(({ verdict }) => verdict === "drop")?.hook;
  };
  t.equal(refused("iptables", "pod → service"), "FORWARD filter");
  t.equal(refused("iptables", "node → service"), "OUTPUT filter");
  t.equal(refused("iptables", "outside → node port"), "INPUT filter");
  t.equal(refused("nftables", "node → service"), "filter-output");
  t.equal(refused("nftables", "outside → node port"), "filter-input");
  t.equal(refused("ipvs", "pod → service"), "INPUT ip_vs");
});

t.test("answers of a known connection pass where they go", async (t) => {
  const node = new TestNode();
  node.setService({ name: "default/web:http", clusterIp: VIP, endpoints: [`${POD3}:8080`] });
  const take = traceNode(node, "ipvs");
  node.through("pod2", build.tcpFrame({ ...pathTo(node, POD2, VIP), dstPort: 80, flags: "S" }));
  const back = { ...pathTo(node, POD3, POD2), srcPort: 8080, dstPort: 41000 };
  node.through("pod3", build.tcpFrame({ ...back, flags: "S.", ack: 1 }));
  const asked = take().filter(({ stage }) => stage === "enforce-policy");
  t.same(
    asked.map(({ hook, ctDirection }) => `${ctDirection} ${hook}`),
    ["original OUTPUT filter", "reply FORWARD filter"],
  );
});

t.test("explain names the same hooks", async (t) => {
  const asked = (mode: string, from: string, to: string, port: number): string => {
    const { steps } = new AskedWorld({ ...EVERYWHERE, config: { mode } }).explain(from, to, port);
    return [...new Set(steps.map(({ hook }) => hook))].join(" · ");
  };
  const [pod, service] = ["10.244.1.9", CLUSTER_IP];
  t.equal(asked("iptables", pod, "10.244.2.5", 80), "PREROUTING · ROUTING · FORWARD");
  t.equal(asked("iptables", pod, NODE, 22), "PREROUTING · ROUTING · INPUT");
  t.equal(asked("iptables", NODE, "10.244.1.5", 80), "OUTPUT · ROUTING");
  t.equal(asked("iptables", NODE, service, 80), "OUTPUT · ROUTING · POSTROUTING");
  t.equal(asked("iptables", NODE, NODE, 22), "OUTPUT · ROUTING · INPUT");
  t.equal(asked("iptables", OUTSIDE, NODE, NODE_PORT), "PREROUTING · ROUTING · FORWARD · POSTROUTING");
  t.equal(asked("nftables", NODE, NODE, 22), "OUTPUT · ROUTING · INPUT");
  t.equal(asked("ipvs", pod, service, 80), "INPUT · ROUTING · OUTPUT");
  t.equal(asked("ipvs", NODE, service, 80), "OUTPUT · ROUTING · POSTROUTING");
  t.equal(asked("userspace", pod, service, 80), "PREROUTING · INPUT · ROUTING · OUTPUT · POSTROUTING");
});
