// kube-proxy's userspace mode, row by row, as far as a row decides about a connection's first packet. What becomes of it
// when the endpoint does not answer: src/dataplane/stage/connection/retry-connection.test.ts and
// native-test/e2e/userspace.test.ts.
import { readFileSync } from "node:fs";
import t from "tap";
import {
  AskedWorld,
  CLUSTER_IP,
  EVERYWHERE,
  EXTERNAL,
  HERE,
  NODE,
  NODE_PORT,
  OUTSIDE,
  POD,
  type TestWorld,
  THERE,
  VIP,
  withSpec,
} from "../../testing/world/explain-world.ts";

const BOTH = `dnat ${HERE} ${THERE} masquerade`;
const world = (w: TestWorld = {}): AskedWorld =>
  new AskedWorld({ ...w, config: { mode: "userspace", ...w.config } });
const all = (answer: string): object => ({ pod: answer, node: answer, outside: answer });

t.test("10: client source address always lost", async (t) => {
  const w = world(EVERYWHERE);
  t.same(w.classes(CLUSTER_IP), all(BOTH));
  t.same(w.classes(VIP), all(BOTH));
  t.same(w.classes(NODE, NODE_PORT), all(BOTH));
});

t.test("10: knows Endpoints, not slices", async (t) => {
  const local = { externalTrafficPolicy: "Local", internalTrafficPolicy: "Local" };
  t.same(world(withSpec(EVERYWHERE, local)).classes(VIP), all(BOTH), "no traffic policies");
  t.same(world(withSpec(EVERYWHERE, local)).classes(CLUSTER_IP), all(BOTH));
  const ranged = withSpec(EVERYWHERE, { loadBalancerSourceRanges: ["10.0.0.0/8"] });
  t.equal(world(ranged).ask(OUTSIDE, VIP), BOTH, "no source ranges");
  const hints = [
    { at: "10.244.1.5", node: "node1", zones: ["z1"] },
    { at: "10.244.2.5", node: "node2", zones: ["z2"] },
  ];
  t.equal(world({ endpoints: hints }).ask(POD, CLUSTER_IP), BOTH, "no hints");
  const leaving = [{ at: "10.244.1.5", node: "node1", state: "t" }];
  t.equal(world({ endpoints: leaving }).ask(POD, CLUSTER_IP), "reject", "terminating endpoints are none");
});

t.test("10: external IPs", async (t) => {
  t.same(world(EVERYWHERE).classes(EXTERNAL), { pod: "accept", node: "accept", outside: BOTH });
  const own = withSpec(EVERYWHERE, { externalIPs: [NODE] });
  t.same(world(own).classes(NODE), all(BOTH), "for everybody where it is the node's");
});

t.test("10: node ports", async (t) => {
  const w = world({ ...EVERYWHERE, config: { nodePortAddresses: ["192.0.2.0/24"] } });
  t.same(w.classes(NODE, NODE_PORT), all(BOTH), "nodePortAddresses is not read");
  t.equal(w.ask("127.0.0.1", "127.0.0.1", NODE_PORT), "dnat 10.244.1.5:8080 10.244.2.5:8080 masquerade");
});

t.test("10: no endpoints", async (t) => {
  const none = { endpoints: [], spec: { ports: [{ name: "http", port: 80 }] } };
  const tcp = world(none).explain(POD, CLUSTER_IP);
  t.equal(tcp.verdict, "reject");
  t.match(tcp.steps.at(-1)?.text, /has no endpoints: the proxy closes the connection \(TCP RST\)/);
  const ports = [{ name: "http", port: 80, protocol: "UDP" }];
  t.equal(world({ ...none, spec: { ports } }).ask(POD, CLUSTER_IP, 80, "UDP"), "drop");
});

t.test("10: SCTP", async (t) => {
  const ports = [{ name: "http", port: 80, protocol: "SCTP" }];
  const slice = { ports: [{ name: "http", port: 8080, protocol: "SCTP" }] };
  t.equal(world({ spec: { ports }, slice }).ask(POD, CLUSTER_IP, 80, "SCTP"), "accept", "no socket, no rule");
});

t.test("10: other ports and ICMP", async (t) => {
  t.equal(world().ask(POD, CLUSTER_IP, 81), "accept");
  t.equal(world().ask(POD, CLUSTER_IP, 0, "ICMP"), "accept");
});

t.test("10: plumbing", async (t) => {
  const { steps } = world().explain(POD, CLUSTER_IP);
  const text = `default/api:http: ${CLUSTER_IP}, TCP port 80, is redirected to kube-proxy's own socket`;
  t.match(steps[0], { hook: "PREROUTING", table: "nat", chain: "KUBE-PORTALS-CONTAINER", rule: "", text });
  t.match(steps[1], {
    chain: "kube-proxy",
    text: /^dials 10\.244\.[12]\.5:8080, one of 2, in turn; up to four/,
  });
  const host = world(EVERYWHERE).explain(NODE, NODE, NODE_PORT).steps[0];
  t.match(host, {
    hook: "OUTPUT",
    chain: "KUBE-NODEPORT-HOST",
    text: /any address of this node, .* rewritten/,
  });
});

t.test("every row is in docs/kube-proxy-rows.md", async (t) => {
  const own = readFileSync("src/offline/explain/userspace-rows.test.ts", "utf8");
  const page = readFileSync("docs/kube-proxy-rows.md", "utf8");
  for (const [, row] of own.matchAll(/^t\.test\("(10: .*?)"/gm)) t.ok(page.includes(row), row);
});
