// Portmap's rules for host ports, to the letter, where kube-proxy's end. That the kernel's iptables-save prints the
// same lines: native-test/command/rules.test.ts.
import { readFileSync } from "node:fs";
import t from "tap";
import { readProxyConfig } from "../config/proxy.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { parseManifests } from "../kube/manifest/manifest.ts";
import type { KubeObject } from "../kube/objects.ts";
import { hostPortForwards } from "./host-ports.ts";
import { type RuleFormat, renderRules } from "./rules.ts";
import { hostPortChain } from "./words/kube-chains.ts";

const FILE = "src/testing/testdata/rules/host-ports.yaml";
const objects = parseManifests([{ file: FILE, text: readFileSync(FILE, "utf8") }]).map(
  ({ object }) => object,
);
const [MANY, WEB] = ["prod/many", "default/web"].map(hostPortChain);

function lines(format: RuleFormat, family: 4 | 6, of: readonly KubeObject[] = objects): string[] {
  const config = readProxyConfig({ clusterCIDR: "10.244.0.0/16" }, new FieldProblems());
  return renderRules(format, { objects: of, nodeName: "node1", config, family }).split("\n");
}

const name = (pod: string): string => String.raw`-m comment --comment "dnat name: \"cbr0\" id: \"${pod}\""`;
const range = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i).join();

const HEAD = [
  "-A CNI-HOSTPORT-SETMARK",
  '-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000',
].join(" ");

t.test("iptables-save: behind kube-proxy's chains of the nat table", async (t) => {
  const all = lines("iptables-save", 4);
  const nat = all.slice(all.indexOf("*nat"), all.indexOf("COMMIT", all.indexOf("*nat")));
  const chains = nat.filter((line) => line.startsWith(":CNI-") || line.startsWith(":KUBE-"));
  t.same(
    chains.slice(-5),
    ["CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ", WEB, MANY].map(
      (chain) => `:${chain} - [0:0]`,
    ),
  );
  t.same(
    nat.filter((line) => /^-A (PREROUTING|OUTPUT|POSTROUTING) /.test(line)),
    [
      '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
      '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
      '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
      '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    ],
  );
  const web = nat.filter((line) => line.startsWith("-A CNI-") && !line.includes(MANY));
  t.same(web, [
    `-A CNI-HOSTPORT-DNAT -p sctp ${name("default/web")} -m multiport --dports 3868 -j ${WEB}`,
    `-A CNI-HOSTPORT-DNAT -p tcp ${name("default/web")} -m multiport --dports 8088,8443,9090 -j ${WEB}`,
    `-A CNI-HOSTPORT-DNAT -p udp ${name("default/web")} -m multiport --dports 53 -j ${WEB}`,
    HEAD,
    "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
    ...[
      ["-p tcp -m tcp --dport 8088", "10.244.1.5:8080"],
      ["-d 192.168.50.11/32 -p udp -m udp --dport 53", "10.244.1.5:5353"],
      ["-p tcp -m tcp --dport 8443", "10.244.1.5:8443"],
      ["-p sctp -m sctp --dport 3868", "10.244.1.5:3868"],
    ].flatMap(([match, to]) => [
      `-A ${WEB} -s 10.244.1.0/24 ${match} -j CNI-HOSTPORT-SETMARK`,
      `-A ${WEB} -s 127.0.0.1/32 ${match} -j CNI-HOSTPORT-SETMARK`,
      `-A ${WEB} ${match} -j DNAT --to-destination ${to}`,
    ]),
  ]);
});

t.test("a rule leads to fifteen ports at most", async (t) => {
  t.same(
    lines("iptables-save", 4).filter((line) => line.endsWith(`-j ${MANY}`)),
    [range(9001, 9015), "9016"].map(
      (ports) => `-A CNI-HOSTPORT-DNAT -p tcp ${name("prod/many")} -m multiport --dports ${ports} -j ${MANY}`,
    ),
  );
});

t.test("IPv6: the pods and addresses of that family; ::1 is nobody's", async (t) => {
  const own = lines("iptables-save", 6).filter((line) => line.startsWith(`-A ${WEB}`));
  t.same(own.slice(2, 4), [
    `-A ${WEB} -s fd00:10:244:1::/64 -d fd00:50::11/128 -p tcp -m tcp --dport 9090 -j CNI-HOSTPORT-SETMARK`,
    `-A ${WEB} -d fd00:50::11/128 -p tcp -m tcp --dport 9090 -j DNAT --to-destination [fd00:10:244:1::5]:9090`,
  ]);
  t.notOk(lines("iptables-save", 6).some((line) => line.includes(MANY)));
});

t.test("nft: a table behind kube-proxy's", async (t) => {
  const all = lines("nft", 4);
  const own = all.slice(all.indexOf("add table ip cni_hostport"));
  t.notOk(own.some((line) => line.includes("kube-proxy")));
  t.same(
    own.slice(0, 3),
    ["add", "delete", "add"].map((verb) => `${verb} table ip cni_hostport`),
  );
  t.same(
    own.filter((line) => line.includes("dport 53 ")),
    [
      "ip saddr 10.244.1.0/24 meta mark set meta mark or 0x2000",
      "ip saddr 127.0.0.1/32 meta mark set meta mark or 0x2000",
      'dnat to 10.244.1.5:5353 comment "default/web"',
    ].map((rule) => `add rule ip cni_hostport hostports ip daddr 192.168.50.11 udp dport 53 ${rule}`),
  );
});

t.test("without host ports: kube-proxy's rules alone", async (t) => {
  const none = objects.filter(({ metadata }) => !["web", "many"].includes(metadata.name));
  t.equal(none.length, objects.length - 2, "the others' are not forwarded here");
  for (const format of ["iptables-save", "nft", "ipvsadm"] as const) {
    for (const family of [4, 6] as const) {
      t.notMatch(lines(format, family, none).join("\n"), /CNI|cni/);
      t.same(lines(format, family, none), lines(format, family, none.slice(0, 1)), "not a line more");
    }
  }
  t.same(lines("ipvsadm", 4), [""], "virtual servers alone");
});

t.test("forwards, as conntrack's entries are looked up by them", async (t) => {
  const forwards = hostPortForwards({ objects, nodeName: "node1", family: 4 });
  t.equal(forwards.length, 20);
  t.same(forwards[1], {
    ...{ pod: "default/web", protocol: "udp", port: 53 },
    ...{ hostIP: "192.168.50.11", to: "10.244.1.5:5353" },
  });
  t.same(
    hostPortForwards({ objects: [...objects].reverse(), nodeName: "node1", family: 4 }),
    forwards,
    "whatever the objects' order",
  );
});
