// Fields of Service and EndpointSlice in iptables mode: one test a row of what kube-proxy is known to do.
import t from "tap";
import { service, slice } from "../testing/world/proxy-objects.ts";
import {
  BALANCER,
  EXT,
  FW,
  LOCAL_ENDPOINT,
  NAME,
  NODE_PORT,
  REMOTE_ENDPOINT,
  Rules,
  SVC,
  SVL,
  TO_CLUSTER_IP,
} from "../testing/world/proxy-rules.ts";
import { serviceChain } from "./names.ts";

t.test(
  "section 2: KUBE-FW lets source ranges in, and the VIP itself when a range holds the node",
  async (t) => {
    const objects = (ranges: string[]) => [
      service({ spec: { ...BALANCER, loadBalancerSourceRanges: ranges }, ingress: [{ ip: "1.2.3.4" }] }),
      slice({ endpoints: [LOCAL_ENDPOINT] }),
    ];
    const rules = new Rules(objects([" 203.0.113.0/25", "2001:db8::/32"]));
    t.strictSame(rules.of("nat", FW), [`-s 203.0.113.0/25 -j ${EXT}`, ""]);
    t.strictSame(rules.of("nat", "KUBE-SERVICES")?.[1], `-m tcp -p tcp -d 1.2.3.4 --dport 80 -j ${FW}`);
    t.strictSame(rules.of("filter", "KUBE-PROXY-FIREWALL"), ["-m tcp -p tcp -d 1.2.3.4 --dport 80 -j DROP"]);
    const node = new Rules(objects(["192.168.0.0/24"]));
    t.strictSame(node.of("nat", FW), [`-s 192.168.0.0/24 -j ${EXT}`, `-s 1.2.3.4 -j ${EXT}`, ""]);
  },
);

t.test(
  "section 2: KUBE-SVC masks strangers first, then affinity, then chance, in the order of ip:port",
  async (t) => {
    const rules = new Rules([
      service({
        spec: { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } },
      }),
      slice({ endpoints: [{ address: "10.0.1.9" }, { address: "10.0.1.10" }, { address: "10.0.1.2" }] }),
    ]);
    t.strictSame(rules.endpoints(SVC), [
      ...["10.0.1.10:8080", "10.0.1.2:8080", "10.0.1.9:8080"],
      ...["10.0.1.10:8080", "10.0.1.2:8080", "10.0.1.9:8080"],
    ]);
    const chain = rules.of("nat", SVC) ?? [];
    t.equal(chain[0], `${TO_CLUSTER_IP} ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ`);
    t.match(chain[1], /^-m recent --name (KUBE-SEP-\S+) --rcheck --seconds 60 --reap -j \1$/);
    t.match(chain[4], "-m statistic --mode random --probability 0.3333333333 -j");
    t.match(chain[5], "-m statistic --mode random --probability 0.5000000000 -j");
    t.match(chain[6], /^-j KUBE-SEP/);
    const sep = chain[6].slice("-j ".length);
    t.strictSame(rules.of("nat", sep), [
      "-s 10.0.1.9 -j KUBE-MARK-MASQ",
      `-m recent --name ${sep} --set -m tcp -p tcp -j DNAT --to-destination 10.0.1.9:8080`,
    ]);
  },
);

t.test("section 3: ClusterIP traffic is masqueraded always, for strangers, or never", async (t) => {
  const objects = [service(), slice({ endpoints: [LOCAL_ENDPOINT] })];
  const first = (options: object) => new Rules(objects, options).of("nat", SVC)?.[0];
  t.equal(first({ iptables: { masqueradeAll: true } }), `${TO_CLUSTER_IP} -j KUBE-MARK-MASQ`);
  t.equal(first({}), `${TO_CLUSTER_IP} ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ`);
  t.match(first({ clusterCIDR: "fd00:10::/32" }), /^-j KUBE-SEP/);
});

t.test("section 3: services that are nobody's business have no rules", async (t) => {
  const endpoints = slice({ endpoints: [LOCAL_ENDPOINT] });
  const ignored = [
    service({ spec: { clusterIP: "None" } }),
    service({ spec: { clusterIP: "", clusterIPs: [] } }),
    service({ spec: { type: "ExternalName" } }),
    service({ labels: { "service.kubernetes.io/service-proxy-name": "other" } }),
    service({ labels: { "service.kubernetes.io/headless": "" } }),
  ];
  const empty = new Rules([]).text;
  for (const one of ignored) t.equal(new Rules([one, endpoints]).text, empty);
  for (const label of ["service.kubernetes.io/service-proxy-name", "service.kubernetes.io/headless"]) {
    const labelled = slice({ endpoints: [LOCAL_ENDPOINT], labels: { [label]: "x" } });
    t.match(new Rules([service(), labelled]).of("filter", "KUBE-SERVICES")?.[0], "REJECT");
  }
});

t.test("section 3: targetPort is not read; ports are joined by name", async (t) => {
  const ports = [
    { name: "p80", port: 80, protocol: "TCP", targetPort: 1 },
    { name: "dns", port: 53, protocol: "UDP", targetPort: 2 },
  ];
  const rules = new Rules([
    service({ spec: { ports } }),
    slice({ endpoints: [LOCAL_ENDPOINT] }),
    slice({ slice: "b", endpoints: [LOCAL_ENDPOINT], port: { name: "dns", port: 5353, protocol: "UDP" } }),
    slice({ slice: "c", endpoints: [REMOTE_ENDPOINT], port: { name: "dns", port: 5353, protocol: "TCP" } }),
  ]);
  t.strictSame(rules.endpoints(SVC), ["10.0.1.1:8080"]);
  const dns = serviceChain("SVC", { ...NAME, port: "dns", protocol: "udp" });
  t.strictSame(rules.endpoints(dns), ["10.0.1.1:5353"]);
  t.match(rules.text, "-m udp -p udp -j DNAT --to-destination 10.0.1.1:5353");
});

t.test("section 3: ingress without address, and of a proxying balancer, is no VIP", async (t) => {
  const ingress = [
    { hostname: "lb.example" },
    { ip: "1.2.3.4", ipMode: "Proxy" },
    { ip: "5.6.7.8", ipMode: "VIP" },
  ];
  const spec = { ...BALANCER, loadBalancerIP: "9.9.9.9" };
  const rules = new Rules([service({ spec, ingress }), slice({ endpoints: [LOCAL_ENDPOINT] })]);
  t.match(rules.text, "-d 5.6.7.8 ");
  t.notMatch(rules.text, /1\.2\.3\.4|9\.9\.9\.9/);
});

t.test("section 3: source ranges do not concern node ports, ClusterIPs and external IPs", async (t) => {
  const rules = new Rules([
    service({
      spec: { ...BALANCER, externalIPs: ["192.168.99.22"], loadBalancerSourceRanges: ["203.0.113.0/25"] },
      ingress: [{ ip: "1.2.3.4" }],
      port: { nodePort: 30080 },
    }),
    slice({ endpoints: [LOCAL_ENDPOINT] }),
  ]);
  const [, external, vip] = rules.of("nat", "KUBE-SERVICES") ?? [];
  t.ok(external.endsWith(EXT));
  t.ok(vip.endsWith(FW));
  t.ok(rules.of("nat", "KUBE-NODEPORTS")?.[0].endsWith(EXT));
});

t.test("section 3: policy Local means nothing without an external address", async (t) => {
  const rules = new Rules([
    service({ spec: { externalTrafficPolicy: "Local" } }),
    slice({ endpoints: [REMOTE_ENDPOINT] }),
  ]);
  t.equal(rules.of("nat", EXT), undefined);
  t.strictSame(rules.endpoints(SVC), ["10.0.2.1:8080"]);
  t.strictSame(rules.of("filter", "KUBE-SERVICES"), []);
});

t.test(
  "section 3: internalTrafficPolicy Local sends ClusterIP traffic to local endpoints only",
  async (t) => {
    const rules = new Rules([
      service({ spec: { ...NODE_PORT, internalTrafficPolicy: "Local" }, port: { nodePort: 30080 } }),
      slice({ endpoints: [LOCAL_ENDPOINT, REMOTE_ENDPOINT] }),
    ]);
    t.equal(rules.of("nat", "KUBE-SERVICES")?.[0], `${TO_CLUSTER_IP} -j ${SVL}`);
    t.equal(rules.of("nat", SVL)?.[0], `${TO_CLUSTER_IP} ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ`);
    t.strictSame(rules.endpoints(SVL), ["10.0.1.1:8080"]);
    t.strictSame(rules.endpoints(SVC), ["10.0.1.1:8080", "10.0.2.1:8080"], "external traffic goes to all");
  },
);

t.test(
  "section 3: affinity lasts three hours unless told otherwise, and endpoints share it over paths",
  async (t) => {
    const rules = new Rules([
      service({ spec: { ...NODE_PORT, sessionAffinity: "ClientIP" }, port: { nodePort: 30080 } }),
      slice({ endpoints: [LOCAL_ENDPOINT] }),
    ]);
    t.match(rules.of("nat", SVC)?.[1], "--rcheck --seconds 10800 --reap");
  },
);

t.test(
  "section 3: a family without its own ClusterIP has no rules; one without endpoints rejects",
  async (t) => {
    const both = service({ spec: { clusterIPs: ["172.30.0.41", "fd00:30::41"] } });
    const objects = [both, slice({ endpoints: [LOCAL_ENDPOINT] })];
    const v6 = new Rules(objects, {}, { family: 6 });
    t.strictSame(v6.of("filter", "KUBE-SERVICES"), ["-m tcp -p tcp -d fd00:30::41 --dport 80 -j REJECT"]);
    const single = new Rules([service(), slice({ endpoints: [LOCAL_ENDPOINT] })], {}, { family: 6 });
    t.equal(single.text, new Rules([], {}, { family: 6 }).text);
    const dual = new Rules(
      [both, slice({ family: 6, endpoints: [{ address: "fd00:10:1::1" }] })],
      {},
      { family: 6 },
    );
    t.strictSame(dual.endpoints(SVC), ["[fd00:10:1::1]:8080"]);
    t.match(dual.of("nat", SVC)?.[0], "! -s fd00:10::/32 -j KUBE-MARK-MASQ");
  },
);

t.test("section 3: SCTP is matched as itself", async (t) => {
  const port = { name: "p80", port: 80, protocol: "SCTP" };
  const rules = new Rules([
    service({ spec: { ports: [port] } }),
    slice({ endpoints: [LOCAL_ENDPOINT], port: { protocol: "SCTP" } }),
  ]);
  t.match(rules.text, "-m sctp -p sctp -d 172.30.0.41 --dport 80 -j KUBE-SVC");
  t.match(rules.text, "-m sctp -p sctp -j DNAT --to-destination 10.0.1.1:8080");
});

t.test("section 4: slices are joined by label and namespace, and only of the family", async (t) => {
  const rules = new Rules([
    service(),
    slice({ slice: "a", endpoints: [{ address: "10.0.1.1" }] }),
    slice({ slice: "b", namespace: "other", endpoints: [{ address: "10.0.1.2" }] }),
    slice({ slice: "c", name: "svc2", endpoints: [{ address: "10.0.1.3" }] }),
    slice({ slice: "d", addressType: "FQDN", endpoints: [{ address: "10.0.1.4" }] }),
    slice({ slice: "e", family: 6, endpoints: [{ address: "fd00::1" }] }),
    slice({ slice: "f", endpoints: [{ address: "10.0.1.6" }], port: { port: 0 } }),
    slice({ slice: "g", endpoints: [{ address: "10.0.1.7" }], port: { port: 9090 } }),
  ]);
  t.strictSame(rules.endpoints(SVC), ["10.0.1.1:8080", "10.0.1.7:9090"]);
});

t.test("section 4: only the first address counts, and a local copy wins over a duplicate", async (t) => {
  const twice = slice({ slice: "a", endpoints: [{ address: "10.0.1.1", node: "there" }] });
  twice.endpoints[0].addresses.push("10.0.1.99");
  const rules = new Rules([
    service({ spec: { internalTrafficPolicy: "Local" } }),
    twice,
    slice({ slice: "b", endpoints: [LOCAL_ENDPOINT] }),
    slice({ slice: "c", endpoints: [{ address: "10.0.1.1", node: "there" }] }),
  ]);
  t.strictSame(rules.endpoints(SVL), ["10.0.1.1:8080"]);
  t.notMatch(rules.text, "10.0.1.99");
});

t.test("section 4: conditions left out mean ready, serving, not terminating", async (t) => {
  const rules = new Rules([service(), slice({ endpoints: [{ address: "10.0.1.1" }] })]);
  t.strictSame(rules.endpoints(SVC), ["10.0.1.1:8080"]);
  const unready = new Rules([service(), slice({ endpoints: [{ address: "10.0.1.1", ready: false }] })]);
  t.match(unready.of("filter", "KUBE-SERVICES")?.[0], "REJECT");
});

t.test("section 4: serving and terminating ones are the last resort of each set on its own", async (t) => {
  const ending = { ready: false, serving: true, terminating: true };
  const rules = new Rules([
    service({ spec: { ...NODE_PORT, externalTrafficPolicy: "Local" }, port: { nodePort: 30080 } }),
    slice({ endpoints: [{ ...LOCAL_ENDPOINT, ...ending }, REMOTE_ENDPOINT] }),
  ]);
  t.strictSame(rules.endpoints(SVL), ["10.0.1.1:8080"]);
  t.strictSame(rules.endpoints(SVC), ["10.0.2.1:8080"]);
  const dead = new Rules([
    service(),
    slice({ endpoints: [{ ...LOCAL_ENDPOINT, ready: false, serving: false, terminating: true }] }),
  ]);
  t.match(dead.of("filter", "KUBE-SERVICES")?.[0], "REJECT");
});

t.test("section 4: an endpoint without a node's name is remote", async (t) => {
  const rules = new Rules([
    service({ spec: { internalTrafficPolicy: "Local" } }),
    slice({ endpoints: [{ address: "10.0.1.1" }] }),
  ]);
  t.match(rules.of("filter", "KUBE-SERVICES")?.[0], "DROP");
});

t.test(
  "section 4: hints by node, else by zone, if every ready endpoint has them and one is for us",
  async (t) => {
    const chosen = (...hints: { zones?: string[]; nodes?: string[]; ready?: boolean }[]) => {
      const endpoints = hints.map((hint, i) => ({ address: `10.0.1.${i + 1}`, ...hint }));
      return new Rules([service(), slice({ endpoints })]).endpoints(SVC).map((text) => text.split(":")[0]);
    };
    const [one, two] = ["10.0.1.1", "10.0.1.2"];
    t.strictSame(chosen({ zones: ["a"] }, { zones: ["b"] }), [one]);
    t.strictSame(chosen({ zones: ["b", "a"] }, { zones: ["b"] }), [one]);
    t.strictSame(chosen({ zones: ["a"] }, {}), [one, two], "one without a hint: all");
    t.strictSame(chosen({ zones: ["b"] }, { zones: ["b"] }), [one, two], "none for us: all");
    t.strictSame(
      chosen({ zones: ["a"], nodes: ["there"] }, { zones: ["b"], nodes: ["here"] }),
      [two],
      "node first",
    );
    t.strictSame(chosen({ zones: ["a"], nodes: ["there"] }, { zones: ["b"], nodes: ["else"] }), [one]);
    t.strictSame(
      chosen({ zones: ["a"] }, { zones: ["b"] }, { ready: false }),
      [one],
      "unready ones do not count",
    );
  },
);

t.test("section 4: hints never shrink the local endpoints", async (t) => {
  const rules = new Rules([
    service({ spec: { internalTrafficPolicy: "Local" } }),
    slice({
      endpoints: [
        { ...LOCAL_ENDPOINT, zones: ["b"] },
        { ...REMOTE_ENDPOINT, zones: ["a"] },
      ],
    }),
  ]);
  t.strictSame(rules.endpoints(SVL), ["10.0.1.1:8080"]);
});
