// Chains and options of iptables mode: one test a row of what kube-proxy is known to do, on the rules as
// text.
import t from "tap";
import { ip } from "../base/ip.ts";
import { service, slice } from "../testing/world/proxy-objects.ts";
import {
  BALANCER,
  EXT,
  LOCAL_ENDPOINT,
  NODE_PORT,
  REMOTE_ENDPOINT,
  Rules,
  SVC,
  SVL,
  TO_CLUSTER_IP,
} from "../testing/world/proxy-rules.ts";
import type { RulesInput } from "./proxy-view.ts";

t.test("section 2: jumps of the built-in chains stand in their final order", async (t) => {
  const rules = new Rules([]);
  const targets = (table: "nat" | "filter", chain: string) =>
    rules
      .of(table, chain)
      ?.map((rule) => rule.replace("-m conntrack --ctstate NEW -j", "NEW").replace("-j ", ""));
  t.strictSame(targets("filter", "INPUT"), [
    "KUBE-FIREWALL",
    "NEW KUBE-PROXY-FIREWALL",
    "KUBE-NODEPORTS",
    "NEW KUBE-EXTERNAL-SERVICES",
  ]);
  t.strictSame(targets("filter", "FORWARD"), [
    "NEW KUBE-PROXY-FIREWALL",
    "KUBE-FORWARD",
    "NEW KUBE-SERVICES",
    "NEW KUBE-EXTERNAL-SERVICES",
  ]);
  t.strictSame(targets("filter", "OUTPUT"), [
    "KUBE-FIREWALL",
    "NEW KUBE-PROXY-FIREWALL",
    "NEW KUBE-SERVICES",
  ]);
  t.strictSame(targets("nat", "PREROUTING"), ["KUBE-SERVICES"]);
  t.strictSame(targets("nat", "OUTPUT"), ["KUBE-SERVICES"]);
  t.strictSame(targets("nat", "POSTROUTING"), ["KUBE-POSTROUTING"]);
});

t.test("section 2: the canary is an empty chain of three tables", async (t) => {
  const rules = new Rules([]);
  for (const table of ["mangle", "nat", "filter"] as const)
    t.strictSame(rules.of(table, "KUBE-PROXY-CANARY"), []);
});

t.test("section 2: KUBE-SERVICES holds ClusterIP, external IPs, VIPs and last the node ports", async (t) => {
  const rules = new Rules([
    service({
      spec: { ...BALANCER, externalIPs: ["192.168.99.22"] },
      ingress: [{ ip: "1.2.3.4" }],
      port: { nodePort: 30080 },
    }),
    slice({ endpoints: [LOCAL_ENDPOINT] }),
  ]);
  t.strictSame(rules.of("nat", "KUBE-SERVICES"), [
    `${TO_CLUSTER_IP} -j ${SVC}`,
    `-m tcp -p tcp -d 192.168.99.22 --dport 80 -j ${EXT}`,
    `-m tcp -p tcp -d 1.2.3.4 --dport 80 -j ${EXT}`,
    "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
  ]);
  t.strictSame(rules.of("nat", "KUBE-NODEPORTS"), [`-m tcp -p tcp --dport 30080 -j ${EXT}`]);
});

t.test("section 2: without localhost node ports loopback is left out of KUBE-NODEPORTS", async (t) => {
  const off = new Rules([], { iptables: { localhostNodePorts: false } });
  t.strictSame(off.of("nat", "KUBE-SERVICES"), [
    "-m addrtype --dst-type LOCAL ! -d 127.0.0.0/8 -j KUBE-NODEPORTS",
  ]);
  t.strictSame(off.of("filter", "KUBE-FIREWALL"), []);
  const v6 = new Rules([], {}, { family: 6 });
  t.strictSame(v6.of("nat", "KUBE-SERVICES"), [
    "-m addrtype --dst-type LOCAL ! -d ::1/128 -j KUBE-NODEPORTS",
  ]);
  t.strictSame(v6.of("filter", "KUBE-FIREWALL"), []);
});

t.test("section 2: KUBE-FIREWALL keeps the network from 127.0.0.0/8 (CVE-2020-8558)", async (t) => {
  t.strictSame(new Rules([]).of("filter", "KUBE-FIREWALL"), [
    "-d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
  ]);
});

t.test("section 2: nfacct counts only when it is asked for", async (t) => {
  const objects = [
    service({ spec: NODE_PORT, port: { nodePort: 30080 } }),
    slice({ endpoints: [LOCAL_ENDPOINT] }),
  ];
  t.notMatch(new Rules(objects).text, "nfacct");
  const rules = new Rules(objects, {}, { nfacct: true });
  const counted = "-m nfacct --nfacct-name localhost_nps_accepted_pkts";
  t.strictSame(rules.of("nat", "KUBE-NODEPORTS"), [
    `-m tcp -p tcp -d 127.0.0.0/8 --dport 30080 ${counted} -j ${EXT}`,
    `-m tcp -p tcp --dport 30080 -j ${EXT}`,
  ]);
  t.match(rules.of("filter", "KUBE-FORWARD")?.[0], "ct_state_invalid_dropped_pkts -j DROP");
});

t.test("section 2: KUBE-EXT of policy Cluster marks all and goes to all", async (t) => {
  const rules = new Rules([
    service({ spec: NODE_PORT, port: { nodePort: 30080 } }),
    slice({ endpoints: [LOCAL_ENDPOINT] }),
  ]);
  t.strictSame(rules.of("nat", EXT), ["-j KUBE-MARK-MASQ", `-j ${SVC}`]);
});

t.test("section 2: KUBE-EXT of policy Local short-circuits pods and the node", async (t) => {
  const objects = (endpoint: typeof LOCAL_ENDPOINT) => [
    service({ spec: { ...NODE_PORT, externalTrafficPolicy: "Local" }, port: { nodePort: 30080 } }),
    slice({ endpoints: [endpoint] }),
  ];
  const shortcuts = [
    `-s 10.0.0.0/8 -j ${SVC}`,
    "-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ",
    `-m addrtype --src-type LOCAL -j ${SVC}`,
  ];
  t.strictSame(new Rules(objects(LOCAL_ENDPOINT)).of("nat", EXT), [...shortcuts, `-j ${SVL}`]);
  const without = new Rules(objects(REMOTE_ENDPOINT));
  t.strictSame(without.of("nat", EXT), shortcuts, "without a local endpoint it falls out untranslated");
  t.equal(without.of("nat", SVL), undefined);
  t.strictSame(without.of("filter", "KUBE-EXTERNAL-SERVICES"), [
    "-m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30080 -j DROP",
  ]);
  const undetected = new Rules(objects(LOCAL_ENDPOINT), { clusterCIDR: "fd00:10::/32" });
  t.strictSame(
    undetected.of("nat", EXT),
    [...shortcuts.slice(1), `-j ${SVL}`],
    "without a detector no pod is known",
  );
});

t.test("section 2: marks are set with or, and taken off before masquerading", async (t) => {
  const rules = new Rules([], { iptables: { masqueradeBit: 31 } });
  t.strictSame(rules.of("nat", "KUBE-MARK-MASQ"), ["-j MARK --or-mark 0x80000000"]);
  t.strictSame(rules.of("nat", "KUBE-POSTROUTING"), [
    "-m mark ! --mark 0x80000000/0x80000000 -j RETURN",
    "-j MARK --xor-mark 0x80000000",
    "-j MASQUERADE --random-fully",
  ]);
  t.strictSame(new Rules([]).of("nat", "KUBE-MARK-MASQ"), ["-j MARK --or-mark 0x4000"]);
});

t.test("section 2: KUBE-FORWARD; tcpBeLiberal leaves its INVALID rule out", async (t) => {
  const accepted = [
    "-m mark --mark 0x4000/0x4000 -j ACCEPT",
    "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  ];
  t.strictSame(new Rules([]).of("filter", "KUBE-FORWARD"), [
    "-m conntrack --ctstate INVALID -j DROP",
    ...accepted,
  ]);
  const liberal = new Rules([], { conntrack: { tcpBeLiberal: true } });
  t.strictSame(liberal.of("filter", "KUBE-FORWARD"), accepted);
});

t.test("section 2: refusals: REJECT without any endpoint, DROP with endpoints elsewhere only", async (t) => {
  const shape = {
    spec: {
      ...BALANCER,
      externalIPs: ["192.168.99.22"],
      internalTrafficPolicy: "Local",
      externalTrafficPolicy: "Local",
    },
    ingress: [{ ip: "1.2.3.4" }],
    port: { nodePort: 30080 },
  };
  const external = (target: string) => [
    `-m tcp -p tcp -d 192.168.99.22 --dport 80 -j ${target}`,
    `-m tcp -p tcp -d 1.2.3.4 --dport 80 -j ${target}`,
    `-m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30080 -j ${target}`,
  ];
  const none = new Rules([service(shape)]);
  t.strictSame(none.of("filter", "KUBE-SERVICES"), [`${TO_CLUSTER_IP} -j REJECT`]);
  t.strictSame(none.of("filter", "KUBE-EXTERNAL-SERVICES"), external("REJECT"));
  t.strictSame(none.of("nat", "KUBE-SERVICES")?.length, 1, "only the jump to the node ports");
  const elsewhere = new Rules([service(shape), slice({ endpoints: [REMOTE_ENDPOINT] })]);
  t.strictSame(elsewhere.of("filter", "KUBE-SERVICES"), [`${TO_CLUSTER_IP} -j DROP`]);
  t.strictSame(elsewhere.of("filter", "KUBE-EXTERNAL-SERVICES"), external("DROP"));
  const here = new Rules([service(shape), slice({ endpoints: [LOCAL_ENDPOINT] })]);
  t.strictSame(here.of("filter", "KUBE-SERVICES"), []);
  t.strictSame(here.of("filter", "KUBE-EXTERNAL-SERVICES"), []);
});

t.test("section 2: the health check's node port is accepted, endpoints or not", async (t) => {
  const spec = { ...BALANCER, externalTrafficPolicy: "Local", healthCheckNodePort: 32000 };
  const accept = ["-m tcp -p tcp --dport 32000 -j ACCEPT"];
  t.strictSame(
    new Rules([service({ spec, port: { nodePort: 30080 } })]).of("filter", "KUBE-NODEPORTS"),
    accept,
  );
  const cluster = { ...spec, externalTrafficPolicy: "Cluster" };
  t.strictSame(new Rules([service({ spec: cluster })]).of("filter", "KUBE-NODEPORTS"), []);
});

t.test("section 5: the four detectLocalModes", async (t) => {
  const objects = [service(), slice({ endpoints: [LOCAL_ENDPOINT] })];
  const first = (options: object) => new Rules(objects, options).of("nat", SVC)?.[0];
  const masquerade = (match: string) => `${TO_CLUSTER_IP} ! ${match} -j KUBE-MARK-MASQ`;
  t.equal(first({ detectLocalMode: "ClusterCIDR" }), masquerade("-s 10.0.0.0/8"));
  t.equal(first({ detectLocalMode: "NodeCIDR" }), masquerade("-s 10.0.1.0/24"));
  const bridge = { detectLocalMode: "BridgeInterface", detectLocal: { bridgeInterface: "cbr0" } };
  t.equal(first(bridge), masquerade("-i cbr0"));
  const prefix = { detectLocalMode: "InterfaceNamePrefix", detectLocal: { interfaceNamePrefix: "veth" } };
  t.equal(first(prefix), masquerade("-i veth+"));
});

t.test("section 5: nodePortAddresses name addresses one by one, or all", async (t) => {
  const jumps = (nodePortAddresses: string[], input: Partial<RulesInput> = {}, options: object = {}) =>
    new Rules([], { nodePortAddresses, ...options }, input).of("nat", "KUBE-SERVICES");
  const all = ["-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"];
  const localAddresses = [ip("192.168.1.2"), ip("10.0.1.1")];
  t.strictSame(jumps([]), all);
  t.strictSame(jumps(["0.0.0.0/0"]), all);
  t.strictSame(jumps(["fd00:168::/64"]), all, "a list without the family says nothing about it");
  t.strictSame(jumps(["primary"], { localAddresses }), ["-d 192.168.0.2 -j KUBE-NODEPORTS"]);
  t.strictSame(jumps(["192.168.0.0/16", "fd00:168::/64"], { localAddresses }), [
    "-d 192.168.0.2 -j KUBE-NODEPORTS",
    "-d 192.168.1.2 -j KUBE-NODEPORTS",
  ]);
  t.strictSame(jumps(["127.0.0.0/8"]), ["-d 127.0.0.1 -j KUBE-NODEPORTS"]);
  t.strictSame(jumps(["127.0.0.0/8"], {}, { iptables: { localhostNodePorts: false } }), []);
  t.strictSame(jumps(["::1/128"], { family: 6 }), []);
});

t.test("section 5: above a thousand endpoints the comments of endpoint rules are left out", async (t) => {
  const many = (count: number) => {
    const endpoints = Array.from({ length: count }, (_, i) => ({ address: `10.1.${i >> 8}.${i & 255}` }));
    return new Rules([service(), slice({ endpoints })]).text;
  };
  t.match(many(1000), '--comment "ns/svc:p80 -> 10.1.0.0:8080"');
  const large = many(1001);
  t.notMatch(large, "ns/svc:p80 ->");
  t.notMatch(large, /KUBE-SEP-\S+ -m comment/);
  t.match(large, '--comment "ns/svc:p80 cluster IP"');
});

t.test("section 5: hostnameOverride says which endpoints are local", async (t) => {
  const objects = [
    service({ spec: { internalTrafficPolicy: "Local" } }),
    slice({ endpoints: [LOCAL_ENDPOINT, REMOTE_ENDPOINT] }),
  ];
  t.strictSame(new Rules(objects, { hostnameOverride: "There" }).endpoints(SVL), ["10.0.2.1:8080"]);
});

t.test("comments are those that people look for", async (t) => {
  const { text } = new Rules([
    service({
      spec: { ...BALANCER, externalTrafficPolicy: "Local", externalIPs: ["192.168.99.22"] },
      ingress: [{ ip: "1.2.3.4" }],
      port: { nodePort: 30080 },
    }),
    slice({ endpoints: [LOCAL_ENDPOINT] }),
    service({ name: "none", spec: { clusterIP: "172.30.0.42" } }),
  ]);
  for (const comment of [
    '"ns/svc:p80 cluster IP"',
    '"ns/svc:p80 external IP"',
    '"ns/svc:p80 loadbalancer IP"',
    '"pod traffic for ns/svc:p80 external destinations"',
    '"masquerade LOCAL traffic for ns/svc:p80 external destinations"',
    '"route LOCAL traffic for ns/svc:p80 external destinations"',
    '"ns/svc:p80 -> 10.0.1.1:8080"',
    '"ns/none:p80 has no endpoints"',
    "ns/svc:p80 -m tcp -p tcp --dport 30080",
  ]) {
    t.match(text, `--comment ${comment}`);
  }
});
