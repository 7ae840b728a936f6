// Statuses at an API server, podwire's own as judge: by one of several processes, only where something is otherwise, each
// about one version of its object.
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { gatewayResources } from "../../apiserver/custom/gateway-resources.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { KubeObject, Service } from "../../kube/objects.ts";
import { type ListeningCluster, listeningCluster } from "../../testing/api-server/listening-cluster.ts";
import { ingress, objectsOf } from "../../testing/l7/objects.ts";
import { GATEWAY_GROUP, gateway, httpRoute } from "../../testing/l7/random-gateway.ts";
import { StatusKeeper, type StatusKeeperOptions } from "./status-keeper.ts";
import { StatusWriter } from "./status-writer.ts";

const TIMES = { holdMs: 1000, renewMs: 700, retryMs: 100 };
const HTTP = { name: "http", port: 80, protocol: "HTTP" };
const stored = (kind: string): string => `${kind}.${GATEWAY_GROUP}`;
const CLASSES: object[] = [
  {
    ...{ apiVersion: `${GATEWAY_GROUP}/v1`, kind: "GatewayClass", metadata: { name: "podwire" } },
    spec: { controllerName: "podwire.dev/gateway" },
  },
  {
    ...{ apiVersion: "networking.k8s.io/v1", kind: "IngressClass", metadata: { name: "podwire" } },
    spec: { controller: "podwire.dev/ingress" },
  },
];

/** As its API stores them. */
function put(cluster: Cluster, ...values: object[]): void {
  for (const object of objectsOf(...values)) {
    const resource = gatewayResources().find(
      ({ kind, group, version }) => kind === object.kind && object.apiVersion === `${group}/${version}`,
    );
    cluster.update((resource?.convert?.toStored(object) ?? object) as KubeObject);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: statuses of every kind
const statusOf = (cluster: Cluster, kind: string, key: string): any =>
  (cluster.get(kind, key) as unknown as { status?: unknown } | undefined)?.status;

async function until(is: () => boolean): Promise<boolean> {
  for (const end = Date.now() + 15_000; Date.now() < end && !is(); ) await sleep(10);
  return is();
}

function keeper(t: Test, served: ListeningCluster, more: Partial<StatusKeeperOptions> = {}) {
  const lines: string[] = [];
  const made = new StatusKeeper({
    ...{ ingress: { http: 80 }, gateways: "all", status: { addresses: ["192.0.2.1"] }, times: TIMES },
    ...{ access: served.access, isReady: () => true, tell: (line) => lines.push(line) },
    ...more,
  });
  made.start();
  t.teardown(() => made.close());
  return { made, lines };
}

async function shop(t: Test): Promise<ListeningCluster> {
  const served = await listeningCluster(t);
  const { cluster } = served;
  cluster.apply([{ file: "a.yaml", text: "{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }" }]);
  const rules = [{ backendRefs: [{ name: "front", port: 80 }] }];
  put(cluster, ...CLASSES, gateway([HTTP]), httpRoute("r", { rules }));
  put(cluster, ingress({ hosts: { "": [{ path: "/", to: "front" }] }, className: "podwire" }));
  return served;
}

const programmed = (cluster: Cluster): string =>
  statusOf(cluster, stored("Gateway"), "shop/gw")?.conditions?.[1]?.status ?? "";

t.test("statuses of all kinds appear, follow the objects, and then it rests", async (t) => {
  const served = await shop(t);
  const { cluster } = served;
  const { lines } = keeper(t, served);
  t.ok(await until(() => programmed(cluster) === "True"));
  t.match(statusOf(cluster, stored("Gateway"), "shop/gw"), {
    addresses: [{ type: "IPAddress", value: "192.0.2.1" }],
  });
  const route = () => statusOf(cluster, stored("HTTPRoute"), "shop/r")?.parents?.[0]?.conditions?.[1]?.reason;
  t.ok(await until(() => route() === "BackendNotFound"));
  t.ok(await until(() => statusOf(cluster, "Ingress", "shop/web") !== undefined));
  t.match(statusOf(cluster, "Ingress", "shop/web"), { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } });
  t.match(statusOf(cluster, stored("GatewayClass"), "podwire"), { conditions: [{ status: "True" }] });
  put(cluster, {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name: "front", namespace: "shop" } },
    spec: { ports: [{ port: 80 }] },
  });
  t.ok(await until(() => route() === "ResolvedRefs"));
  await sleep(200);
  const versions = (): string[] =>
    ["Gateway", "HTTPRoute", "GatewayClass"].flatMap((kind) =>
      cluster.list(stored(kind)).map(({ metadata }) => metadata.resourceVersion ?? ""),
    );
  const before = versions();
  await sleep(600);
  t.same(versions(), before, "nothing is written that stands there");
  t.same(lines, ["gateway: this process writes the statuses"]);
});

t.test("of two processes one writes, and the other when it has ended", async (t) => {
  const served = await shop(t);
  const { cluster } = served;
  const one = keeper(t, served, { status: { addresses: ["192.0.2.1"] } });
  t.ok(await until(() => programmed(cluster) === "True"));
  const two = keeper(t, served, { status: { addresses: ["192.0.2.2"] } });
  await sleep(500);
  const address = () => statusOf(cluster, stored("Gateway"), "shop/gw").addresses[0].value;
  t.equal(address(), "192.0.2.1");
  t.same(two.lines, []);
  await one.made.close();
  t.equal(programmed(cluster), "True", "who ends says nothing of it: others serve");
  t.ok(await until(() => address() === "192.0.2.2"));
});

t.test("the addresses of a Service, and nothing is programmed before requests are taken", async (t) => {
  const served = await shop(t);
  const { cluster } = served;
  const service = (more: object): void =>
    void cluster.update({
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "gateway", namespace: "shop" } },
      ...{ spec: { type: "LoadBalancer", clusterIPs: ["10.96.0.9"], ports: [{ port: 80 }] }, ...more },
    } as unknown as Service);
  service({ status: {} });
  let isReady = false;
  keeper(t, served, { status: { service: "shop/gateway" }, isReady: () => isReady });
  const reason = () => statusOf(cluster, stored("Gateway"), "shop/gw")?.conditions?.[1]?.reason;
  t.ok(await until(() => reason() === "AddressNotAssigned"));
  service({ status: { loadBalancer: { ingress: [{ ip: "192.0.2.7" }] } } });
  t.ok(await until(() => reason() === "Pending"));
  isReady = true;
  t.ok(await until(() => reason() === "Programmed"));
  t.match(statusOf(cluster, stored("Gateway"), "shop/gw").addresses, [{ value: "192.0.2.7" }]);
});

/** A writer alone; objects as whoever follows the API has them. */
async function writing(t: Test, token?: string) {
  const served = await shop(t);
  const refused: string[] = [];
  const writer = new StatusWriter({
    connection: served.connection(token),
    pathOf: (kind) =>
      kind === "Ingress"
        ? "/apis/networking.k8s.io/v1/ingresses"
        : `/apis/${GATEWAY_GROUP}/v1/gatewayclasses`,
    ...{ onRefused: (why) => refused.push(why), againMs: 20, sameMs: 10_000 },
  });
  t.teardown(() => writer.close());
  const read = (kind: string, key: string): KubeObject => {
    const as = kind === "Ingress" ? kind : stored(kind);
    return { ...served.cluster.get(as, key), kind } as KubeObject;
  };
  return { ...served, writer, refused, read };
}

const conditions = [
  {
    type: "Accepted",
    status: "True",
    reason: "Accepted",
    message: "",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  },
];
const OWN = stored("GatewayClass");

t.test("a status is written as a whole: fields that it has no more go", async (t) => {
  const { cluster, writer, refused, read } = await writing(t);
  const first = { conditions, supportedFeatures: [{ name: "Gateway" }] };
  writer.write([{ object: read("GatewayClass", "podwire"), status: first }]);
  t.ok(await until(() => statusOf(cluster, OWN, "podwire") !== undefined));
  t.same(statusOf(cluster, OWN, "podwire"), first);
  writer.write([{ object: read("GatewayClass", "podwire"), status: { conditions } }]);
  t.ok(await until(() => !("supportedFeatures" in statusOf(cluster, OWN, "podwire"))));
  t.same(refused, []);
});

t.test("nothing is written about a version that is another's by now, nor about what is gone", async (t) => {
  const { cluster, writer, refused, read } = await writing(t);
  const object = read("GatewayClass", "podwire");
  cluster.update({
    ...cluster.get(OWN, "podwire"),
    metadata: { ...object.metadata, labels: { a: "b" } },
  } as KubeObject);
  const gone = { ...object, metadata: { ...object.metadata, name: "gone" } };
  writer.write([
    { object, status: { conditions } },
    { object: gone, status: { conditions } },
    { object: read("Ingress", "shop/web"), status: { loadBalancer: { ingress: [{ ip: "192.0.2.9" }] } } },
  ]);
  t.ok(await until(() => statusOf(cluster, "Ingress", "shop/web")?.loadBalancer?.ingress !== undefined));
  t.equal(statusOf(cluster, OWN, "podwire"), undefined);
  t.same(refused, []);
});

t.test("what a server does not keep it is not told for ever", async (t) => {
  const { cluster, writer, read } = await writing(t);
  const status = { conditions, example: "a field that it does not know" };
  const version = (): string | undefined => cluster.get(OWN, "podwire")?.metadata.resourceVersion;
  const before = version();
  writer.write([{ object: read("GatewayClass", "podwire"), status }]);
  t.ok(await until(() => version() !== before));
  const versions = new Set<string | undefined>();
  const start = performance.now();
  for (let i = 0; i < 10; i++) {
    writer.write([{ object: read("GatewayClass", "podwire"), status }]);
    await sleep(25);
    versions.add(version());
  }
  t.ok(performance.now() - start < 10_000, "sooner than the same is written once more");
  t.equal(versions.size, 1);
});

t.test("one that is refused keeps no other waiting; why is said once", async (t) => {
  const { cluster, writer, refused, read } = await writing(t);
  const bad = { object: read("GatewayClass", "podwire"), status: { conditions: "none" } };
  writer.write([
    bad,
    { object: read("Ingress", "shop/web"), status: { loadBalancer: { ingress: [{ ip: "192.0.2.9" }] } } },
  ]);
  t.ok(await until(() => statusOf(cluster, "Ingress", "shop/web")?.loadBalancer?.ingress !== undefined));
  await sleep(100);
  t.equal(refused.length, 1);
  t.match(refused[0], /^GatewayClass podwire: .*conditions/);
  const nobody = await writing(t, "nobody");
  nobody.writer.write([{ object: nobody.read("GatewayClass", "podwire"), status: { conditions } }]);
  t.ok(await until(() => nobody.refused.length > 0));
  await sleep(60);
  t.match(nobody.refused, [/Unauthorized/]);
  t.equal(nobody.refused.length, 1);
});
