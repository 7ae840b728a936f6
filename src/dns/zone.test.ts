import fc from "fast-check";
import t from "tap";
import type { KubeObject } from "../kube/objects.ts";
import { CLUSTER, namespaceObject, pod, service, slice } from "../testing/dns/dns-objects.ts";
import { queryBytes, textOf } from "../testing/dns/dns-text.ts";
import { Hosts } from "./hosts.ts";
import { LocalAnswers } from "./local-answers.ts";
import { MESSAGE_MAX, type Query, readQuery } from "./query.ts";
import { Zone } from "./zone.ts";
import { ZoneObjects } from "./zone-objects.ts";

const ZONE = "cluster.local";
const SOA = `authority ${ZONE} 5 SOA ns.dns.${ZONE} hostmaster.${ZONE} 5`;

class World {
  readonly objects = new ZoneObjects();
  readonly zone = new Zone(this.objects, { zone: ZONE, ttl: 5 });
  readonly local: LocalAnswers;
  isSynced = true;

  constructor(objects: readonly KubeObject[], passesReverse = false) {
    this.add(...objects);
    this.local = new LocalAnswers({
      hosts: new Hosts([{ ip: "192.0.2.7", hostnames: ["seven.example", "also.example"] }], 60),
      zone: this.zone,
      objects: this.objects,
      isSynced: () => this.isSynced,
      passesReverse,
    });
  }

  add(...objects: KubeObject[]): void {
    this.objects.apply(objects.map((object) => ({ type: "MODIFIED", object })));
  }

  gone(object: KubeObject): void {
    this.objects.apply([{ type: "DELETED", object }]);
  }

  /** Undefined: others are asked. Records are sorted: their order turns. */
  ask(name: string, type: string): string[] | undefined {
    const bytes = queryBytes(name, type);
    const query = readQuery(bytes) as Query;
    const local = this.local.find(query);
    if (local === undefined) return undefined;
    const [head, ...records] = textOf(this.local.tell(local, bytes, query, MESSAGE_MAX, false));
    return [head, ...records.sort()];
  }
}

const world = new World(CLUSTER);

/**
 * Question → code and records. Those with a section of the specification are its examples, with our TTL, weights and
 * all.
 */
const cases: readonly (readonly [section: string, name: string, type: string, ...want: string[]])[] = [
  ["2.2", "dns-version.cluster.local", "TXT", "NOERROR aa", 'dns-version.cluster.local 28800 TXT "1.1.0"'],
  [
    "2.3.1",
    "kubernetes.default.svc.cluster.local",
    "A",
    "NOERROR aa",
    "kubernetes.default.svc.cluster.local 5 A 10.3.0.1",
  ],
  [
    "2.3.1",
    "kubernetes.default.svc.cluster.local",
    "AAAA",
    "NOERROR aa",
    "kubernetes.default.svc.cluster.local 5 AAAA 2001:db8::1",
  ],
  [
    ...(["2.3.2", "_https._tcp.kubernetes.default.svc.cluster.local", "SRV", "NOERROR aa"] as const),
    "_https._tcp.kubernetes.default.svc.cluster.local 5 SRV 0 50 443 kubernetes.default.svc.cluster.local",
    "additional kubernetes.default.svc.cluster.local 5 A 10.3.0.1",
    "additional kubernetes.default.svc.cluster.local 5 AAAA 2001:db8::1",
  ],
  ["2.3.2 unnamed ports have none", "_._tcp.plain.default.svc.cluster.local", "SRV", "NXDOMAIN aa", SOA],
  [
    "2.3.3",
    "1.0.3.10.in-addr.arpa",
    "PTR",
    "NOERROR aa",
    "1.0.3.10.in-addr.arpa 5 PTR kubernetes.default.svc.cluster.local",
  ],
  [
    ...([
      "2.3.3",
      "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
      "PTR",
      "NOERROR aa",
    ] as const),
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa 5 PTR kubernetes.default.svc.cluster.local",
  ],
  [
    ...(["2.4.1", "headless.default.svc.cluster.local", "A", "NOERROR aa"] as const),
    ...["10.3.0.100", "10.3.0.101", "10.3.0.102"].map((ip) => `headless.default.svc.cluster.local 5 A ${ip}`),
  ],
  [
    "2.4.1",
    "my-pet.headless.default.svc.cluster.local",
    "A",
    "NOERROR aa",
    "my-pet.headless.default.svc.cluster.local 5 A 10.3.0.100",
  ],
  [
    "2.4.1",
    "headless.default.svc.cluster.local",
    "AAAA",
    "NOERROR aa",
    "headless.default.svc.cluster.local 5 AAAA 2001:db8::64",
  ],
  [
    "2.4.1",
    "my-pet.headless.default.svc.cluster.local",
    "AAAA",
    "NOERROR aa",
    "my-pet.headless.default.svc.cluster.local 5 AAAA 2001:db8::64",
  ],
  ["2.4.1 no ready endpoints", "nobody.default.svc.cluster.local", "A", "NXDOMAIN aa", SOA],
  ["2.4.1 not ready", "sick.headless.default.svc.cluster.local", "A", "NXDOMAIN aa", SOA],
  [
    "2.4.1 by its address",
    "10-3-0-102.headless.default.svc.cluster.local",
    "A",
    "NOERROR aa",
    "10-3-0-102.headless.default.svc.cluster.local 5 A 10.3.0.102",
  ],
  [
    ...(["2.4.2", "_https._tcp.headless.default.svc.cluster.local", "SRV", "NOERROR aa"] as const),
    ...["10-3-0-102", "my-pet", "my-pet-2"].map(
      (name) =>
        `_https._tcp.headless.default.svc.cluster.local 5 SRV 0 25 443 ${name}.headless.default.svc.cluster.local`,
    ),
    "additional 10-3-0-102.headless.default.svc.cluster.local 5 A 10.3.0.102",
    "additional my-pet-2.headless.default.svc.cluster.local 5 A 10.3.0.101",
    "additional my-pet.headless.default.svc.cluster.local 5 A 10.3.0.100",
    "additional my-pet.headless.default.svc.cluster.local 5 AAAA 2001:db8::64",
  ],
  [
    "2.4.3",
    "100.0.3.10.in-addr.arpa",
    "PTR",
    "NOERROR aa",
    "100.0.3.10.in-addr.arpa 5 PTR my-pet.headless.default.svc.cluster.local",
  ],
  [
    "2.4.3 identifier",
    "102.0.3.10.in-addr.arpa",
    "PTR",
    "NOERROR aa",
    "102.0.3.10.in-addr.arpa 5 PTR 10-3-0-102.headless.default.svc.cluster.local",
  ],
  [
    "2.5 leads on",
    "foo.default.svc.cluster.local",
    "CNAME",
    "NOERROR aa",
    "foo.default.svc.cluster.local 5 CNAME www.example.com",
  ],
  [
    ...(["2.5 in the zone", "inside.default.svc.cluster.local", "A", "NOERROR aa"] as const),
    "inside.default.svc.cluster.local 5 CNAME kubernetes.default.svc.cluster.local",
    "kubernetes.default.svc.cluster.local 5 A 10.3.0.1",
  ],
  [
    ...(["2.5 to nobody", "lost.default.svc.cluster.local", "A", "NXDOMAIN aa"] as const),
    SOA,
    "lost.default.svc.cluster.local 5 CNAME none.default.svc.cluster.local",
  ],
  ["2.5 goes round", "round.default.svc.cluster.local", "A", "SERVFAIL aa"],
  ["2.5 no name", "number.default.svc.cluster.local", "A", "NXDOMAIN aa", SOA],
  [
    "1 any case",
    "KUBERNETES.Default.svc.Cluster.LOCAL",
    "A",
    "NOERROR aa",
    "KUBERNETES.Default.svc.Cluster.LOCAL 5 A 10.3.0.1",
  ],
  [
    "publishNotReadyAddresses",
    "late.eager.default.svc.cluster.local",
    "A",
    "NOERROR aa",
    "late.eager.default.svc.cluster.local 5 A 10.3.0.120",
  ],
  [
    "without ports",
    "a.portless.default.svc.cluster.local",
    "A",
    "NOERROR aa",
    "a.portless.default.svc.cluster.local 5 A 10.3.0.110",
  ],
  ["no port, no SRV", "portless.default.svc.cluster.local", "SRV", "NOERROR aa", SOA],
  ["waits for its address", "waiting.default.svc.cluster.local", "A", "NOERROR aa", SOA],
  ["another family", "six.default.svc.cluster.local", "A", "NOERROR aa", SOA],
  ["another type", "kubernetes.default.svc.cluster.local", "MX", "NOERROR aa", SOA],
  ["another port", "_http._tcp.kubernetes.default.svc.cluster.local", "SRV", "NXDOMAIN aa", SOA],
  ["another protocol", "_https._udp.kubernetes.default.svc.cluster.local", "SRV", "NXDOMAIN aa", SOA],
  ["above ports", "_tcp.kubernetes.default.svc.cluster.local", "SRV", "NOERROR aa", SOA],
  ["above no ports", "_tcp.plain.default.svc.cluster.local", "SRV", "NXDOMAIN aa", SOA],
  [
    ...(["two of a name", "_dns._udp.many.default.svc.cluster.local", "SRV", "NOERROR aa"] as const),
    "_dns._udp.many.default.svc.cluster.local 5 SRV 0 100 53 many.default.svc.cluster.local",
    "additional many.default.svc.cluster.local 5 A 10.3.0.3",
  ],
  ["no Service", "none.default.svc.cluster.local", "A", "NXDOMAIN aa", SOA],
  ["an empty namespace", "empty.svc.cluster.local", "A", "NOERROR aa", SOA],
  ["no namespace", "none.svc.cluster.local", "A", "NXDOMAIN aa", SOA],
  ["branches", "svc.cluster.local", "A", "NOERROR aa", SOA],
  ["branches", "pod.cluster.local", "A", "NOERROR aa", SOA],
  ["no branch", "none.cluster.local", "A", "NXDOMAIN aa", SOA],
  ["too deep", "a.b.c.d.default.svc.cluster.local", "A", "NXDOMAIN aa", SOA],
  [
    "a pod",
    "10-244-1-2.default.pod.cluster.local",
    "A",
    "NOERROR aa",
    "10-244-1-2.default.pod.cluster.local 5 A 10.244.1.2",
  ],
  [
    "a pod",
    "fd00-10-244-1--2.default.pod.cluster.local",
    "AAAA",
    "NOERROR aa",
    "fd00-10-244-1--2.default.pod.cluster.local 5 AAAA fd00:10:244:1::2",
  ],
  ["a pod, another family", "10-244-1-2.default.pod.cluster.local", "AAAA", "NOERROR aa", SOA],
  ["a pod of another namespace", "10-244-1-2.kube-system.pod.cluster.local", "A", "NXDOMAIN aa", SOA],
  ["a pod that has ended", "10-244-1-3.default.pod.cluster.local", "A", "NXDOMAIN aa", SOA],
  ["no pod", "10-244-1-9.default.pod.cluster.local", "A", "NXDOMAIN aa", SOA],
  ["no address", "web.default.pod.cluster.local", "A", "NXDOMAIN aa", SOA],
  [
    "who begins the zone",
    "cluster.local",
    "SOA",
    "NOERROR aa",
    `cluster.local 5 SOA ns.dns.${ZONE} hostmaster.${ZONE} 5`,
  ],
  [
    "who serves it",
    "cluster.local",
    "NS",
    "NOERROR aa",
    "additional ns.dns.cluster.local 5 A 10.3.0.10",
    "cluster.local 5 NS ns.dns.cluster.local",
  ],
  ["who serves it", "ns.dns.cluster.local", "A", "NOERROR aa", "ns.dns.cluster.local 5 A 10.3.0.10"],
  ["the apex", "cluster.local", "A", "NOERROR aa", SOA],
  ["of the configuration", "SEVEN.example", "A", "NOERROR aa", "SEVEN.example 60 A 192.0.2.7"],
  ["of the configuration, no such type", "also.example", "AAAA", "NOERROR aa"],
  [
    "of the configuration",
    "7.2.0.192.in-addr.arpa",
    "PTR",
    "NOERROR aa",
    "7.2.0.192.in-addr.arpa 60 PTR also.example",
    "7.2.0.192.in-addr.arpa 60 PTR seven.example",
  ],
];

for (const [section, name, type, head, ...records] of cases)
  t.test(`${section}: ${name} ${type}`, async (t) => {
    t.same(world.ask(name, type), [head, ...records.sort()]);
  });

t.test("all that is in no zone of ours is asked for elsewhere", async (t) => {
  t.equal(world.ask("example.com", "A"), undefined);
  t.equal(world.ask("notcluster.local", "A"), undefined);
  t.match(world.ask("9.9.9.9.in-addr.arpa", "PTR"), ["NXDOMAIN aa", /^authority in-addr\.arpa 5 SOA/]);
  t.equal(new World(CLUSTER, true).ask("9.9.9.9.in-addr.arpa", "PTR"), undefined);
  t.match(
    world.ask("1.0.3.10.in-addr.arpa", "A"),
    ["NOERROR aa", /^authority in-addr\.arpa/],
    "the name is there",
  );
});

t.test("SERVFAIL until all objects are in, and of the cluster's names only", async (t) => {
  const early = new World([]);
  early.isSynced = false;
  const name = "kubernetes.default.svc.cluster.local";
  t.same(early.ask(name, "A"), ["SERVFAIL"]);
  t.same(early.ask("1.0.3.10.in-addr.arpa", "PTR"), ["SERVFAIL"]);
  t.equal(early.ask("example.com", "A"), undefined);
  t.same(early.ask("seven.example", "A")?.[0], "NOERROR aa");
  early.isSynced = true;
  t.equal(early.ask(name, "A")?.[0], "NXDOMAIN aa", "what was said before is not said again");
  early.add(...CLUSTER);
  t.equal(early.ask(name, "A")?.[0], "NOERROR aa");
});

t.test("names follow their objects", async (t) => {
  const moving = new World([namespaceObject("default"), service("a", { clusterIP: "10.0.0.1", ports: [] })]);
  const a = (): string[] => moving.ask("a.default.svc.cluster.local", "A")?.slice(0, 2) ?? [];
  t.same(a(), ["NOERROR aa", "a.default.svc.cluster.local 5 A 10.0.0.1"]);
  moving.add(service("a", { clusterIP: "None", ports: [] }));
  t.same(a()[0], "NXDOMAIN aa");
  t.match(moving.ask("1.0.0.10.in-addr.arpa", "PTR"), ["NXDOMAIN aa"], "its address is nobody's");
  moving.add(slice("a", [{ addresses: ["10.0.0.2"], hostname: "x" }]));
  t.same(a(), ["NOERROR aa", "a.default.svc.cluster.local 5 A 10.0.0.2"]);
  moving.gone(slice("a", []));
  t.same(a()[0], "NXDOMAIN aa");
  t.match(moving.ask("2.0.0.10.in-addr.arpa", "PTR"), ["NXDOMAIN aa"]);
  moving.add(pod("p", ["10.0.0.3"]));
  t.equal(moving.ask("10-0-0-3.default.pod.cluster.local", "A")?.[0], "NOERROR aa");
  moving.gone(pod("p", ["10.0.0.3"]));
  t.equal(moving.ask("10-0-0-3.default.pod.cluster.local", "A")?.[0], "NXDOMAIN aa");
});

t.test("a namespace that no object names is there while it holds something", async (t) => {
  const files = new World([service("a", { clusterIP: "10.0.0.1", ports: [] }, "shop")]);
  t.equal(files.ask("shop.svc.cluster.local", "A")?.[0], "NOERROR aa");
  files.gone(service("a", {}, "shop"));
  t.equal(files.ask("shop.svc.cluster.local", "A")?.[0], "NXDOMAIN aa");
});

t.test("what is kept as bytes says what a fresh answer says, in whatever order objects came", async (t) => {
  const names = cases.map(([, name, type]) => [name, type] as const);
  const order = fc.shuffledSubarray([...CLUSTER], { minLength: CLUSTER.length });
  fc.assert(
    fc.property(order, fc.array(fc.constantFrom(...names), { maxLength: 30 }), (objects, asked) => {
      const other = new World([]);
      for (const [i, object] of objects.entries()) {
        other.add(object);
        if (i % 7 === 0) other.ask(...names[i % names.length]);
      }
      for (const [name, type] of asked) t.same(other.ask(name, type), world.ask(name, type));
    }),
    { numRuns: 30 },
  );
});

/** Objects that come, change and go: few names and addresses, so that they meet. */
const anyAddress = fc.constantFrom("10.3.0.1", "10.3.0.100", "10.3.0.101", "10.244.1.2", "2001:db8::1");
const anyName = fc.constantFrom("a", "b", "headless");
const anyNamespace = fc.constantFrom("default", "shop");
const anyObject: fc.Arbitrary<KubeObject> = fc.oneof(
  anyNamespace.map(namespaceObject),
  fc
    .record({ name: anyName, in: anyNamespace, ip: fc.oneof(anyAddress, fc.constant("None")) })
    .map((of) =>
      service(
        of.name,
        { clusterIP: of.ip, clusterIPs: [of.ip], ports: [{ name: "https", port: 443 }] },
        of.in,
      ),
    ),
  fc
    .record({ name: anyName, in: anyNamespace, to: anyName })
    .map((of) =>
      service(of.name, { type: "ExternalName", externalName: `${of.to}.${of.in}.svc.cluster.local` }, of.in),
    ),
  fc
    .record({ of: anyName, in: anyNamespace, ips: fc.uniqueArray(anyAddress), host: anyName, n: fc.nat(1) })
    .map(({ of, in: namespace, ips, host, n }) =>
      slice(
        of,
        ips.map((ip, i) => ({ addresses: [ip], ...(i === 0 && { hostname: host }) })),
        undefined,
        {
          namespace,
          name: `${of}-${n}`,
        },
      ),
    ),
  fc
    .record({ name: anyName, in: anyNamespace, ip: anyAddress, phase: fc.constantFrom("Running", "Failed") })
    .map((of) => pod(of.name, [of.ip], of.in, of.phase)),
);
const anyQuestion = fc.tuple(
  fc.oneof(
    fc.tuple(anyName, anyNamespace).map(([name, of]) => `${name}.${of}.svc.cluster.local`),
    fc
      .tuple(anyName, anyName, anyNamespace)
      .map(([label, name, of]) => `${label}.${name}.${of}.svc.cluster.local`),
    fc.tuple(anyName, anyNamespace).map(([name, of]) => `_https._tcp.${name}.${of}.svc.cluster.local`),
    anyNamespace.map((of) => `${of}.svc.cluster.local`),
    anyNamespace.map((of) => `10-244-1-2.${of}.pod.cluster.local`),
    fc.constantFrom("1.0.3.10.in-addr.arpa", "100.0.3.10.in-addr.arpa", "cluster.local", "seven.example"),
  ),
  fc.constantFrom("A", "AAAA", "SRV", "PTR", "SOA"),
);

t.test("whatever changes, what is kept says what a server would say that keeps nothing", async (t) => {
  const step = fc.record({
    object: anyObject,
    isGone: fc.boolean(),
    ask: fc.array(anyQuestion, { maxLength: 6 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const keeping = new World([]);
      const there = new Map<string, KubeObject>();
      for (const { object, isGone, ask } of steps) {
        const key = `${object.kind} ${object.metadata.namespace}/${object.metadata.name}`;
        if (isGone) there.delete(key);
        else there.set(key, object);
        if (isGone) keeping.gone(object);
        else keeping.add(object);
        const fresh = new World([...there.values()]);
        for (const [name, type] of ask)
          t.same(keeping.ask(name, type), fresh.ask(name, type), `${name} ${type}`);
      }
    }),
    { numRuns: 200 },
  );
});

t.test("a change drops what it touches, and nothing else", async (t) => {
  const busy = new World(CLUSTER);
  const find = (name: string, type = "A") => busy.local.find(readQuery(queryBytes(name, type)) as Query);
  const [plain, headless, none] = ["kubernetes", "headless", "x"].map(
    (name) => `${name}.default.svc.cluster.local`,
  );
  const before = [plain, headless, none].map((name) => find(name));
  const pointer = find("7.2.0.192.in-addr.arpa", "PTR");
  busy.add(pod("other", ["10.244.1.9"]), service("new", { clusterIP: "10.3.0.99", ports: [] }));
  t.ok(
    [plain, headless, none].every((name, i) => find(name) === before[i]),
    "of other names",
  );
  busy.add(slice("headless", [{ addresses: ["10.3.0.7"] }]));
  t.match(busy.ask(headless, "A"), ["NOERROR aa", /10\.3\.0\.7$/]);
  t.equal(find(plain), before[0]);
  busy.add(service("x", { clusterIP: "10.3.0.8", ports: [] }));
  t.match(busy.ask(none, "A"), ["NOERROR aa", /10\.3\.0\.8$/], "a name that there was not");
  t.equal(find("7.2.0.192.in-addr.arpa", "PTR"), pointer);
});

t.test("an answer that says no tells the zone's serial as it is", async (t) => {
  const turning = new World(CLUSTER);
  const query = readQuery(queryBytes("x.default.svc.cluster.local", "A")) as Query;
  const serials = [1, 77, 77].map((serial) => {
    turning.zone.serial = serial;
    return turning.local.find(query)?.reply.authority[0];
  });
  t.match(serials, [{ serial: 1 }, { serial: 77 }, { serial: 77 }]);
  t.equal(serials[1], serials[2], "and is kept as long as it holds");
});

t.test("of several addresses each comes first in turn", async (t) => {
  const bytes = queryBytes("headless.default.svc.cluster.local", "A");
  const query = readQuery(bytes) as Query;
  const firsts = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const local = world.local.find(query);
    if (local !== undefined) firsts.add(textOf(world.local.tell(local, bytes, query, MESSAGE_MAX, false))[1]);
  }
  t.equal(firsts.size, 3);
});
