// Host ports in explain and trace: verdict, reason, and the rules as the portmap plug-in writes them.
import t from "tap";
import { AskedWorld, NODE, NODE6, OUTSIDE, OUTSIDE6, POD } from "../../testing/world/explain-world.ts";

const COMMENT = String.raw`-m comment --comment "dnat name: \"cbr0\" id: \"default/web\""`;
const PODS = ["10.244.1.5", "fd00:10:244:1::5"];
const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web" },
  spec: {
    nodeName: "node1",
    containers: [{ name: "c", image: "a", ports: [{ containerPort: 8080, hostPort: 8088 }] }],
  },
  status: { podIPs: PODS.map((ip) => ({ ip })) },
};

for (const mode of ["iptables", "ipvs", "userspace"]) {
  t.test(`${mode}: a host port is told as such`, async (t) => {
    const world = new AskedWorld({ config: { mode }, more: [pod] });
    const asked = world.explain(OUTSIDE, NODE, 8088);
    t.match(asked, {
      verdict: "dnat",
      reason: "hostPort 8088/TCP of default/web",
      endpoints: ["10.244.1.5:8080"],
      masquerade: false,
    });
    const rules = asked.steps.filter(({ table }) => table === "nat").map(({ chain, rule }) => [chain, rule]);
    const chain = (rules[2] as string[])[0];
    t.match(chain, /^CNI-DN-[0-9a-f]{21}$/);
    t.same(rules, [
      ["PREROUTING", "-m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT"],
      ["CNI-HOSTPORT-DNAT", `-p tcp ${COMMENT} -m multiport --dports 8088 -j ${chain}`],
      [chain, "-p tcp -m tcp --dport 8088 -j DNAT --to-destination 10.244.1.5:8080"],
    ]);
    t.equal(world.ask(OUTSIDE6, NODE6, 8088), "dnat [fd00:10:244:1::5]:8080");
  });
}

t.test("nftables: in the words of portmap's table", async (t) => {
  const world = new AskedWorld({ config: { mode: "nftables" }, more: [pod] });
  const { reason, steps } = world.explain(POD, NODE, 8088);
  t.equal(reason, "hostPort 8088/TCP of default/web");
  const own = steps.filter(({ table }) => table === "ip cni_hostport");
  t.same(
    own.map(({ chain, rule }) => [chain, rule]),
    [
      ["prerouting", "fib daddr type local jump hostports"],
      ["hostports", "tcp dport 8088 ip saddr 10.244.1.0/24 meta mark set meta mark or 0x2000"],
      ["hostports", 'tcp dport 8088 dnat to 10.244.1.5:8080 comment "default/web"'],
      ["masquerading", "meta mark and 0x2000 == 0x2000 masquerade"],
    ],
  );
  t.match(own[2]?.text, "hostPort 8088/TCP of default/web");
  t.equal(world.explain(OUTSIDE6, NODE6, 8088).steps[0]?.table, "ip6 cni_hostport");
});

t.test("whom the answer would not reach is masqueraded, by portmap's own mark", async (t) => {
  const world = new AskedWorld({ more: [pod] });
  for (const [from, source] of [
    [POD, "10.244.1.0/24"],
    ["10.244.1.5", "10.244.1.0/24"],
    ["127.0.0.1", "127.0.0.1/32"],
  ] as const) {
    const to = from === "127.0.0.1" ? from : NODE;
    const { masquerade, steps } = world.explain(from, to, 8088);
    t.ok(masquerade, from);
    t.ok(
      steps.some(({ rule }) => rule === `-s ${source} -p tcp -m tcp --dport 8088 -j CNI-HOSTPORT-SETMARK`),
      JSON.stringify(steps),
    );
    const last = steps.at(-1);
    t.equal(last?.chain, "CNI-HOSTPORT-MASQ");
    t.match(last?.text, "becomes 10.244.1.1");
  }
  t.equal(world.ask(NODE, NODE, 8088), "dnat 10.244.1.5:8080");
});

t.test("a host port of one address says which; other ports are nobody's", async (t) => {
  const ports = [{ containerPort: 8080, hostPort: 8088, hostIP: NODE }];
  const bound = { ...pod, spec: { ...pod.spec, containers: [{ name: "c", image: "a", ports }] } };
  const world = new AskedWorld({ more: [bound] });
  const { steps } = world.explain(OUTSIDE, NODE, 8088);
  t.match(steps.at(2)?.rule, `-d ${NODE}/32 -p tcp -m tcp --dport 8088 -j DNAT`);
  t.equal(world.ask(OUTSIDE, NODE, 8089), "accept");
  t.equal(world.ask(OUTSIDE, "10.244.1.1", 8088), "accept");
});
