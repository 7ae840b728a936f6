// Where nftables mode differs from iptables mode, one test a row, on the rules as text.
import t from "tap";
import { cidr, ip } from "../base/ip.ts";
import type { KubeObject } from "../kube/objects.ts";
import { service, slice } from "../testing/world/proxy-objects.ts";
import {
  BALANCER,
  config,
  HERE,
  LOCAL_ENDPOINT,
  NAME,
  NODE_PORT,
  REMOTE_ENDPOINT,
} from "../testing/world/proxy-rules.ts";
import { nftServiceName } from "./names.ts";
import type { RulesInput } from "./proxy-view.ts";
import { renderRules } from "./rules.ts";

const BASE = nftServiceName(NAME);
const KEY = ". tcp . 80";

/** Commands of a kind without what they all begin with. */
class Commands {
  readonly text: string;

  constructor(objects: KubeObject[], options: object = {}, input: Partial<RulesInput> = {}) {
    this.text = renderRules("nft", {
      objects: [HERE, ...objects],
      nodeName: "here",
      config: config({ mode: "nftables", ...options }),
      family: 4,
      ...input,
    });
  }

  rules(chain: string): string[] {
    return this.#after(`add rule ip kube-proxy ${chain} `);
  }

  elements(name: string): string[] {
    return this.#after(`add element ip kube-proxy ${name} `);
  }

  chains(): string[] {
    return this.#after("add chain ip kube-proxy ").map((line) => line.split(" ")[0]);
  }

  #after(start: string): string[] {
    const lines = this.text.split("\n").filter((line) => line.startsWith(start));
    return lines.map((line) => line.slice(start.length));
  }
}

t.test("section 8: base chains and what they jump to", async (t) => {
  const made = new Commands([]);
  t.match(
    made.text,
    "add chain ip kube-proxy filter-prerouting-pre-dnat { type filter hook prerouting priority -110 ; }",
  );
  t.match(made.text, "add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority -100 ; }");
  t.match(made.text, "add chain ip kube-proxy nat-postrouting { type nat hook postrouting priority 100 ; }");
  const jumps = (chain: string) =>
    made.rules(chain).map((rule) => rule.replace("ct state new jump ", "new "));
  t.strictSame(jumps("filter-prerouting-pre-dnat"), ["new firewall-check"]);
  t.strictSame(jumps("filter-output-pre-dnat"), ["new firewall-check"]);
  t.strictSame(jumps("filter-input"), ["new nodeport-endpoints-check", "new service-endpoints-check"]);
  t.strictSame(jumps("filter-forward"), ["new service-endpoints-check", "new cluster-ips-check"]);
  t.strictSame(jumps("filter-output"), ["new service-endpoints-check", "new cluster-ips-check"]);
  t.strictSame(made.rules("nat-postrouting"), ["jump masquerading"]);
});

t.test("section 8: addresses and ports are looked up in maps", async (t) => {
  const made = new Commands([
    service({
      spec: { ...BALANCER, externalIPs: ["192.168.99.22"] },
      ingress: [{ ip: "1.2.3.4" }],
      port: { nodePort: 30080 },
    }),
    slice({ endpoints: [LOCAL_ENDPOINT, REMOTE_ENDPOINT] }),
  ]);
  t.strictSame(made.elements("service-ips"), [
    `{ 172.30.0.41 ${KEY} : goto service-${BASE} }`,
    `{ 192.168.99.22 ${KEY} : goto external-${BASE} }`,
    `{ 1.2.3.4 ${KEY} : goto external-${BASE} }`,
  ]);
  t.strictSame(made.elements("service-nodeports"), [`{ tcp . 30080 : goto external-${BASE} }`]);
  t.strictSame(made.elements("cluster-ips"), ["{ 172.30.0.41 }"]);
  t.match(
    made.rules(`service-${BASE}`)[1],
    /^numgen random mod 2 vmap \{ 0 : goto endpoint-\S+ , 1 : goto \S+ \}$/,
  );
});

t.test(
  "section 8: unknown ports of a ClusterIP are rejected, addresses that nobody owns dropped",
  async (t) => {
    const serviceCidrs = [cidr("172.30.0.0/16"), cidr("fd00:30::/112")];
    t.strictSame(new Commands([], {}, { serviceCidrs }).rules("cluster-ips-check"), [
      'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
      'ip daddr { 172.30.0.0/16 } drop comment "Drop traffic to unallocated ClusterIPs"',
    ]);
    const told: KubeObject = {
      ...{ apiVersion: "networking.k8s.io/v1", kind: "ServiceCIDR", metadata: { name: "more" } },
      ...{ spec: { cidrs: ["172.31.0.0/16", "fd00:31::/112"] } },
    };
    t.match(
      new Commands([told], {}, { serviceCidrs }).rules("cluster-ips-check")[1],
      "ip daddr { 172.30.0.0/16, 172.31.0.0/16 } drop",
    );
    t.equal(new Commands([]).rules("cluster-ips-check").length, 1, "without ServiceCIDRs nothing is dropped");
  },
);

t.test("section 8: node ports by default at the primary address, and never on loopback", async (t) => {
  const localAddresses = [ip("192.168.1.2")];
  const addresses = (nodePortAddresses: string[]) =>
    new Commands([], { nodePortAddresses }, { localAddresses }).elements("nodeport-ips");
  t.strictSame(addresses([]), ["{ 192.168.0.2 }"]);
  t.strictSame(addresses(["primary"]), ["{ 192.168.0.2 }"]);
  t.strictSame(addresses(["192.168.0.0/16", "127.0.0.0/8"]), ["{ 192.168.0.2 }", "{ 192.168.1.2 }"]);
  for (const all of ["0.0.0.0/0", "fd00::/16"]) {
    const made = new Commands([], { nodePortAddresses: [all] }, { localAddresses });
    t.notMatch(made.text, "nodeport-ips");
    t.match(
      made.rules("services")[1],
      "fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport",
    );
  }
});

t.test("section 8: nothing is accepted on behalf of the user, and INVALID is let be", async (t) => {
  const spec = { ...BALANCER, externalTrafficPolicy: "Local", healthCheckNodePort: 32000 };
  const made = new Commands([
    service({ spec, ingress: [{ ip: "1.2.3.4" }] }),
    slice({ endpoints: [LOCAL_ENDPOINT] }),
  ]);
  t.notMatch(made.text, / accept$|32000|ct state invalid/m);
});

t.test("section 8: source ranges drop before DNAT, endpoints or not", async (t) => {
  const spec = {
    ...BALANCER,
    loadBalancerSourceRanges: [" 203.0.113.0/25", "192.168.0.0/24", "2001:db8::/32"],
  };
  const made = new Commands([service({ spec, ingress: [{ ip: "1.2.3.4" }] })]);
  t.strictSame(made.elements("firewall-ips"), [`{ 1.2.3.4 ${KEY} : goto firewall-${BASE} }`]);
  t.strictSame(made.rules(`firewall-${BASE}`), [
    "ip saddr != { 203.0.113.0/25, 192.168.0.0/24, 1.2.3.4 } drop",
  ]);
});

t.test("section 8: affinity is a dynamic set with a timeout for each endpoint", async (t) => {
  const made = new Commands([
    service({ spec: { sessionAffinity: "ClientIP" } }),
    slice({ endpoints: [LOCAL_ENDPOINT] }),
  ]);
  const name = /add set ip kube-proxy (affinity-\S+) (.*)/.exec(made.text);
  t.equal(name?.[2], "{ type ipv4_addr ; flags dynamic,timeout ; timeout 10800s ; }");
  const endpoint = name?.[1].replace("affinity-", "endpoint-") ?? "";
  t.equal(made.rules(`service-${BASE}`)[1], `ip saddr @${name?.[1]} goto ${endpoint}`);
  t.strictSame(made.rules(endpoint), [
    "ip saddr 10.0.1.1 jump mark-for-masquerade",
    `update @${name?.[1]} { ip saddr }`,
    "meta l4proto tcp dnat to 10.0.1.1:8080",
  ]);
});

t.test("section 8: what is marked is masqueraded and loses its mark", async (t) => {
  const made = new Commands([], { nftables: { masqueradeBit: 15 } });
  t.strictSame(made.rules("mark-for-masquerade"), ["mark set mark or 0x8000"]);
  t.strictSame(made.rules("masquerading"), [
    "mark and 0x8000 == 0 return",
    "mark set mark xor 0x8000",
    "masquerade fully-random",
  ]);
});

t.test("policies refuse as in iptables mode", async (t) => {
  const shape = {
    spec: { ...NODE_PORT, internalTrafficPolicy: "Local", externalTrafficPolicy: "Local" },
    port: { nodePort: 30080 },
  };
  const none = new Commands([service(shape)]);
  t.strictSame(none.elements("no-endpoint-services"), [
    `{ 172.30.0.41 ${KEY} comment "ns/svc:p80" : goto reject-chain }`,
  ]);
  t.strictSame(none.elements("no-endpoint-nodeports"), [
    '{ tcp . 30080 comment "ns/svc:p80" : goto reject-chain }',
  ]);
  const far = new Commands([service(shape), slice({ endpoints: [REMOTE_ENDPOINT] })]);
  t.strictSame(far.elements("no-endpoint-services"), [`{ 172.30.0.41 ${KEY} comment "ns/svc:p80" : drop }`]);
  t.strictSame(far.rules(`external-${BASE}`), [
    `ip saddr 10.0.0.0/8 goto service-${BASE} comment "short-circuit pod traffic"`,
    'fib saddr type local jump mark-for-masquerade comment "masquerade local traffic"',
    `fib saddr type local goto service-${BASE} comment "short-circuit local traffic"`,
  ]);
});

t.test("an address that two Services claim is the first one's", async (t) => {
  const external = (name: string, clusterIP: string) =>
    service({ name, spec: { clusterIP, externalIPs: ["192.168.99.22"] } });
  const made = new Commands([external("b", "172.30.0.2"), external("a", "172.30.0.1")]);
  t.strictSame(
    made.elements("no-endpoint-services").filter((element) => element.includes("192.168.99.22")),
    [`{ 192.168.99.22 ${KEY} comment "ns/a:p80" : goto reject-chain }`],
  );
});

t.test("pods are told by interface where the configuration says so", async (t) => {
  const objects = [service(), slice({ endpoints: [LOCAL_ENDPOINT] })];
  const first = (options: object) => new Commands(objects, options).rules(`service-${BASE}`)[0];
  const to = "ip daddr 172.30.0.41 tcp dport 80";
  const bridge = { detectLocalMode: "BridgeInterface", detectLocal: { bridgeInterface: "cbr0" } };
  t.equal(first(bridge), `${to} iifname != "cbr0" jump mark-for-masquerade`);
  const prefix = { detectLocalMode: "InterfaceNamePrefix", detectLocal: { interfaceNamePrefix: "veth" } };
  t.equal(first(prefix), `${to} iifname != "veth*" jump mark-for-masquerade`);
  t.equal(first({ nftables: { masqueradeAll: true } }), `${to} jump mark-for-masquerade`);
});
