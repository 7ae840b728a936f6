import { get } from "node:http";
import { createServer } from "node:net";
import { type Answer, decode } from "dns-packet";
import t from "tap";
import { hasCode } from "../base/errors.ts";
import type { KubeObject } from "../kube/objects.ts";
import { CLUSTER, pod, service } from "../testing/dns/dns-objects.ts";
import { askTcp, askUdp, DnsPeer } from "../testing/dns/dns-peer.ts";
import { queryBytes, textOf } from "../testing/dns/dns-text.ts";
import type { ObjectSource, SourceListener } from "../watch/source.ts";
import { DnsMetrics } from "./dns-metrics.ts";
import { DnsServer, type DnsServerOptions } from "./dns-server.ts";

const NAME = "kubernetes.default.svc.cluster.local";
const A = (name: string, ttl = 60, data = "192.0.2.1"): Answer => ({ type: "A", name, ttl, data });

class GivenSource implements ObjectSource {
  listener: SourceListener | undefined;

  start(listener: SourceListener): void {
    this.listener = listener;
  }

  give(objects: readonly KubeObject[], synced = true): void {
    this.listener?.events(
      objects.map((object) => ({ type: "MODIFIED", object })),
      synced,
    );
  }

  close(): void {
    this.listener = undefined;
  }
}

class World {
  readonly source = new GivenSource();
  readonly notes: string[] = [];
  log = "";
  readonly server: DnsServer;
  port = 0;

  constructor(options: Partial<DnsServerOptions>) {
    this.server = new DnsServer({
      ...{
        zone: "cluster.local",
        ttl: 5,
        forward: null,
        stubDomains: [],
        hosts: [],
        autopath: false,
        log: false,
      },
      ...{
        cache: { size: 100, maxTtl: 3600, maxNegativeTtl: 300 },
        listen: [{ address: "127.0.0.1", port: 0 }],
      },
      ...{ metrics: null, source: this.source },
      onNote: (text) => this.notes.push(text),
      onLog: (text) => {
        this.log += text;
      },
      ...options,
    });
  }

  static async start(t: Ending, options: Partial<DnsServerOptions> = {}, objects = CLUSTER): Promise<World> {
    const world = await World.listening(options);
    t.teardown(() => world.server.close());
    world.port = world.server.addresses[0].port;
    if (objects.length > 0) world.source.give(objects);
    return world;
  }

  /** A port that is free for UDP may be somebody's for TCP: then another one. */
  private static async listening(options: Partial<DnsServerOptions>, tries = 10): Promise<World> {
    const world = new World(options);
    try {
      await world.server.start();
      return world;
    } catch (error) {
      if (!hasCode(error, "DNS_LISTEN") || tries === 0) throw error;
      return World.listening(options, tries - 1);
    }
  }

  async ask(name: string, type = "A"): Promise<string[]> {
    return textOf(await askUdp(this.port, queryBytes(name, type)));
  }
}

/** What of a test is needed here. */
interface Ending {
  teardown(end: () => Promise<void>): void;
}

async function peer(t: Ending): Promise<DnsPeer> {
  const made = await DnsPeer.start();
  t.teardown(() => made.stop());
  return made;
}

t.test("UDP and TCP, before the objects are there and after", async (t) => {
  const world = await World.start(t, {}, []);
  t.same(await world.ask(NAME), ["SERVFAIL"]);
  t.notOk(world.server.isReady);
  world.source.give(CLUSTER.slice(0, 4), false);
  t.same(await world.ask(NAME), ["SERVFAIL"], "not all of them");
  world.source.give(CLUSTER);
  t.same(await world.ask(NAME), ["NOERROR aa", `${NAME} 5 A 10.3.0.1`]);
  const [answer] = await askTcp(world.port, [queryBytes(NAME, "AAAA")]);
  t.same(textOf(answer), ["NOERROR aa", `${NAME} 5 AAAA 2001:db8::1`]);
  t.same(await world.ask("example.com"), ["REFUSED"], "nobody is asked");
});

t.test("many queries on one connection, cut anywhere, are all answered", async (t) => {
  const world = await World.start(t);
  const queries = Array.from({ length: 500 }, (_, id) => queryBytes(NAME, "A", { id }));
  for (const cut of [1000, 37]) {
    const answers = await askTcp(world.port, queries, cut);
    t.same(new Set(answers.map((each) => decode(each).id)).size, 500);
  }
  const huge = Buffer.alloc(5000);
  t.equal((await askTcp(world.port, [huge])).length, 0, "what is too long for a query ends the connection");
});

t.test("what does not fit a datagram is truncated, and whole by TCP", async (t) => {
  const endpoints = Array.from({ length: 200 }, (_, i) => ({ addresses: [`10.9.0.${i}`] }));
  const world = await World.start(t, {}, [
    service("big", { clusterIP: "None", ports: [] }),
    {
      ...{
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        addressType: "IPv4",
        endpoints,
        ports: [],
      },
      metadata: { name: "big-1", namespace: "default", labels: { "kubernetes.io/service-name": "big" } },
    } as unknown as KubeObject,
  ]);
  const bytes = queryBytes("big.default.svc.cluster.local", "A");
  const cut = await askUdp(world.port, bytes);
  t.match(textOf(cut)[0], "NOERROR aa tc");
  t.ok(cut.length <= 512);
  const roomy = { additionals: [{ type: "OPT", name: ".", udpPayloadSize: 4096 } as never] };
  const larger = await askUdp(world.port, queryBytes("big.default.svc.cluster.local", "A", roomy));
  t.ok(larger.length > 512 && larger.length <= 1232);
  t.equal(textOf((await askTcp(world.port, [bytes]))[0]).length, 201);
});

t.test("other names are asked for, once while they hold", async (t) => {
  const other = await peer(t);
  other.says = ({ name }) => ({ answers: [A(name)] });
  const world = await World.start(t, { forward: [other.server] });
  t.same(await world.ask("www.example.com"), ["NOERROR ra", "www.example.com 60 A 192.0.2.1"]);
  t.same(await world.ask("WWW.example.COM"), ["NOERROR ra", "www.example.com 60 A 192.0.2.1"]);
  t.same(other.asked, ["udp A www.example.com"]);
  await Promise.all(Array.from({ length: 20 }, () => world.ask("many.example.com")));
  t.equal(other.asked.length, 2, "who asks for the same at the same time waits for one answer");
  for (let i = 0; i < 20; i++) await world.ask(`${i}.example.com`);
  t.ok(other.ports.size > 15, "each question has a port of its own");
  t.match(await world.ask("1.0.3.10.in-addr.arpa", "PTR"), ["NOERROR aa ra"], "what is ours is ours");
  await world.ask("9.9.9.9.in-addr.arpa", "PTR");
  t.equal(other.asked.at(-1), "udp PTR 9.9.9.9.in-addr.arpa");
});

t.test("names that are not there are remembered as such", async (t) => {
  const other = await peer(t);
  const data = {
    mname: "ns.example",
    rname: "m.example",
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 60,
  };
  other.says = () => ({ rcode: 3, authorities: [{ type: "SOA", name: "example", ttl: 60, data }] });
  const world = await World.start(t, { forward: [other.server] });
  const none = ["NXDOMAIN ra", "authority example 60 SOA ns.example m.example 60"];
  t.same([await world.ask("no.example"), await world.ask("no.example")], [none, none]);
  t.equal(other.asked.length, 1);
});

t.test("a server that fails is followed by the next; when none answers, the client hears so", async (t) => {
  const [bad, good] = [await peer(t), await peer(t)];
  bad.says = () => ({ rcode: 2 });
  good.says = ({ name }) => ({ answers: [A(name)] });
  const world = await World.start(t, { forward: [bad.server, good.server] });
  t.equal((await world.ask("a.example"))[1], "a.example 60 A 192.0.2.1");
  good.says = () => ({ rcode: 5 });
  t.same(await world.ask("b.example"), ["SERVFAIL ra"], "what the first one said");
  const nobody = await World.start(t, { forward: [{ address: "127.0.0.1", port: 1 }] });
  t.same(await nobody.ask("c.example"), ["SERVFAIL ra"]);
});

t.test("a server that no way leads to is followed by the next", async (t) => {
  const other = await peer(t);
  other.says = ({ name }) => ({ answers: [{ type: "A", name, ttl: 9, data: "192.0.2.1" }] });
  const nowhere = { address: "255.255.255.255", port: 53 }; // the kernel does not connect to it
  const both = await World.start(t, { forward: [nowhere, other.server] });
  t.same(await both.ask("a.example"), ["NOERROR ra", "a.example 9 A 192.0.2.1"]);
  const none = await World.start(t, { forward: [nowhere] });
  t.same(await none.ask("a.example"), ["SERVFAIL ra"]);
});

t.test("what is no answer to the question is passed over", async (t) => {
  const other = await peer(t);
  let id = 1;
  other.says = ({ name }) => ({ answers: [A(name)], id: id++ & 0xffff });
  const world = await World.start(t, { forward: [other.server] });
  await t.rejects(askUdp(world.port, queryBytes("a.example", "A"), 300));
  t.equal(other.asked.length, 1);
});

t.test("a truncated answer is passed on, and asked for by TCP when the client comes by TCP", async (t) => {
  const other = await peer(t);
  other.says = ({ name }, protocol) => (protocol === "udp" ? { truncated: true } : { answers: [A(name)] });
  const world = await World.start(t, { forward: [other.server] });
  t.same(await world.ask("big.example"), ["NOERROR tc ra"]);
  const [whole] = await askTcp(world.port, [queryBytes("big.example", "A")]);
  t.equal(textOf(whole)[1], "big.example 60 A 192.0.2.1");
  t.equal((await world.ask("big.example"))[0], "NOERROR ra", "and kept for others");
});

t.test("domains with servers of their own, the longest first", async (t) => {
  const [all, corp, lab] = [await peer(t), await peer(t), await peer(t)];
  const world = await World.start(t, {
    forward: [all.server],
    stubDomains: [
      { domain: "corp.example", servers: [corp.server] },
      { domain: "lab.corp.example", servers: [lab.server] },
    ],
  });
  for (const name of ["a.corp.example", "a.lab.corp.example", "notcorp.example", "corp.example"])
    await world.ask(name);
  t.same(
    [all, corp, lab].map(({ asked }) => asked),
    [["udp A notcorp.example"], ["udp A a.corp.example", "udp A corp.example"], ["udp A a.lab.corp.example"]],
  );
});

t.test("ExternalName: the alias and what it leads to, by UDP or else by TCP", async (t) => {
  const other = await peer(t);
  other.says = (_, protocol) =>
    protocol === "udp"
      ? { truncated: true }
      : { answers: [{ type: "CNAME", name: "www.example.com", ttl: 9, data: "x.example" }, A("x.example")] };
  const world = await World.start(t, {
    forward: [other.server],
    hosts: [{ ip: "192.0.2.9", hostnames: ["www.example.com"] }],
  });
  const foo = "foo.default.svc.cluster.local";
  t.same(await world.ask(foo), [
    "NOERROR aa ra",
    `${foo} 5 CNAME www.example.com`,
    "www.example.com 5 A 192.0.2.9",
  ]);
  const plain = await World.start(t, { forward: [other.server] });
  t.same(await plain.ask(foo), [
    ...["NOERROR aa ra", `${foo} 5 CNAME www.example.com`],
    ...["www.example.com 9 CNAME x.example", "x.example 60 A 192.0.2.1"],
  ]);
  other.says = () => ({ rcode: 3 });
  const none = await World.start(t, { forward: [other.server] });
  t.same(await none.ask(foo), ["NXDOMAIN aa ra", `${foo} 5 CNAME www.example.com`]);
  const alone = await World.start(t);
  t.same(await alone.ask(foo), ["NOERROR aa", `${foo} 5 CNAME www.example.com`], "nobody is asked");
});

t.test("autopath goes through a pod's search domains for it", async (t) => {
  const other = await peer(t);
  other.says = ({ name }) => (name === "www.example.com" ? { answers: [A(name, 3)] } : { rcode: 3 });
  const own = [...CLUSTER, pod("client", ["127.0.0.1"])];
  const world = await World.start(
    t,
    { forward: [other.server], autopath: true, search: ["host.example"] },
    own,
  );
  const asked = "www.example.com.default.svc.cluster.local";
  t.same(await world.ask(asked), [
    ...["NOERROR aa ra", `${asked} 3 CNAME www.example.com`, "www.example.com 3 A 192.0.2.1"],
  ]);
  t.same(other.asked, ["udp A www.example.com.host.example", "udp A www.example.com"]);
  t.match(await world.ask("plain.default.default.svc.cluster.local"), [
    ...["NOERROR aa ra", /CNAME plain\.default\.svc\.cluster\.local$/, /A 10\.3\.0\.2$/],
  ]);
  t.equal(
    (await world.ask("www.example.com.empty.svc.cluster.local"))[0],
    "NXDOMAIN aa ra",
    "not its namespace",
  );
  const off = await World.start(t, { forward: [other.server] }, own);
  t.equal((await off.ask(asked))[0], "NXDOMAIN aa ra");
});

t.test("a server that asks this one is found out", async (t) => {
  const other = await peer(t);
  // What the probe asked is asked of us, as a server that forwards to us would.
  const probes: string[] = [];
  other.says = ({ name }) => {
    probes.push(name);
    return undefined;
  };
  const loops = await World.start(t, { forward: [other.server] });
  while (probes.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  t.same(await loops.ask(probes[0], "HINFO"), ["SERVFAIL ra"]);
  t.match(loops.notes.join(), /forward: 127\.0\.0\.1:\d+ asks this server itself/);
  other.says = ({ name }) => ({ answers: [A(name)] });
  t.same(await loops.ask("a.example"), ["SERVFAIL ra"], "it is not asked any more");
});

t.test("messages that are none get no answer, and those gone wrong the right one", async (t) => {
  const world = await World.start(t);
  const code = async (hex: string): Promise<string> =>
    textOf(await askUdp(world.port, Buffer.from(hex.replaceAll(" ", ""), "hex")))[0];
  t.equal(await code("0007 2800 0000 0000 0000 0000"), "NOTIMP");
  t.equal(await code("0007 0100 0001 0000 0000 0000 0377"), "FORMERR");
  t.equal(await code("0007 0100 0001 0000 0000 0000 0161 00 00fc 0001"), "REFUSED");
  t.equal(await code("0007 0100 0001 0000 0000 0000 0161 00 0001 0003"), "REFUSED");
  await t.rejects(askUdp(world.port, Buffer.from("00078100000100000000", "hex"), 100));
  t.equal((await world.ask(NAME))[0], "NOERROR aa");
});

t.test("the query log names the pod that asked", async (t) => {
  const world = await World.start(t, { log: true }, [...CLUSTER, pod("client", ["127.0.0.1"])]);
  await world.ask(NAME);
  await world.ask("none.cluster.local", "AAAA");
  await world.server.close();
  const lines = world.log.trimEnd().split("\n");
  t.match(
    lines[0],
    /^\S+Z default\/client 127\.0\.0\.1:\d+ udp A kubernetes\.default\.svc\.cluster\.local NOERROR kubernetes \d+ B \d+\.\d+ ms$/,
  );
  t.match(lines[1], / AAAA none\.cluster\.local NXDOMAIN kubernetes /);
});

t.test("metrics under CoreDNS' names, health and readiness", async (t) => {
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
  const { port } = free.address() as { port: number };
  await new Promise((resolve) => free.close(resolve));
  const world = await World.start(t, { metrics: { address: "127.0.0.1", port } }, []);
  const page = (path: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const request = get({ port, path, agent: false }, (response) => {
        let text = "";
        response.on("data", (chunk) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.on("error", reject);
    });
  t.equal((await page("/health")).status, 200);
  t.equal((await page("/ready")).status, 503);
  world.source.give(CLUSTER);
  t.equal((await page("/ready")).status, 200);
  await world.ask(NAME);
  await askTcp(world.port, [queryBytes("none.cluster.local", "TXT")]);
  const { text } = await page("/metrics");
  t.match(
    text,
    /coredns_dns_requests_total\{server="dns:\/\/127\.0\.0\.1:0",zone="cluster\.local\.",view="",proto="udp",family="1",type="A"\} 1\n/,
  );
  t.match(text, /coredns_dns_responses_total\{.*rcode="NXDOMAIN",plugin="kubernetes"\} 1\n/);
  t.match(text, /coredns_dns_request_duration_seconds_count\{.*\} 2\n/);
  t.equal((await page("/")).status, 404);
});

t.test(
  "queries are counted by protocol, family and type, rare types together; answers by code and author",
  async (t) => {
    const metrics = new DnsMetrics("dns://x", "cluster.local.");
    for (const rare of [13, 99, 65_535]) metrics.done("udp", 4, rare, 0, "kubernetes");
    metrics.done("tcp", 6, 28, 3, "kubernetes");
    metrics.done("udp", 6, 28, 3, "forward");
    metrics.done("udp", 6, 28, 16, "");
    const none = { hits: 0, denials: 0, misses: 0, autopaths: 0, cached: 0, rejected: 0, hosts: 0 };
    const lines = metrics.text(none).split("\n");
    const found = (name: string): string[] =>
      lines
        .filter((line) => line.startsWith(`${name}{`))
        .map((line) => line.replace(/^.*view="",(.*)\}/, "$1"));
    t.same(found("coredns_dns_requests_total"), [
      'proto="udp",family="1",type="other" 3',
      'proto="tcp",family="2",type="AAAA" 1',
      'proto="udp",family="2",type="AAAA" 2',
    ]);
    t.same(found("coredns_dns_responses_total"), [
      'rcode="NOERROR",plugin="kubernetes" 3',
      'rcode="NXDOMAIN",plugin="kubernetes" 1',
      'rcode="NXDOMAIN",plugin="forward" 1',
      'rcode="BADVERS",plugin="" 1',
    ]);
  },
);

t.test("an address that somebody has is told with what to do", async (t) => {
  const world = await World.start(t);
  const taken = new World({ listen: [{ address: "127.0.0.1", port: world.port }] });
  await t.rejects(taken.server.start(), {
    message: /^127\.0\.0\.1:\d+: somebody listens there already: choose another/,
  });
});
