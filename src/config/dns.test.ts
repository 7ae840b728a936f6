import t from "tap";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { dnsConfig, parseForward } from "./dns.ts";

const head = { apiVersion: "podwire.dev/v1alpha1", kind: "DNSConfiguration" };

function read(more: object) {
  const problems = new FieldProblems();
  const config = dnsConfig({ ...head, ...more }, problems);
  return { config, wrong: problems.list.map(({ message }) => message) };
}

t.test("what is left out", async (t) => {
  t.same(read({}).config, {
    ...{
      zone: "cluster.local",
      ttl: 5,
      forward: "host",
      stubDomains: [],
      hosts: [],
      autopath: false,
      log: false,
    },
    ...{ cache: { size: 10_000, maxTtl: 3600, maxNegativeTtl: 300 }, metrics: null, source: undefined },
    listen: [{ address: "127.0.0.1", port: 5300 }],
  });
});

t.test("a node-local cache in a cluster", async (t) => {
  const { config, wrong } = read({
    listen: ["169.254.20.10:53", "[fd00::a]:53"],
    source: { kubernetes: { kubeconfig: "/etc/kubeconfig" } },
    forward: ["10.96.0.10", "[fd00:10:96::a]:5353"],
    stubDomains: { "corp.example": ["192.0.2.53"] },
    hosts: [{ ip: "2001:DB8::1", hostnames: ["a.example"] }],
    cache: { maxTtl: 30 },
    metrics: "127.0.0.1:9153",
  });
  t.same(wrong, []);
  t.match(config, {
    listen: [
      { address: "169.254.20.10", port: 53 },
      { address: "fd00::a", port: 53 },
    ],
    forward: [
      { address: "10.96.0.10", port: 53 },
      { address: "fd00:10:96::a", port: 5353 },
    ],
    stubDomains: [{ domain: "corp.example", servers: [{ address: "192.0.2.53", port: 53 }] }],
    hosts: [{ ip: "2001:db8::1", hostnames: ["a.example"] }],
    cache: { size: 10_000, maxTtl: 30, maxNegativeTtl: 300 },
  });
  t.equal(read({ forward: "none" }).config?.forward, null);
});

const cases: readonly (readonly [more: object, want: RegExp])[] = [
  [{ zne: "x" }, /^unknown field "zne"$/],
  [{ zone: "Cluster.Local" }, /^zone: Invalid value: "Cluster.Local": a lowercase RFC 1123 subdomain/],
  [{ ttl: 4000 }, /^ttl: Invalid value: 4000: must be <= 3600/],
  [{ listen: [] }, /^listen: Required value/],
  [{ listen: ["localhost:53"] }, /^listen\[0\]: Invalid value: "localhost:53": must be IP or IP:port/],
  [{ forward: "example.com" }, /^forward: Invalid value: "example.com": must be host, none, or servers/],
  [{ forward: [] }, /^forward: Required value: a server, or none/],
  [{ forward: 53 }, /^forward: Invalid value: 53: must be a text or a list of texts/],
  [{ stubDomains: { "corp.example": [] } }, /^stubDomains.corp.example: Required value/],
  [{ stubDomains: { "corp.example": ["x"] } }, /^stubDomains.corp.example\[0\]: Invalid value: "x"/],
  [
    { hosts: [{ ip: "1.2.3", hostnames: ["a"] }] },
    /^hosts\[0\].ip: Invalid value: "1.2.3": must be a valid IP/,
  ],
  [{ hosts: [{ ip: "192.0.2.1", hostnames: [] }] }, /^hosts\[0\].hostnames: Required value/],
  [{ hosts: [{ ip: "192.0.2.1", hostnames: ["A_b"] }] }, /^hosts\[0\].hostnames\[0\]: Invalid value/],
  [{ metrics: "9153" }, /^metrics: Invalid value: "9153": must be IP:port/],
  [{ source: {} }, /^source: Invalid value: .* must have one of files and kubernetes$/],
  [{ cache: { size: -1 } }, /^cache.size: Invalid value: -1/],
];

for (const [more, want] of cases)
  t.test(JSON.stringify(more), async (t) => {
    const { config, wrong } = read(more);
    t.equal(config, undefined);
    t.match(wrong[0], want);
    t.equal(wrong.length, 1);
  });

t.test("servers of a command line", async (t) => {
  t.equal(parseForward("none"), null);
  t.equal(parseForward("host"), "host");
  t.same(parseForward("192.0.2.1:5353, ::1"), [
    { address: "192.0.2.1", port: 5353 },
    { address: "::1", port: 53 },
  ]);
  t.equal(parseForward("example.com"), undefined);
  t.equal(parseForward(""), undefined);
});
