// Addresses in forms that API servers 1.33 to 1.35 take with a warning and 1.36 refuses. The warnings are theirs, word for
// word (apimachinery, util/validation: GetWarningsForIP, GetWarningsForCIDR).
import t from "tap";
import { KUBERNETES_TYPES } from "../manifest/kubernetes-types.ts";
import { type Manifest, parseManifests } from "../manifest/manifest.ts";
import type { EndpointSlice, NetworkPolicy, Node, Pod, Service } from "../objects.ts";
import { ADDRESS_FIELDS } from "./addresses.ts";
import { FIELDS } from "./fields.ts";
import { servedTypes } from "./page.ts";
import { warningLines } from "./warnings.ts";

const read = (text: string): Manifest[] => parseManifests([{ file: "a.yaml", text }]);
const service = (spec: string): string =>
  `{ apiVersion: v1, kind: Service, metadata: { name: s }, spec: { ${spec}, ports: [{ port: 80 }] } }\n`;

t.test("leading zeros are decimal, and said", async (t) => {
  const manifests = read(service("clusterIP: 10.96.011.012"));
  const { spec } = manifests[0].object as Service;
  t.match(spec, { clusterIP: "10.96.11.12", clusterIPs: ["10.96.11.12"] });
  t.same(warningLines(manifests, "node"), [
    'warning: Service "s": spec.clusterIP: non-standard IP address "10.96.011.012" will be considered invalid in a future ' +
      'Kubernetes release: use "10.96.11.12"',
  ]);
});

t.test("a field that is written twice is said once", async (t) => {
  const manifests = read(service("clusterIP: 10.96.011.012, clusterIPs: [10.96.011.012]"));
  t.match(warningLines(manifests, "node"), [
    /^warning: Service "s": spec\.clusterIPs\[0\]: non-standard IP address/,
  ]);
});

const cases: [what: string, spec: string, want: Partial<Service["spec"]>, warnings: string[]][] = [
  [
    "IPv4 as IPv6",
    'externalIPs: ["::ffff:192.12.2.2"]',
    { externalIPs: ["192.12.2.2"] },
    [
      'spec.externalIPs[0]: non-standard IP address "::ffff:192.12.2.2" will be considered invalid in a future ' +
        'Kubernetes release: use "192.12.2.2"',
    ],
  ],
  [
    "IPv6 in another spelling",
    'externalIPs: ["2001:DB8:0:0::2"]',
    { externalIPs: ["2001:db8::2"] },
    [
      'spec.externalIPs[0]: IPv6 address "2001:DB8:0:0::2" should be in RFC 5952 canonical format ("2001:db8::2")',
    ],
  ],
  [
    "bits beyond the prefix",
    "type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.5/8]",
    { loadBalancerSourceRanges: ["10.0.0.0/8"] },
    [
      'spec.loadBalancerSourceRanges[0]: CIDR value "10.0.0.5/8" is ambiguous in this context ' +
        '(should be "10.0.0.0/8" or "10.0.0.5/32"?)',
    ],
  ],
  [
    "a prefix length with a zero",
    "type: LoadBalancer, loadBalancerSourceRanges: [192.12.2.0/024]",
    { loadBalancerSourceRanges: ["192.12.2.0/24"] },
    [
      'spec.loadBalancerSourceRanges[0]: non-standard CIDR value "192.12.2.0/024" will be considered invalid in a ' +
        'future Kubernetes release: use "192.12.2.0/24"',
    ],
  ],
  [
    "an IPv6 range in another spelling",
    'type: LoadBalancer, loadBalancerSourceRanges: ["2001:DB8::/64"]',
    { loadBalancerSourceRanges: ["2001:db8::/64"] },
    [
      'spec.loadBalancerSourceRanges[0]: IPv6 CIDR value "2001:DB8::/64" should be in RFC 5952 canonical format ' +
        '("2001:db8::/64")',
    ],
  ],
  ["space around a range", "type: LoadBalancer, loadBalancerSourceRanges: [' 10.0.0.0/8 ']", {}, []],
  [
    "what is standard",
    "type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8], externalIPs: [1.2.3.4]",
    {},
    [],
  ],
];
for (const [what, spec, want, warnings] of cases) {
  t.test(what, async (t) => {
    const manifests = read(service(spec));
    t.match((manifests[0].object as Service).spec, want);
    t.same(
      manifests[0].notes.map((note) => `${note.field}: ${note.text}`),
      warnings,
    );
  });
}

t.test("every kind's addresses are read the same way", async (t) => {
  const [pod, node, slice, policy] = read(`
{ apiVersion: v1, kind: Pod, metadata: { name: p }, spec: { containers: [{ name: c, image: i }],
  hostAliases: [{ ip: 010.1.1.1, hostnames: [a] }] }, status: { podIP: 010.244.1.5 } }
---
{ apiVersion: v1, kind: Node, metadata: { name: n1 }, spec: { podCIDR: 10.244.1.7/24 },
  status: { addresses: [{ type: InternalIP, address: 192.168.050.011 }, { type: Hostname, address: n1 }] } }
---
{ apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: { name: s }, addressType: IPv4,
  endpoints: [{ addresses: [10.244.01.5] }, { addresses: ["::ffff:10.244.1.6"] }] }
---
{ apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: x }, spec: { podSelector: {},
  ingress: [{ from: [{ ipBlock: { cidr: 10.0.0.5/8, except: [10.01.0.0/16] } }] }] } }
`).map(({ object }) => object) as [Pod, Node, EndpointSlice, NetworkPolicy];
  t.same(pod.status.podIPs, [{ ip: "10.244.1.5" }]);
  t.equal(pod.spec.hostAliases?.[0].ip, "10.1.1.1");
  t.same(node.spec.podCIDRs, ["10.244.1.0/24"]);
  t.equal(node.status.addresses?.[0].address, "192.168.50.11");
  t.same(
    slice.endpoints.map((e) => e.addresses[0]),
    ["10.244.1.5", "10.244.1.6"],
  );
  t.same(policy.spec.ingress?.[0].from?.[0].ipBlock, { cidr: "10.0.0.0/8", except: ["10.1.0.0/16"] });
});

t.test("blanks around an address are a mistake, but for source ranges", async (t) => {
  const policy = (cidr: string): string =>
    "{ apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: p }, spec: { podSelector: {}, " +
    `egress: [{ to: [{ ipBlock: { cidr: ${JSON.stringify(cidr)} } }] }] } }\n`;
  const node = (cidr: string): string =>
    `{ apiVersion: v1, kind: Node, metadata: { name: node1 }, spec: { podCIDRs: [${JSON.stringify(cidr)}] } }\n`;
  for (const cidr of [" 10.0.0.0/8", "10.0.0.0/8 ", "10.0.0.0/8\t", "10.0.0.0/ 8"]) {
    t.throws(
      () => read(policy(cidr)),
      { message: /ipBlock\.cidr: Invalid value: .* must be a valid CIDR value/ },
      cidr,
    );
    t.throws(() => read(node(cidr)), { message: /podCIDRs\[0\]: Invalid value/ }, cidr);
  }
  const padded = 'type: LoadBalancer, loadBalancerSourceRanges: [" 10.0.0.0/8 "]';
  t.match(read(service(padded))[0].object, { spec: { loadBalancerSourceRanges: ["10.0.0.0/8"] } });
});

t.test("many objects with such addresses make one line a field", async (t) => {
  const text = [1, 2, 3]
    .map((n) => service(`clusterIP: 10.96.011.01${n}`).replace("name: s", `name: s${n}`))
    .join("---\n");
  t.match(warningLines(read(text), "node"), [
    /^warning: Service "s1" and 2 more: spec\.clusterIP: .*"10\.96\.011\.011"/,
  ]);
});

t.test("each range that may mean two things is told: it decides who is let in", async (t) => {
  const block = (cidr: string): string => `{ ipBlock: { cidr: ${cidr} } }`;
  const text = `{ apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: { name: p }, spec: { podSelector: {}, ingress: [{
    from: [${["10.0.0.5/8", "10.0.0.5/8", "010.0.0.0/8", "192.0.2.1/24"].map(block).join()}] }] } }`;
  const told = warningLines(read(text), "node").map((line) =>
    line.replace(/^.*ipBlock\.cidr: |( in|will).*$/g, ""),
  );
  t.same(told, [
    'CIDR value "10.0.0.5/8" is ambiguous',
    'non-standard CIDR value "010.0.0.0/8" ',
    'CIDR value "192.0.2.1/24" is ambiguous',
  ]);
});

t.test("a ServiceCIDR is younger: it takes the standard form alone", async (t) => {
  const refusals: [cidr: string, why: RegExp][] = [
    ["10.96.0.5/12", /"10\.96\.0\.5\/12": must not have bits set beyond the prefix length/],
    ["010.96.0.0/12", /must not have leading 0s in IP or prefix length/],
    ["::ffff:10.96.0.0/108", /must not have an IPv4-mapped IPv6 address/],
    ["FD00::/112", /must be in canonical form \("fd00::\/112"\)/],
    ["10.96.0.0", /must be a valid CIDR value/],
  ];
  for (const [cidr, message] of refusals) {
    const text = `{ apiVersion: networking.k8s.io/v1, kind: ServiceCIDR, metadata: { name: c }, spec: { cidrs: ["${cidr}"] } }`;
    t.throws(() => read(text), { message }, cidr);
  }
});

t.test("every text of a served type that is an address is in the list of them", async (t) => {
  const listed = new Set(
    Object.entries(ADDRESS_FIELDS).flatMap(([kind, list]) => list.map((f) => `${kind}.${f.path}`)),
  );
  for (const [type, path] of servedTypes()) {
    for (const [field, form] of KUBERNETES_TYPES.get(type) ?? []) {
      if (!/^(?:ip|.*IPs?|.*CIDRs?|cidr|addresses|address|nameservers)$/.test(field)) continue;
      if (!/^\[?s\]?$/.test(form) || FIELDS.get(type)?.get(field)?.class === "kept") continue;
      const full = `${path === "" ? type : path}.${field}${form === "[s]" ? "[*]" : ""}`;
      t.ok(listed.has(full), `${full} is brought to its standard form`);
    }
  }
});
