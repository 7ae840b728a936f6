// What becomes of connections and of datagrams: listeners by port and TLS name, TCPRoutes, UDPRoutes, TLSRoutes that
// pass through and that end here.
import t from "tap";
import { Authority, type Issued } from "../../testing/l7/authority.ts";
import { objectsOf, served } from "../../testing/l7/objects.ts";
import { GATEWAY_GROUP, gateway, httpRoute } from "../../testing/l7/random-gateway.ts";
import type { Connection } from "../connection.ts";
import { connectionJson } from "../connection-words.ts";
import type { Step } from "../decision.ts";
import { Evaluator } from "../evaluator.ts";

const PG = { name: "pg", port: 5432, protocol: "TCP" };
const DNS = { name: "dns", port: 53, protocol: "UDP" };
const route = (kind: string, name: string, spec: object, more: object = {}): object => ({
  apiVersion: `${GATEWAY_GROUP}/v1alpha2`,
  ...{ kind, metadata: { name, namespace: "shop", ...more } },
  spec: { parentRefs: [{ name: "gw" }], ...spec },
});
const to = (name: string, port = 80, more: object = {}): object => ({ name, port, ...more });
const rules = (...backendRefs: object[]): object => ({ rules: [{ backendRefs }] });

/** A Service of UDP and TCP at 53, and its slice. */
function dns(): object[] {
  const ports = ["UDP", "TCP"].map((protocol) => ({ name: protocol.toLowerCase(), port: 53, protocol }));
  return [
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "dns", namespace: "shop" } },
      spec: { clusterIP: "10.96.0.10", ports },
    },
    {
      ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
      metadata: { name: "dns-1", namespace: "shop", labels: { "kubernetes.io/service-name": "dns" } },
      ports: ports.map(({ name, protocol }) => ({ name, protocol, port: protocol === "UDP" ? 5353 : 5354 })),
      endpoints: [{ addresses: ["10.244.1.9"] }],
    },
  ];
}

class World {
  readonly evaluator: Evaluator;
  constructor(...objects: object[]) {
    const services = [...served("a"), ...served("b"), ...served("empty", 0), ...dns()];
    this.evaluator = new Evaluator(objectsOf(...services, ...objects));
  }

  ask(port: number, more: Partial<Connection> = {}): Record<string, unknown> {
    const steps: Step[] = [];
    const asked: Connection = { protocol: "tcp", port, ...more };
    const decision = this.evaluator.connect(asked, (step, text) => steps.push({ step, text }));
    return connectionJson(decision, steps) as Record<string, unknown>;
  }

  conditions(object: string): string[] {
    const status = this.evaluator.statuses.find((each) => each.object === object);
    return (status?.parents?.[0]?.conditions ?? []).map(({ type, status: is, reason, message }) =>
      `${type}=${is}(${reason}) ${message}`.trim(),
    );
  }

  listener(name: string): { conditions: string[]; kinds: string[]; attached: number } {
    const all = this.evaluator.statuses.flatMap(({ listeners = [] }) => listeners);
    const found = all.find((each) => each.name === name);
    return {
      conditions: (found?.conditions ?? []).map(({ type, status, reason, message }) =>
        `${type}=${status}(${reason}) ${message}`.trim(),
      ),
      kinds: (found?.supportedKinds ?? []).map(({ kind }) => kind),
      attached: found?.attachedRoutes ?? -1,
    };
  }
}

t.test(
  "a TCPRoute has all connections of its listener, shared by weight; what leads nowhere closes",
  async (t) => {
    const shares = rules(to("a", 80, { weight: 3 }), to("gone", 80, { weight: 1 }));
    const world = new World(gateway([PG]), route("TCPRoute", "db", shares));
    t.match(world.ask(5432), {
      action: "stream",
      listener: "Gateway shop/gw listener pg",
      rule: "TCPRoute shop/db rules[0]",
      backend: "shop/a:80",
      distribution: [
        { backend: "shop/a:80", share: 0.75 },
        { closed: true, share: 0.25 },
      ],
    });
    t.same(world.listener("pg"), {
      conditions: [
        "Accepted=True(Accepted)",
        "ResolvedRefs=True(ResolvedRefs)",
        "Programmed=True(Programmed)",
        "Conflicted=False(NoConflicts)",
      ],
      kinds: ["TCPRoute"],
      attached: 1,
    });
    t.same(world.conditions("TCPRoute shop/db"), [
      "Accepted=True(Accepted)",
      "ResolvedRefs=False(BackendNotFound) there is no Service shop/gone",
    ]);
    t.match(world.ask(5433), {
      action: "close",
      reason: "there is no Gateway with a listener for tcp at port 5433",
    });
    t.match(world.ask(5432, { protocol: "udp" }), { action: "close" });
    t.match(world.ask(5432, { gateway: "other" }), { action: "close", reason: /no Gateway other/ });
    t.match(new World(gateway([PG])).ask(5432), {
      action: "close",
      reason: /no TCPRoute at Gateway shop\/gw/,
    });
    const empty = new World(gateway([PG]), route("TCPRoute", "db", rules(to("empty"))));
    t.match(empty.ask(5432), { action: "close", reason: /shop\/empty:80 has no endpoint that is ready/ });
  },
);

t.test("of two TCPRoutes at one listener the older has it; further rules are told of", async (t) => {
  const [old, young] = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"].map((creationTimestamp) => ({
    creationTimestamp,
  }));
  const two = { rules: [{ backendRefs: [to("b")] }, { backendRefs: [to("a")] }] };
  const world = new World(
    gateway([PG]),
    route("TCPRoute", "a-young", rules(to("a")), young),
    route("TCPRoute", "z-old", two, old),
  );
  t.match(world.ask(5432), { backend: "shop/b:80" });
  t.match(world.conditions("TCPRoute shop/a-young"), [
    /^Accepted=False\(NotAllowedByListeners\) all connections of listener pg are TCPRoute shop\/z-old's, which is older$/,
  ]);
  t.equal(world.listener("pg").attached, 1);
  t.ok(
    world.evaluator.notes.includes(
      "TCPRoute shop/z-old: only rules[0] counts: no rule of it has matches to tell them apart",
    ),
  );
});

t.test("UDP has ports of its own, and goes to the UDP port of a Service that has both", async (t) => {
  const world = new World(
    gateway([DNS, { ...PG, port: 53 }]),
    route("UDPRoute", "u", rules(to("dns", 53))),
    route("TCPRoute", "t", rules(to("dns", 53))),
    route("UDPRoute", "wrong", { ...rules(to("a")), parentRefs: [{ name: "gw", sectionName: "pg" }] }),
  );
  t.match(world.ask(53, { protocol: "udp" }), { backend: "shop/dns:53", endpoints: ["10.244.1.9:5353"] });
  t.match(world.ask(53), { backend: "shop/dns:53", endpoints: ["10.244.1.9:5354"] });
  t.match(world.conditions("UDPRoute shop/wrong"), [
    /^Accepted=False\(NotAllowedByListeners\) listener pg takes no UDPRoute$/,
    "ResolvedRefs=False(BackendNotFound) port 80 of Service shop/a is TCP",
  ]);
  t.match(world.listener("dns").conditions, { 3: "Conflicted=False(NoConflicts)" });
  const clash = new World(gateway([PG, { ...PG, name: "http", protocol: "HTTP" }]));
  t.match(clash.listener("pg").conditions, { 0: /^Accepted=False\(ProtocolConflict\)/ });
});

const secret = (name: string, { cert, key }: Issued): object => ({
  ...{ apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "shop" } },
  ...{ type: "kubernetes.io/tls", stringData: { "tls.crt": cert, "tls.key": key } },
});

t.test("TLS by its name: passed through, or ended here with the certificate that is for it", async (t) => {
  const root = await Authority.make("root");
  const [one, two] = [await root.issue({ names: ["one.t"] }), await root.issue({ names: ["two.t"] })];
  const ended = (names: readonly string[], hostname?: string): object => ({
    ...{
      name: `end-${hostname ?? "all"}`,
      port: 443,
      protocol: "TLS",
      ...(hostname !== undefined && { hostname }),
    },
    tls: { mode: "Terminate", certificateRefs: names.map((name) => ({ name })) },
  });
  const policy = {
    ...{ apiVersion: `${GATEWAY_GROUP}/v1`, kind: "BackendTLSPolicy" },
    metadata: { name: "p", namespace: "shop" },
    spec: {
      targetRefs: [{ group: "", kind: "Service", name: "a" }],
      validation: {
        ...{ hostname: "a.internal", wellKnownCACertificates: "System" },
        subjectAltNames: [
          { type: "URI", uri: "spiffe://x/a" },
          { type: "Hostname", hostname: "b.internal" },
        ],
      },
    },
  };
  const world = new World(
    ...[secret("one", one), secret("two", two), policy],
    gateway([
      ended(["gone", "one", "two"]),
      { name: "pass", hostname: "*.p.t", port: 443, protocol: "TLS", tls: { mode: "Passthrough" } },
      {
        name: "web",
        hostname: "web.t",
        port: 443,
        protocol: "HTTPS",
        tls: { certificateRefs: [{ name: "two" }] },
      },
    ]),
    route("TLSRoute", "named", { hostnames: ["two.t", "x.p.t"], ...rules(to("a")) }),
    route("TCPRoute", "rest", rules(to("b"))),
    httpRoute("web", { rules: [{ backendRefs: [to("a")] }] }),
  );
  t.match(world.ask(443, { sni: "two.t" }), {
    ...{ action: "stream", rule: "TLSRoute shop/named rules[0]", cert: "shop/two" },
    backendTls: { hostname: "a.internal", authorities: [], names: ["URI:spiffe://x/a", "DNS:b.internal"] },
  });
  t.match(world.ask(443, { sni: "else.t" }), { rule: "TCPRoute shop/rest rules[0]", cert: "shop/one" });
  t.match(world.ask(443, { sni: "" }), { rule: "TCPRoute shop/rest rules[0]", cert: "shop/one" });
  const passed = world.ask(443, { sni: "X.P.T" });
  t.match(passed, { action: "stream", rule: "TLSRoute shop/named rules[0]", backend: "shop/a:80" });
  t.same([passed.cert, passed.backendTls], [undefined, undefined], "a client's own TLS is not wrapped again");
  t.match(world.ask(443, { sni: "y.p.t" }), { action: "close", reason: /no TLSRoute at .* listener pass/ });
  t.match(world.ask(443, { sni: "web.t" }), { action: "requests", cert: "shop/two" });
  t.match(world.ask(443), {
    action: "close",
    awaitsTls: true,
    reason: "it speaks no TLS, and TLS is awaited there",
  });
  t.match(world.listener("end-all"), {
    kinds: ["TLSRoute", "TCPRoute"],
    conditions: {
      0: "Accepted=True(Accepted)",
      1: "ResolvedRefs=False(InvalidCertificateRef) there is no Secret shop/gone",
      2: "Programmed=True(Programmed)",
    },
  });
  t.equal(
    world.listener("web").conditions[1],
    "ResolvedRefs=True(ResolvedRefs) the certificate of Secret shop/two is for two.t, and not for web.t",
  );
  t.ok(
    world.evaluator.notes.some((line) =>
      /listener web: the certificate of Secret shop\/two is for/.test(line),
    ),
  );
  const none = new World(gateway([ended(["gone"], "x.t")]), route("TCPRoute", "r", rules(to("a"))));
  t.match(none.ask(443, { sni: "x.t" }), { action: "close", reason: /no Gateway with a listener/ });
});

t.test("a listener of HTTP leaves its connections' requests to be decided", async (t) => {
  const world = new World(gateway([{ name: "http", port: 80, protocol: "HTTP" }]));
  t.match(world.ask(80), { action: "requests", reason: /one by one: Gateway shop\/gw listener http/ });
});
