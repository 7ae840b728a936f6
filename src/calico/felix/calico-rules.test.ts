import { readFileSync } from "node:fs";
import t from "tap";
import type { IpFamily } from "../../base/ip.ts";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { type PolicyFormat, renderPolicyRules } from "./policy-rules.ts";

const file = new URL("../../../../src/calico/felix/testdata/three-tier.yaml", import.meta.url);
const example = parseManifests([{ file: "three-tier.yaml", text: readFileSync(file, "utf8") }]).map(
  ({ object }) => object,
);

function lines(
  objects: readonly KubeObject[],
  format: PolicyFormat,
  family: IpFamily = 4,
  port = 8472,
): string[] {
  const overlay = { type: "vxlan", vni: 1, port } as const;
  return renderPolicyRules(format, { objects, nodeName: "node1", family, overlay }).split("\n");
}

const rulesOf = (chain: string, all: readonly string[]): string[] =>
  all.filter((line) => line.startsWith(`-A ${chain} `));
/** Without the hash, which depends on everything. */
const plain = (line: string): string => line.replace(/ -m comment --comment "cali:[\w-]{16}"/, "");

/** The example's pods with these policies instead of its own. */
function withPolicies(...policies: object[]): KubeObject[] {
  const text = policies.map((policy) => JSON.stringify(policy)).join("\n---\n");
  const made = parseManifests([{ file: "policies.json", text }]).map(({ object }) => object);
  return [...example.filter(({ kind }) => !kind.endsWith("NetworkPolicy")), ...made];
}

function networkPolicy(name: string, spec: object): object {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace: "default" },
    spec: { podSelector: {}, ...spec },
  };
}

function clusterPolicy(name: string, spec: object): object {
  return {
    apiVersion: "policy.networking.k8s.io/v1alpha2",
    kind: "ClusterNetworkPolicy",
    metadata: { name },
    spec: { tier: "Admin", priority: 1, subject: { namespaces: {} }, ...spec },
  };
}

/** Rules of the one policy's chain, without chain, hashes and comments. */
function policyRules(policy: object, direction: "i" | "o", family: IpFamily = 4): string[] {
  const all = lines(withPolicies(policy), "iptables-save", family);
  const own = all.filter((line) => line.startsWith(`-A cali-p${direction}-`));
  return own.map((line) => line.replace(/^-A \S+ ?/, "").replace(/-m comment --comment "[^"]*" ?/g, ""));
}

const DB = "calie57ed5aa5ae";

t.test("the chain to the database's pod", async (t) => {
  t.same(rulesOf(`cali-tw-${DB}`, lines(example, "iptables-save")).map(plain), [
    `-A cali-tw-${DB} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `-A cali-tw-${DB} -m conntrack --ctstate INVALID -j DROP`,
    `-A cali-tw-${DB} -j MARK --set-xmark 0x0/0x30000`,
    `-A cali-tw-${DB} -m comment --comment "Start of tier default" -j MARK --set-xmark 0x0/0x20000`,
    `-A cali-tw-${DB} -m mark --mark 0x0/0x20000 -j cali-pi-_boOrsue0FcQ8KZ1ipkO`,
    `-A cali-tw-${DB} -m comment --comment "Return if policy accepted" -m mark --mark 0x10000/0x10000 -j RETURN`,
    `-A cali-tw-${DB} -m comment --comment "End of tier default. Drop if no policies passed packet" ` +
      "-m mark --mark 0x0/0x20000 -j DROP",
    `-A cali-tw-${DB} -j cali-pri-kns.default`,
    `-A cali-tw-${DB} -m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 -j RETURN`,
    `-A cali-tw-${DB} -j cali-pri-ksa.default.default`,
    `-A cali-tw-${DB} -m comment --comment "Return if profile accepted" -m mark --mark 0x10000/0x10000 -j RETURN`,
    `-A cali-tw-${DB} -m comment --comment "Drop if no profiles matched" -j DROP`,
  ]);
});

t.test(
  "what its pods may not send: tunnel packets of their own, and what a policy of the cluster denies",
  async (t) => {
    const chain = rulesOf(`cali-fw-${DB}`, lines(example, "iptables-save")).map(plain);
    t.same(chain.slice(3, 8), [
      `-A cali-fw-${DB} -p udp -m comment --comment "Drop VXLAN encapped packets originating in workloads" ` +
        "-m multiport --dports 8472 -j DROP",
      `-A cali-fw-${DB} -p 4 -m comment --comment "Drop IPinIP encapped packets originating in workloads" -j DROP`,
      `-A cali-fw-${DB} -m comment --comment "Start of tier kube-admin" -j MARK --set-xmark 0x0/0x20000`,
      `-A cali-fw-${DB} -m mark --mark 0x0/0x20000 -j cali-po-kcnp/no-metadata`,
      `-A cali-fw-${DB} -m comment --comment "Return if policy accepted" -m mark --mark 0x10000/0x10000 -j RETURN`,
    ]);
    t.notOk(
      chain.some((line) => line.includes("End of tier")),
      "such a tier says nothing where no rule matches",
    );
    t.same(rulesOf("cali-po-kcnp/no-metadata", lines(example, "iptables-save")).map(plain), [
      '-A cali-po-kcnp/no-metadata -d 169.254.169.254/32 -m comment --comment "name=cloud-metadata" ' +
        '-m comment --comment "KubernetesClusterNetworkPolicy no-metadata egress" ' +
        "-j MARK --set-xmark 0x40000/0x40000",
      '-A cali-po-kcnp/no-metadata -m comment --comment "name=cloud-metadata" ' +
        "-m mark --mark 0x40000/0x40000 -j DROP",
    ]);
  },
);

t.test("the sets of the example, in both families", async (t) => {
  for (const [family, inet, backend, db, peer] of [
    [4, "inet", "10.244.2.20", "10.244.1.30", "192.168.50.12"],
    [6, "inet6", "fd00:10:244:2::20", "fd00:10:244:1::30", "fd00:50::12"],
  ] as const) {
    const head = "hashsize 1024 maxelem 1048576";
    t.same(lines(example, "ipset", family), [
      `create cali${family}0all-vxlan-net hash:net family ${inet} ${head}`,
      `add cali${family}0all-vxlan-net ${peer}`,
      `create cali${family}0n:P9d1HvGt-eX0bBSOutmm3XH hash:ip,port family ${inet} ${head}`,
      `add cali${family}0n:P9d1HvGt-eX0bBSOutmm3XH ${db},tcp:5432`,
      `create cali${family}0s:FjWXt9eYsqrc5adWRmKj01A hash:net family ${inet} ${head}`,
      `add cali${family}0s:FjWXt9eYsqrc5adWRmKj01A ${backend}`,
      "",
    ]);
  }
});

t.test("ports: several fit one rule, sixteen take two, numbers or names take a block", async (t) => {
  const tcp = (...ports: (number | string)[]): object => ({ ports: ports.map((port) => ({ port })) });
  const accept = "-j MARK --set-xmark 0x10000/0x10000";
  t.same(policyRules(networkPolicy("p", { ingress: [tcp(80, 443)] }), "i"), [
    `-p tcp -m multiport --dports 80,443 ${accept}`,
  ]);
  const range = {
    ports: [
      { port: 80, endPort: 90 },
      { port: 91 },
      { port: 85, endPort: 88 },
      { port: 53, protocol: "UDP" },
    ],
  };
  t.same(policyRules(networkPolicy("p", { ingress: [range] }), "i"), [
    `-p tcp -m multiport --dports 80:91 ${accept}`,
    "-m mark --mark 0x10000/0x10000 -j RETURN",
    `-p udp -m multiport --dports 53 ${accept}`,
  ]);
  const odd = Array.from({ length: 16 }, (_, i) => 1 + 2 * i);
  t.same(policyRules(networkPolicy("p", { ingress: [tcp(...odd)] }), "i"), [
    "-j MARK --set-xmark 0x0/0x180000",
    `-p tcp -m multiport --dports ${odd.slice(0, 15).join()} -j MARK --set-xmark 0x80000/0x80000`,
    "-p tcp -m multiport --dports 31 -j MARK --set-xmark 0x80000/0x80000",
    `-p tcp -m mark --mark 0x80000/0x80000 ${accept}`,
  ]);
  const named = policyRules(networkPolicy("p", { ingress: [tcp("sql", 80)] }), "i");
  t.match(named[1], /^-p tcp -m multiport --dports 80 -j MARK --set-xmark 0x80000/);
  t.match(named[2], /^-m set --match-set cali40n:\S+ dst,dst -j MARK --set-xmark 0x80000/);
});

t.test("addresses: a block, blocks, exceptions, and none of the other family", async (t) => {
  const from = (...blocks: object[]): object =>
    networkPolicy("p", { ingress: [{ from: blocks.map((ipBlock) => ({ ipBlock })) }] });
  const accept = "-j MARK --set-xmark 0x10000/0x10000";
  t.same(policyRules(from({ cidr: "10.0.0.0/8" }), "i"), [`-s 10.0.0.0/8 ${accept}`]);
  t.same(
    policyRules(from({ cidr: "10.0.0.0/8" }), "i", 6),
    [""],
    "the chain is there, and holds its name only",
  );
  t.same(policyRules(from({ cidr: "0.0.0.0/0" }), "i"), [accept]);
  const except = policyRules(from({ cidr: "10.0.0.0/8", except: ["10.1.0.0/16", "10.2.0.0/16"] }), "i");
  t.same(except, [
    "-j MARK --set-xmark 0x80000/0x180000",
    "-s 10.1.0.0/16 -j MARK --set-xmark 0x0/0x80000",
    "-s 10.2.0.0/16 -j MARK --set-xmark 0x0/0x80000",
    `-s 10.0.0.0/8 -m mark --mark 0x80000/0x80000 ${accept}`,
  ]);
  const networks = ["10.0.0.0/8", "172.16.0.0/12", "fd00::/8"];
  const out = clusterPolicy("c", {
    egress: [
      { action: "Pass", to: [{ networks }], protocols: [{ tcp: { destinationPort: { number: 80 } } }] },
    ],
  });
  t.same(policyRules(out, "o"), [
    "-j MARK --set-xmark 0x0/0x180000",
    "-d 10.0.0.0/8 -j MARK --set-xmark 0x80000/0x80000",
    "-d 172.16.0.0/12 -j MARK --set-xmark 0x80000/0x80000",
    "-p tcp -m multiport --dports 80 -m mark --mark 0x80000/0x80000 -j MARK --set-xmark 0x20000/0x20000",
  ]);
  t.same(policyRules(out, "o", 6), [
    "-d fd00::/8 -p tcp -m multiport --dports 80 -j MARK --set-xmark 0x20000/0x20000",
  ]);
});

t.test("nodes are their addresses; a selector that no node matches is nobody, not anybody", async (t) => {
  const to = (nodes: object): string[] =>
    policyRules(clusterPolicy("c", { egress: [{ action: "Accept", to: [{ nodes }] }] }), "o");
  t.same(to({}).slice(1, 3), [
    "-d 192.168.50.11/32 -j MARK --set-xmark 0x80000/0x80000",
    "-d 192.168.50.12/32 -j MARK --set-xmark 0x80000/0x80000",
  ]);
  t.same(to({ matchLabels: { none: "x" } }), [""]);
});

t.test(
  "policies that select the same pods share a chain, which looks at the verdict after every fifth",
  async (t) => {
    const all = lines(
      withPolicies(...Array.from({ length: 7 }, (_, i) => networkPolicy(`p${i}`, { ingress: [{}] }))),
      "iptables-save",
    );
    const group = all.filter((line) => line.startsWith("-A cali-gi-"));
    t.equal(group.length, 8);
    t.match(plain(group[0]), /^-A cali-gi-\S+ -j cali-pi-/);
    t.match(plain(group[1]), /-m mark --mark 0x0\/0x30000 -j cali-pi-/);
    t.match(plain(group[5]), /"Return on verdict" -m mark ! --mark 0x0\/0x30000 -j RETURN$/);
    t.match(plain(group[6]), /^-A cali-gi-\S+ -j cali-pi-/);
    t.ok(all.some((line) => line.startsWith(`-A cali-tw-${DB} `) && line.includes("-j cali-gi-")));
  },
);

t.test("a hundred pods are found by their interfaces' first letter", async (t) => {
  const pod = example.find(({ metadata }) => metadata.name === "db") as KubeObject;
  const pods = Array.from({ length: 100 }, (_, i) => ({
    ...pod,
    metadata: { ...pod.metadata, name: `p${i}` },
  }));
  const all = lines([...example, ...pods], "iptables-save");
  const root = rulesOf("cali-to-wl-dispatch", all).map(plain);
  t.equal(root.length, 17, "sixteen digits, and whoever is unknown");
  t.match(root[0], /^-A cali-to-wl-dispatch -o cali0\+ -g cali-to-wl-dispatch-0$/);
  t.match(root[16], /"Unknown interface" -j DROP$/);
  const child = rulesOf("cali-to-wl-dispatch-e", all).map(plain);
  t.ok(child.includes(`-A cali-to-wl-dispatch-e -o ${DB} -g cali-tw-${DB}`));
  t.match(child.at(-1), /"Unknown interface" -j DROP$/);
});

t.test(
  "chains stand in iptables-save's order, each one declared and each one that is named there",
  async (t) => {
    for (const family of [4, 6] as const) {
      const all = lines(example, "iptables-save", family);
      const declared = all.flatMap((line) => /^:(\S+)/.exec(line)?.[1] ?? []);
      t.same(declared.slice(3), [...declared.slice(3)].sort());
      const named = all.flatMap((line) => /-[jg] (cali-\S+)/.exec(line)?.[1] ?? []);
      t.same(
        [...new Set(named)].filter((chain) => !declared.includes(chain)),
        [],
      );
      const unused = declared.slice(3).filter((chain) => !named.includes(chain));
      t.same(unused, [], "Felix writes no chain that nothing leads to");
      t.equal(all[0], "*filter");
      t.same(all.slice(-2), ["COMMIT", ""]);
    }
    t.ok(
      lines(example, "iptables-save", 6).some(
        (line) => line.includes("-p ipv6-icmp") && line.includes("135"),
      ),
    );
  },
);
