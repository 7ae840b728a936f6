// Statuses as a controller writes them: what, when, and what it leaves alone.
import t from "tap";
import type { KubeObject } from "../kube/objects.ts";
import { ingress, objectsOf, served } from "../testing/l7/objects.ts";
import { GATEWAY_GROUP, gateway, httpRoute } from "../testing/l7/random-gateway.ts";
import { type Place, type StatusWrite, statusWrites } from "./status-writes.ts";

const NOW = "2026-01-02T00:00:00Z";
const BEFORE = "2026-01-01T00:00:00Z";
const PLACE: Place = { addresses: ["192.168.50.240", "fd00::1"], isReady: true };
const CLASS = {
  ...{ apiVersion: `${GATEWAY_GROUP}/v1`, kind: "GatewayClass", metadata: { name: "podwire" } },
  spec: { controllerName: "podwire.dev/gateway" },
};
const HTTP = { name: "http", port: 80, protocol: "HTTP" };
const route = (name: string, to = "front"): object =>
  httpRoute(name, { rules: [{ backendRefs: [{ name: to, port: 80 }] }] });

function writes(objects: readonly KubeObject[], place: Place | undefined = PLACE): StatusWrite[] {
  return statusWrites(objects, { ingress: place, gateway: () => place }, NOW);
}

/** "Gateway shop/gw": its status. */
function byName(found: readonly StatusWrite[]): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    found.map(({ object: { kind, metadata }, status }) => [`${kind} ${metadata.name}`, status as never]),
  );
}

const conditionsOf = (status: unknown): string[] =>
  (status as { conditions: { type: string; status: string; reason: string }[] }).conditions.map(
    ({ type, status, reason }) => `${type} ${status} ${reason}`,
  );

/** As they are once everything is written. */
function written(objects: readonly KubeObject[], found: readonly StatusWrite[]): KubeObject[] {
  return objects.map((each) => {
    const write = found.find(({ object }) => object === each);
    return write === undefined ? each : ({ ...each, status: write.status } as KubeObject);
  });
}

t.test(
  "a Gateway with addresses, its listeners and routes; once written there is nothing to write",
  async (t) => {
    const objects = objectsOf(CLASS, gateway([HTTP]), route("r"), route("lost", "gone"), ...served("front"));
    const found = writes(objects);
    const all = byName(found);
    t.same(Object.keys(all).sort(), ["Gateway gw", "GatewayClass podwire", "HTTPRoute lost", "HTTPRoute r"]);
    const gw = all["Gateway gw"] as { addresses: object[]; listeners: { attachedRoutes: number }[] };
    t.same(gw.addresses, [
      { type: "IPAddress", value: "192.168.50.240" },
      { type: "IPAddress", value: "fd00::1" },
    ]);
    t.same(conditionsOf(gw), ["Accepted True Accepted", "Programmed True Programmed"]);
    t.equal(gw.listeners[0].attachedRoutes, 2);
    t.same(conditionsOf(gw.listeners[0]), [
      ...["Accepted True Accepted", "ResolvedRefs True ResolvedRefs", "Programmed True Programmed"],
      "Conflicted False NoConflicts",
    ]);
    t.same(conditionsOf((all["HTTPRoute lost"].parents as object[])[0]), [
      "Accepted True Accepted",
      "ResolvedRefs False BackendNotFound",
    ]);
    t.match(all["GatewayClass podwire"], {
      conditions: [{ type: "Accepted", status: "True", lastTransitionTime: NOW }],
      supportedFeatures: [{ name: "BackendTLSPolicy" }],
    });
    const { supportedFeatures: features } = all["GatewayClass podwire"] as {
      supportedFeatures: { name: string }[];
    };
    const names = features.map(({ name }) => name);
    t.same(names, [...names].sort(), "in the order that its definition wants");
    t.ok(names.includes("GatewayStaticAddresses"));
    t.same(writes(written(objects, found)), []);
  },
);

t.test("nothing is programmed before somebody serves it", async (t) => {
  const objects = objectsOf(CLASS, gateway([HTTP]));
  const of = (place: Place | undefined) => {
    const { "Gateway gw": status } = byName(
      statusWrites(objects, { ingress: undefined, gateway: () => place }, NOW),
    );
    const [listener] = status.listeners as object[];
    return [conditionsOf(status)[1], conditionsOf(listener)[2], status.addresses];
  };
  t.same(of(undefined), ["Programmed False AddressNotAssigned", "Programmed False Pending", undefined]);
  t.same(of({ ...PLACE, isReady: false }).slice(0, 2), [
    "Programmed False Pending",
    "Programmed False Pending",
  ]);
});

t.test(
  "a condition keeps its time while it says the same, and says which generation it is about",
  async (t) => {
    const [own, gw] = objectsOf(CLASS, gateway([HTTP], { generation: 3 }));
    const at = (type: string, status: string) => ({
      type,
      status,
      reason: "x",
      message: "",
      lastTransitionTime: BEFORE,
    });
    const status = {
      conditions: [at("Accepted", "True"), at("Programmed", "False"), at("example.com/Mine", "True")],
    };
    const { "Gateway gw": next } = byName(writes([own, { ...gw, status } as KubeObject]));
    t.match(next.conditions, [
      { type: "Accepted", lastTransitionTime: BEFORE, observedGeneration: 3 },
      { type: "Programmed", lastTransitionTime: NOW, reason: "Programmed" },
      { type: "example.com/Mine", lastTransitionTime: BEFORE },
    ]);
  },
);

t.test(
  "what other controllers say of a route stays; what podwire said of a Gateway that it left goes",
  async (t) => {
    const [own, gw, r] = objectsOf(CLASS, gateway([HTTP]), route("r"));
    const parent = (controllerName: string, name: string) => ({
      ...{ controllerName, conditions: [], parentRef: { group: GATEWAY_GROUP, kind: "Gateway", name } },
    });
    const status = { parents: [parent("example.com/other", "gw"), parent("podwire.dev/gateway", "left")] };
    const { "HTTPRoute r": next } = byName(writes([own, gw, { ...r, status } as KubeObject]));
    t.match(next.parents, [
      { controllerName: "example.com/other" },
      { controllerName: "podwire.dev/gateway", parentRef: { name: "gw" } },
    ]);
    t.equal((next.parents as object[]).length, 2);
  },
);

t.test("Gateways of other classes, and of nobody's class, are left alone", async (t) => {
  const other = { ...CLASS, metadata: { name: "other" }, spec: { controllerName: "example.com/x" } };
  t.same(writes(objectsOf(other, gateway([HTTP]), route("r"))), []);
  t.same(
    Object.keys(byName(writes(objectsOf({ ...CLASS, metadata: { name: "mine" } }, other, gateway([HTTP]))))),
    ["GatewayClass mine"],
  );
});

t.test("Ingresses of podwire's have its addresses, and lose them with it", async (t) => {
  const paths = { "": [{ path: "/", to: "front" }] };
  const objects = objectsOf(
    ingress({ hosts: paths }),
    ingress({ name: "theirs", hosts: paths, className: "traefik" }),
  );
  const found = writes(objects, { addresses: ["192.168.50.240", "lb.example"], isReady: false });
  t.same(byName(found), {
    "Ingress web": {
      loadBalancer: { ingress: [{ ip: "192.168.50.240" }, { hostname: "lb.example" }] },
    },
  });
  const then = written(objects, found);
  t.same(byName(statusWrites(then, { ingress: undefined, gateway: () => undefined }, NOW)), {
    "Ingress web": { loadBalancer: {} },
  });
});

t.test("a Gateway that asks for addresses is programmed where it has all of them", async (t) => {
  const asking = (...values: string[]): readonly KubeObject[] => {
    const own = gateway([HTTP]) as { spec: object };
    const addresses = values.map((value) => ({ value }));
    return objectsOf(CLASS, { ...own, spec: { ...own.spec, addresses } });
  };
  const programmed = (objects: readonly KubeObject[], place: Place | undefined = PLACE): string =>
    conditionsOf(byName(writes(objects, place))["Gateway gw"])[1];
  t.equal(programmed(asking("192.168.50.240")), "Programmed True Programmed");
  t.equal(programmed(asking("192.168.50.240", "FD00:0::1")), "Programmed True Programmed", "however written");
  t.equal(programmed(asking("192.168.50.240", "192.0.2.1")), "Programmed False AddressNotUsable");
  t.equal(
    programmed(asking("192.0.2.1"), { addresses: [], isReady: true }),
    "Programmed False AddressNotUsable",
  );
  t.equal(programmed(asking("")), "Programmed True Programmed", "any one");
});

t.test("a policy has what podwire says of it at its Gateways, beside what others say", async (t) => {
  const policy = {
    ...{
      apiVersion: `${GATEWAY_GROUP}/v1`,
      kind: "BackendTLSPolicy",
      metadata: { name: "p", namespace: "shop" },
    },
    spec: {
      targetRefs: [{ group: "", kind: "Service", name: "front" }],
      validation: { hostname: "front.internal", wellKnownCACertificates: "System" },
    },
  };
  const objects = objectsOf(CLASS, gateway([HTTP]), route("r"), policy, ...served("front"));
  const { "BackendTLSPolicy p": first } = byName(writes(objects));
  t.match(first.ancestors, [
    {
      controllerName: "podwire.dev/gateway",
      ancestorRef: { kind: "Gateway", namespace: "shop", name: "gw" },
    },
  ]);
  t.same(conditionsOf((first.ancestors as object[])[0]), [
    "Accepted True Accepted",
    "ResolvedRefs True ResolvedRefs",
  ]);
  const theirs = { controllerName: "example.com/x", ancestorRef: { name: "gw" }, conditions: [] };
  const said = { ancestors: [theirs, ...(first.ancestors as object[])] };
  const then = objects.map((each) =>
    each.kind === "BackendTLSPolicy" ? ({ ...each, status: said } as unknown as KubeObject) : each,
  );
  t.equal(byName(writes(then))["BackendTLSPolicy p"], undefined, "nothing is otherwise");
  const alone = then.filter(({ kind }) => kind !== "HTTPRoute");
  t.same(byName(writes(alone))["BackendTLSPolicy p"], { ancestors: [theirs] });
});

t.test("what another of podwire's gateways serves is its own to write about", async (t) => {
  const gw = (name: string): object => ({ ...gateway([HTTP]), metadata: { name, namespace: "shop" } });
  const both = httpRoute("r", {
    parentRefs: [{ name: "mine" }, { name: "yours" }],
    rules: [{ backendRefs: [{ name: "front", port: 80 }] }],
  });
  const objects = objectsOf(CLASS, gw("mine"), gw("yours"), both, ...served("front"));
  const one = (mine: string) => (all: readonly KubeObject[]) =>
    statusWrites(
      all,
      {
        ...{ ingress: PLACE, gateway: () => PLACE },
        others: { areIngresses: true, isGateway: (key) => key !== `shop/${mine}` },
      },
      NOW,
    );
  const first = one("mine")(objects);
  t.same(Object.keys(byName(first)).sort(), ["Gateway mine", "GatewayClass podwire", "HTTPRoute r"]);
  const { supportedFeatures: features } = byName(first)["GatewayClass podwire"];
  t.notOk(JSON.stringify(features).includes("GatewayStaticAddresses"), "not where Gateways share a Service");
  const between = written(objects, first);
  const second = one("yours")(between);
  const { "HTTPRoute r": status } = byName(second);
  t.match(status.parents, [{ parentRef: { name: "mine" } }, { parentRef: { name: "yours" } }]);
  const then = written(between, second);
  t.same([...one("mine")(then), ...one("yours")(then)], [], "and they do not fight");
});

t.test("beside ingress-nginx, its classes' Ingresses have its addresses", async (t) => {
  const cls = (name: string, controller: string) => ({
    ...{ apiVersion: "networking.k8s.io/v1", kind: "IngressClass", metadata: { name }, spec: { controller } },
  });
  const hosts = { "": [{ path: "/", to: "front" }] };
  const objects = objectsOf(
    ...[cls("podwire", "podwire.dev/ingress"), cls("nginx", "k8s.io/ingress-nginx")],
    ...[
      ingress({ name: "ours", hosts, className: "podwire" }),
      ingress({ name: "theirs", hosts, className: "nginx" }),
    ],
  );
  const others = { areIngresses: false, isGateway: () => false };
  const found = statusWrites(objects, { ingress: PLACE, gateway: () => undefined, others }, NOW);
  t.same(Object.keys(byName(found)), ["Ingress ours"]);
  t.same(Object.keys(byName(writes(objects))), ["Ingress ours", "Ingress theirs"], "a lab has nobody else");
});
