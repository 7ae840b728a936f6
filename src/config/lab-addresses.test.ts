// A lab whose addresses cannot work is refused before anything is made, with the field that is wrong.
import t from "tap";
import { ManifestError, parseManifests } from "../kube/manifest/manifest.ts";
import { checkConfiguration } from "./check.ts";

/** What is wrong with a Lab whose spec is this: "field: Invalid value: …", without the position. */
function problemsOf(spec: string): string[] {
  const text = `apiVersion: podwire.dev/v1alpha1\nkind: Lab\nmetadata: { name: x }\nspec: { ${spec} }\n`;
  try {
    parseManifests([{ file: "lab.yaml", text }], { configuration: checkConfiguration });
    return [];
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    return error.problems.map((problem) => problem.message);
  }
}

const at = (address: string): string => `nodes: [{ name: a, address: "${address}" }, { name: b }]`;
const range = (podCIDR: string): string => `nodes: [{ name: a, podCIDR: "${podCIDR}" }, { name: b }]`;
const DUAL = 'clusterCIDR: "10.244.0.0/16,fd00:10:244::/56"';
const NET = "the node network 192.168.50.0/24 (around spec.nodes[0].address)";

const addresses: [spec: string, want: string][] = [
  [at("192.168.50.255"), `is the broadcast address of ${NET}`],
  [at("192.168.50.0"), `is the address of ${NET} itself`],
  [at("224.0.0.5"), "is a multicast address (224.0.0.0/4)"],
  [at("239.255.255.250"), "is a multicast address (224.0.0.0/4)"],
  [at("127.0.0.1"), "is a loopback address (127.0.0.0/8)"],
  [at("0.0.0.0"), "is in 0.0.0.0/8, which is nobody's address"],
  [at("0.1.2.3"), "is in 0.0.0.0/8, which is nobody's address"],
  [at("255.255.255.255"), "is in 240.0.0.0/4, which nobody can use; its last is the broadcast address"],
  [at("169.254.7.7"), "is a link-local address (169.254.0.0/16)"],
  [at("10.244.3.3"), "is in spec.clusterCIDR 10.244.0.0/16"],
  [at("10.96.3.3"), "is in spec.serviceCIDR 10.96.0.0/12"],
  [at("192.168.050.011"), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"],
  [at("::ffff:192.168.50.11"), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"],
  [at("192.168.50.11/24"), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"],
  [at("node-a"), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"],
  [at("fd00:192:168:50::11"), "must be an IPv4 address: spec.clusterCIDR has no IPv6 range"],
  [`${DUAL}, ${at("::")}`, "is in ::/96, which is nobody's address"],
  [`${DUAL}, ${at("::1")}`, "is the loopback address"],
  [`${DUAL}, ${at("::5")}`, "is in ::/96, which is nobody's address"],
  [`${DUAL}, ${at("ff02::1")}`, "is a multicast address (ff00::/8)"],
  [`${DUAL}, ${at("fe80::11")}`, "is a link-local address (fe80::/10)"],
  [`${DUAL}, ${at("fd00:10:244:7::3")}`, "is in spec.clusterCIDR fd00:10:244::/56"],
  [`${DUAL}, ${at("fd00:10:96::3")}`, "is in spec.serviceCIDR fd00:10:96::/112"],
  [
    `${DUAL}, ${at("fd00:192:168:50::")}`,
    "is the address of the node network fd00:192:168:50::/64 (around spec.nodes[0].address) itself",
  ],
  [
    'clusterCIDR: "fd00:10:244::/56", nodes: [{ name: a, address: 192.168.50.11 }]',
    "must be an IPv6 address: spec.clusterCIDR has no IPv4 range",
  ],
];
t.test("a node's address that cannot be one is refused", async (t) => {
  for (const [spec, want] of addresses) {
    const text = /address: "?([^" }]+)/.exec(spec)?.[1];
    t.same(problemsOf(spec), [`spec.nodes[0].address: Invalid value: "${text}": ${want}`], spec);
  }
});

t.test("clients' addresses are checked like nodes', and with them", async (t) => {
  t.same(problemsOf("nodes: [{ name: a, address: 10.1.0.1 }], clients: [{ name: c, address: 10.1.0.255 }]"), [
    'spec.clients[0].address: Invalid value: "10.1.0.255": is the broadcast address of the node network ' +
      "10.1.0.0/24 (around spec.nodes[0].address)",
  ]);
  t.same(problemsOf("nodes: [{ name: a, address: 10.1.0.1 }], clients: [{ name: c, address: 10.1.0.1 }]"), [
    'spec.clients[0].address: Duplicate value: "10.1.0.1"',
  ]);
  t.same(problemsOf("nodes: [{ name: a, address: 10.1.0.1 }, { name: b, address: 10.2.0.1 }]"), [
    'spec.nodes[1].address: Invalid value: "10.2.0.1": is not in the node network 10.1.0.0/24 (around ' +
      "spec.nodes[0].address)",
  ]);
  t.same(problemsOf(`${DUAL}, nodes: [{ name: a, address: "fd00::5" }, { name: b, address: "FD00:0::5" }]`), [
    'spec.nodes[1].address: Duplicate value: "FD00:0::5"',
  ]);
});

const ranges: [spec: string, want: string][] = [
  [range("10.244.1.0/33"), "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"],
  [range("10.244.1.5/24"), "must not have bits set beyond the prefix length"],
  [range("10.244.01.0/24"), "must not have leading 0s in IP or prefix length"],
  [range("10.244.1.0/31"), "has no room for a pod: use a /30 or larger"],
  [range("10.245.1.0/24"), "must be within spec.clusterCIDR 10.244.0.0/16"],
  [range("10.0.0.0/8"), "overlaps spec.serviceCIDR 10.96.0.0/12"],
  [range("10.97.0.0/24"), "overlaps spec.serviceCIDR 10.96.0.0/12"],
  [range("192.168.50.0/25"), "overlaps the node network 192.168.50.0/24"],
  [range("224.1.0.0/24"), "overlaps 224.0.0.0/3, whose addresses nobody can have"],
  [range("fd00:10:244:1::/64"), "must be within spec.clusterCIDR 10.244.0.0/16"],
];
t.test("a node's pod range that cannot be one is refused", async (t) => {
  for (const [spec, want] of ranges) {
    const text = /podCIDR: "([^"]+)/.exec(spec)?.[1];
    t.same(problemsOf(spec), [`spec.nodes[0].podCIDR: Invalid value: "${text}": ${want}`], spec);
  }
  const twins = "nodes: [{ name: a, podCIDR: 10.244.0.0/23 }, { name: b, podCIDR: 10.244.1.0/24 }]";
  t.same(problemsOf(twins), [
    'spec.nodes[1].podCIDR: Invalid value: "10.244.1.0/24": overlaps 10.244.0.0/23 of another node',
  ]);
});

const wide: [spec: string, want: RegExp][] = [
  ["clusterCIDR: 10.244.0.5/16", /^spec\.clusterCIDR: .*must not have bits set beyond the prefix length$/],
  ["clusterCIDR: 10.244.0.0", /^spec\.clusterCIDR: .*must be a valid CIDR value/],
  [
    "clusterCIDR: 0.0.0.0/0",
    /^spec\.clusterCIDR: .*overlaps 0\.0\.0\.0\/8, whose addresses nobody can have$/,
  ],
  ["clusterCIDR: 127.0.0.0/16", /^spec\.clusterCIDR: .*overlaps 127\.0\.0\.0\/8/],
  ["clusterCIDR: 224.0.0.0/16", /^spec\.clusterCIDR: .*overlaps 224\.0\.0\.0\/3/],
  ['clusterCIDR: "fe80::/56"', /^spec\.clusterCIDR: .*overlaps fe80::\/10/],
  [
    'clusterCIDR: "10.1.0.0/16,10.2.0.0/16"',
    /^spec\.clusterCIDR: .*no more than one CIDR for each IP family$/,
  ],
  [
    "clusterCIDR: 192.168.0.0/16",
    /^spec\.clusterCIDR: .*overlaps the node network 192\.168\.50\.0\/24: give nodes an address elsewhere$/,
  ],
  ["serviceCIDR: 192.168.50.0/24", /^spec\.serviceCIDR: .*overlaps the node network/],
  ["serviceCIDR: 10.244.7.0/24", /^spec\.serviceCIDR: .*must not overlap spec\.clusterCIDR$/],
  ["serviceCIDR: 10.96.0.0/29", /^spec\.serviceCIDR: .*must be a \/28 or larger$/],
  [
    'serviceCIDR: "10.96.0.0/12,fd00:10:96::/112"',
    /^spec\.serviceCIDR: .*spec\.clusterCIDR has no IPv6 range: pods could not answer$/,
  ],
  [
    `${DUAL}, serviceCIDR: "fd00:10:96::/112"`,
    /must have a range of IPv4, the first family of spec\.clusterCIDR$/,
  ],
  [
    "overlay: { type: none, vni: 7 }",
    /^spec\.overlay\.vni: Forbidden: may only be used when `type` is 'vxlan'$/,
  ],
  [
    "overlay: { type: none }, dataplane: { keepClientAddress: true }",
    /^spec\.dataplane\.keepClientAddress: Forbidden: may only be used when `overlay\.type` is 'vxlan'$/,
  ],
  [
    "proxy: { mode: userspace }, dataplane: { workers: 2 }",
    /^spec\.dataplane\.workers: Forbidden: may only be 1 when the mode of `proxy` is 'userspace'$/,
  ],
  [
    "nodes: [{ name: a }, { name: b, uplink: { driver: pcap } }], dataplane: { workers: 2 }",
    /^spec\.dataplane\.workers: Forbidden: may only be 1 when `uplink\.driver` is 'pcap'$/,
  ],
  [
    "dataplane: { workers: many }",
    /^spec\.dataplane\.workers: Invalid value: "many": must be a whole number/,
  ],
  ["overlay: { type: vxlan, vni: 16777216 }", /^spec\.overlay\.vni: .*must be <= 16777215$/],
  [
    "overlay: { type: vxlan, sourcePortRange: 1-2, sourcePorts: 3 }",
    /^spec\.overlay\.sourcePorts: Invalid value: 3: must be at most 2, the ports of sourcePortRange$/,
  ],
  ["overlay: { type: vxlan, port: 0 }", /^spec\.overlay\.port: .*must be >= 1$/],
  ["nodes: [{ name: Node }]", /^spec\.nodes\[0\]\.name: .*lowercase RFC 1123 subdomain/],
  ["nodes: [{ name: a }, { name: a }]", /^spec\.nodes\[1\]\.name: Duplicate value: "a"$/],
  ["nodes: [{ name: a, labels: { 'a b': c } }]", /^spec\.nodes\[0\]\.labels: .*"a b"/],
  ["nodes: [{ name: a, labels: { a: 'b c' } }]", /^spec\.nodes\[0\]\.labels: .*"b c"/],
  [
    "nodes: [{ name: a, agent: kernel, uplink: { driver: pcap } }]",
    /^spec\.nodes\[0\]\.uplink: Forbidden: may not be used when `agent` is 'kernel'$/,
  ],
  ["nodes: []", /^spec\.nodes: Required value: a lab has one node or more$/],
];
t.test("ranges, numbers and names that cannot be are refused, each with one line", async (t) => {
  for (const [spec, want] of wide) {
    const found = problemsOf(spec);
    t.equal(found.length, 1, `${spec}: ${found.join("\n")}`);
    t.match(found[0], want, spec);
  }
});

t.test("what can be is taken", async (t) => {
  const good = [
    "",
    "overlay: { type: none }, dataplane: { keepClientAddress: false }",
    "dataplane: { workers: 4 }",
    "dataplane: { workers: auto }, proxy: { mode: userspace }",
    "nodes: [{ name: a, address: 192.168.50.1 }, { name: b, address: 192.168.50.254 }]",
    "clusterCIDR: 192.168.0.0/16, nodes: [{ name: a, address: 172.20.0.11 }]",
    `${DUAL}, nodes: [{ name: a, address: 172.20.0.11 }, { name: b, address: "fd00:7::11" }]`,
    `${DUAL}, serviceCIDR: 10.96.0.0/16`,
    'clusterCIDR: "fd00:10:244::/56", nodes: [{ name: a, address: "fd00:7::11" }]',
    "clusterCIDR: 10.0.0.0/8, serviceCIDR: 172.30.0.0/16, nodes: [{ name: a, address: 192.168.0.2, podCIDR: 10.0.0.0/24 }]",
  ];
  for (const spec of good) t.same(problemsOf(spec), [], spec);
});

t.test("a problem is told with its place in the file", async (t) => {
  const text =
    "apiVersion: podwire.dev/v1alpha1\nkind: Lab\nspec:\n  nodes:\n    - { name: a, address: 192.168.50.255 }\n";
  t.throws(() => parseManifests([{ file: "lab.yaml", text }], { configuration: checkConfiguration }), {
    message: `lab.yaml:5:27: document 1: Lab: spec.nodes[0].address: Invalid value: "192.168.50.255": is the broadcast address of ${NET}`,
  });
});

t.test("nothing is known of a Lab's metadata but its name", async (t) => {
  const text = "apiVersion: podwire.dev/v1alpha1\nkind: Lab\nmetadata: { name: a, labels: { a: b } }\n";
  t.throws(() => parseManifests([{ file: "lab.yaml", text }], { configuration: checkConfiguration }), {
    message: /unknown field "metadata\.labels"/,
  });
});
