// What a pool of load balancers may be, and how what it may not be is told: field, value, why.
import t from "tap";
import { formatSpan } from "../base/address-span.ts";
import { cidr } from "../base/ip.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { ManifestError, parseManifests } from "../kube/manifest/manifest.ts";
import { checkConfiguration } from "./check.ts";
import { readPool } from "./load-balancer.ts";

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

const pool = (value: string) => `loadBalancer: { pool: ${value} }`;
const NET = "the node network 192.168.50.0/24";
const at = "spec.loadBalancer.pool";
const TEXT = "must be a CIDR such as 192.168.50.240/28 or a range such as 192.168.50.240-192.168.50.250";

t.test("pools that are right", async (t) => {
  for (const spec of [
    pool("192.168.50.240/28"),
    pool("192.168.50.240-192.168.50.250"),
    pool('"192.168.50.240/28, 192.168.50.200-192.168.50.201"'),
    pool("[ 192.168.50.240/28, 192.168.50.200-192.168.50.201 ]"),
    `clusterCIDR: "10.244.0.0/16,fd00:10:244::/56", ${pool('[ 192.168.50.240/28, "fd00:192:168:50::f0/124" ]')}`,
    `clusterCIDR: "fd00:10:244::/56,10.244.0.0/16", ${pool('"fd00:192:168:50:1::/124"')}`,
    `nodes: [ { name: a, address: 10.1.2.3 } ], ${pool("10.1.2.128/25")}`,
    `proxy: { mode: ipvs, ipvs: { strictARP: true } }, ${pool("192.168.50.240/28")}`,
  ])
    t.same(problemsOf(spec), [], spec);
});

t.test("pools that are refused", async (t) => {
  const cases: [spec: string, ...want: string[]][] = [
    ["loadBalancer: {}", `${at}: Required value`],
    [pool("7"), `${at}: Invalid value: 7: must be a text or a list of texts`],
    [pool("[]"), `${at}: Required value: ${TEXT}`],
    [pool("192.168.50.240"), `${at}: Invalid value: "192.168.50.240": ${TEXT}`],
    [pool("192.168.50.241/28"), `${at}: Invalid value: "192.168.50.241/28": ${TEXT}`],
    [
      pool("10.0.0.0/28"),
      `${at}: Invalid value: "10.0.0.0/28": is not within ${NET}: nobody would ask for it there`,
    ],
    [
      pool("192.168.50.250-192.168.51.3"),
      `${at}: Invalid value: "192.168.50.250-192.168.51.3": is not within ${NET}: nobody would ask for it there`,
    ],
    [
      pool('"fd00:192:168:50::f0/124"'),
      `${at}: Invalid value: "fd00:192:168:50::f0/124": spec.clusterCIDR has no IPv6 range: nobody could answer`,
    ],
    [
      pool("[ 192.168.50.240/28, 192.168.50.250-192.168.50.251 ]"),
      `${at}[1]: Invalid value: "192.168.50.250-192.168.50.251": overlaps what is named before it`,
    ],
    [pool("192.168.50.255/32"), `${at}: Invalid value: "192.168.50.255/32": is an address of ${NET} itself`],
    [
      `nodes: [ { name: a, agent: kernel } ], ${pool("192.168.50.240/28")}`,
      "spec.loadBalancer: Invalid value: no node announces it: `agent: kernel` nodes do not",
    ],
    [
      `proxy: { mode: ipvs }, ${pool("192.168.50.240/28")}`,
      "spec.proxy.ipvs.strictARP: Invalid value: false: must be true with spec.loadBalancer: " +
        "else each node answers for each of its addresses",
    ],
    [`loadBalancer: { pool: 192.168.50.240/28, bgp: {} }`, 'unknown field "spec.loadBalancer.bgp"'],
  ];
  for (const [spec, ...want] of cases) t.same(problemsOf(spec), want, spec);
});

t.test("the node network's own addresses are left out", async (t) => {
  const problems = new FieldProblems();
  const fabric = [cidr("192.168.50.0/24"), cidr("fd00::/64")];
  const spans = readPool({ pool: ["192.168.50.0/30", "192.168.50.240/28", "fd00::/126"] }, fabric, problems);
  t.same(spans.map(formatSpan), [
    "192.168.50.1-192.168.50.3",
    "192.168.50.240-192.168.50.254",
    "fd00::1-fd00::3",
  ]);
  t.same(problems.list, []);
});
