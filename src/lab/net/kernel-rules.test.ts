import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { service, slice } from "../../testing/world/proxy-objects.ts";
import { planTopology } from "../topology.ts";
import { kernelRules, servesLoopback } from "./kernel-rules.ts";

const DUAL = "10.244.0.0/16,fd00:10:244::/56";

function plan(clusterCIDR: string, proxy: Record<string, unknown> = {}) {
  return planTopology("demo", { spec: { clusterCIDR, proxy, nodes: [{ name: "a", agent: "kernel" }] } });
}

const spec = { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1", "fd00:10:96::1"], type: "NodePort" };
const objects = [
  service({ spec, port: { nodePort: 30080 } }),
  slice({ endpoints: [{ address: "10.244.1.2", node: "a" }, { address: "10.244.2.2" }] }),
  slice({ slice: "six", family: 6, endpoints: [{ address: "fd00:10:244:1::2", node: "a" }] }),
];

t.test("a kernel node runs kube-proxy's rules, with pods masqueraded to the world", async (t) => {
  const lab = plan(DUAL);
  const { argv, input } = kernelRules(lab, lab.nodes[0], objects);
  t.same(argv, ["iptables-restore", "-w", "5"]);
  t.match(input, "-d 10.96.0.1 --dport 80 -j KUBE-SVC-");
  t.match(input, "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS", "loopback too");
  t.match(input, "-A POSTROUTING -s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE\nCOMMIT\n*filter");
  t.notMatch(input, /fd00/);
  const declared = new Set([...input.matchAll(/^:(\S+)/gm)].map((m) => m[1]));
  for (const [, target] of input.matchAll(/-j (KUBE-\S+)/g)) t.ok(declared.has(target), target);
});

t.test("ip6tables gets the IPv6 half of a dual-stack Service", async (t) => {
  const lab = plan(DUAL);
  const { argv, input } = kernelRules(lab, lab.nodes[0], objects, 6);
  t.same(argv, ["ip6tables-restore", "-w", "5"]);
  t.match(input, "-d fd00:10:96::1 ");
  t.match(input, " ! -s fd00:10:244::/56");
  t.match(input, "--to-destination [fd00:10:244:1::2]:8080");
  t.notMatch(input, /10\.244/);
});

t.test("nftables mode makes nftables' rules", async (t) => {
  const lab = plan(DUAL, { mode: "nftables" });
  for (const [family, table] of [
    [4, "ip"],
    [6, "ip6"],
  ] as const) {
    const { argv, input } = kernelRules(lab, lab.nodes[0], objects, family);
    t.same(argv, ["nft", "-f", "-"]);
    t.match(input, `table ${table} kube-proxy`);
    t.match(input, `add rule ${table} egress postrouting`);
  }
});

t.test("127.0.0.1 is let through where node ports are served there", async (t) => {
  t.ok(servesLoopback(plan(DUAL)));
  t.notOk(servesLoopback(plan(DUAL, { iptables: { localhostNodePorts: false } })));
  t.notOk(servesLoopback(plan(DUAL, { mode: "nftables" })));
});

const COMMENT = String.raw`-m comment --comment "dnat name: \"cbr0\" id: \"default/hp\""`;

const hostPort = (more: object = {}) =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "hp", namespace: "default" },
    spec: {
      nodeName: "a",
      containers: [
        { name: "c", image: "a", ports: [{ containerPort: 8080, hostPort: 8088, protocol: "UDP", ...more }] },
      ],
    },
    status: { podIPs: [{ ip: "10.244.1.9" }, { ip: "fd00:10:244:1::9" }] },
  }) as unknown as KubeObject;

t.test("host ports: portmap's chains, behind kube-proxy's and before other masquerading", async (t) => {
  const lab = plan(DUAL);
  const { input } = kernelRules(lab, lab.nodes[0], [...objects, hostPort()]);
  const nat = input.slice(input.indexOf("*nat"), input.indexOf("COMMIT", input.indexOf("*nat")));
  const chain = /:(CNI-DN-[0-9a-f]{21}) /.exec(nat)?.[1] as string;
  const rules = nat.split("\n").filter((line) => /^-A CNI-(HOSTPORT-DNAT|DN-)/.test(line));
  t.match(rules.slice(-4), [
    `-A CNI-HOSTPORT-DNAT -p udp ${COMMENT} -m multiport --dports 8088 -j ${chain}`,
    `-A ${chain} -s 10.244.1.0/24 -p udp -m udp --dport 8088 -j CNI-HOSTPORT-SETMARK`,
    `-A ${chain} -s 127.0.0.1/32 -p udp -m udp --dport 8088 -j CNI-HOSTPORT-SETMARK`,
    `-A ${chain} -p udp -m udp --dport 8088 -j DNAT --to-destination 10.244.1.9:8080`,
  ]);
  for (const hook of ["PREROUTING", "OUTPUT"]) {
    const jumps = nat.split("\n").filter((line) => line.startsWith(`-A ${hook} `));
    t.match(jumps.at(-1), "--dst-type LOCAL -j CNI-HOSTPORT-DNAT", "after KUBE-SERVICES");
  }
  const postrouting = nat.split("\n").filter((line) => line.startsWith("-A POSTROUTING "));
  t.match(postrouting[0], /-j CNI-HOSTPORT-MASQ$/, "before all others");
  t.match(postrouting.at(-1), "-j MASQUERADE");
  const six = kernelRules(lab, lab.nodes[0], [hostPort({ hostIP: "::" })], 6).input;
  t.match(six, "--to-destination [fd00:10:244:1::9]:8080");
  t.notMatch(six, /127\.0\.0\.1|10\.244/);
  t.notMatch(
    kernelRules(lab, lab.nodes[0], [hostPort({ hostIP: "::" })]).input,
    "-j DNAT",
    "of the other family",
  );
  t.notMatch(kernelRules(lab, lab.nodes[0], [hostPort({ hostPort: 0 })]).input, "CNI-");
});

t.test("host ports in nftables mode: a table of their own", async (t) => {
  const lab = plan(DUAL, { mode: "nftables" });
  const { input } = kernelRules(lab, lab.nodes[0], [hostPort({ hostIP: "10.0.0.1" })]);
  t.match(
    input,
    "add rule ip cni_hostport hostports ip daddr 10.0.0.1 udp dport 8088 dnat to 10.244.1.9:8080",
  );
  t.match(kernelRules(lab, lab.nodes[0], []).input, "delete table ip cni_hostport");
});
