// Ingresses and Gateways of a lab's objects, whose statuses follow them.
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { gatewayResources } from "../../apiserver/custom/gateway-resources.ts";
import { parseSpan } from "../../base/address-span.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { Deployment, KubeObject, Pod, Service } from "../../kube/objects.ts";
import { ingress, objectsOf } from "../../testing/l7/objects.ts";
import { gateway, httpRoute } from "../../testing/l7/random-gateway.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
import { type LabObject, planTopology } from "../topology.ts";
import { LabGateways } from "./lab-gateways.ts";
import { OWN_CLASSES } from "./own-classes.ts";

const HTTP = { name: "http", port: 80, protocol: "HTTP" };
const stored = (kind: string): string => `${kind}.gateway.networking.k8s.io`;

interface Lab {
  readonly cluster: Cluster;
  readonly lines: string[];
}

type LabSpec = NonNullable<LabObject["spec"]>;
const POOL = "192.168.50.240-192.168.50.249";

function started(
  spec: LabSpec = { loadBalancer: { pool: POOL } },
  before: (cluster: Cluster) => void = () => {},
): Lab {
  const topology = planTopology("gw", { spec });
  const loadBalancer = topology.loadBalancer?.pool.flatMap((text) => parseSpan(text) ?? []);
  const cluster = makeCluster({ hasApi: true, ...(loadBalancer !== undefined && { loadBalancer }) });
  cluster.apply([{ file: "a.yaml", text: "{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }" }]);
  for (const each of OWN_CLASSES) cluster.update(each);
  before(cluster);
  const lines: string[] = [];
  new LabGateways(cluster, topology, (line) => lines.push(line)).start();
  return { cluster, lines };
}

/** As a kubelet would say. */
function becomesReady(cluster: Cluster, namespace: string): void {
  const conditions = [{ type: "Ready", status: "True" }];
  for (const pod of cluster.list("Pod", namespace) as Pod[])
    cluster.update({ ...pod, status: { ...pod.status, phase: "Running", conditions } } as Pod);
}

const keys = (cluster: Cluster, kind: string, namespace: string): string[] =>
  cluster.list(kind, namespace).map(({ metadata }) => metadata.name);
const PARTS = ["Deployment", "Service", "ConfigMap", "ServiceAccount"];

/** As its API stores them. */
function put(cluster: Cluster, ...values: object[]): void {
  for (const object of objectsOf(...values)) {
    const resource = gatewayResources().find(
      ({ kind, group, version }) => kind === object.kind && object.apiVersion === `${group}/${version}`,
    );
    cluster.update((resource?.convert?.toStored(object) ?? object) as KubeObject);
  }
}

async function until<T>(read: () => T | undefined): Promise<T> {
  for (const end = Date.now() + 15_000; Date.now() < end; ) {
    const value = read();
    if (value !== undefined) return value;
    await sleep(5);
  }
  throw new Error("it did not come");
}

const accepted = (cluster: Cluster, kind: string, key: string) => {
  const object = cluster.get(stored(kind), key) as unknown as {
    status?: {
      conditions?: object[];
      parents?: { conditions: { type: string; status: string; reason: string }[] }[];
    };
  };
  return object.status?.conditions?.length ?? object.status?.parents?.[0]?.conditions[0].reason;
};

t.test(
  "a Gateway and a route get their statuses, and new ones when what they name comes and goes",
  async (t) => {
    const { cluster } = started();
    await until(() => accepted(cluster, "GatewayClass", "podwire"));
    put(
      cluster,
      httpRoute("r", { rules: [{ backendRefs: [{ name: "front", port: 80 }] }] }),
      gateway([HTTP]),
    );
    t.equal(await until(() => accepted(cluster, "HTTPRoute", "shop/r")), "Accepted");
    const resolved = (): string | undefined => {
      const route = cluster.get(stored("HTTPRoute"), "shop/r") as unknown as {
        status: { parents: { conditions: { reason: string }[] }[] };
      };
      return route.status.parents[0].conditions[1].reason;
    };
    t.equal(resolved(), "BackendNotFound");
    put(cluster, {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "front", namespace: "shop" } },
      spec: { ports: [{ port: 80 }] },
    });
    t.equal(await until(() => (resolved() === "ResolvedRefs" ? "yes" : undefined)), "yes");
    const object = cluster.get(stored("Gateway"), "shop/gw") as KubeObject;
    cluster.delete(object);
    t.equal(
      await until(() => {
        const { status } = cluster.get(stored("HTTPRoute"), "shop/r") as unknown as {
          status: { parents: [] };
        };
        return status.parents.length === 0 ? "gone" : undefined;
      }),
      "gone",
    );
    const { version } = cluster.store;
    await sleep(50);
    t.equal(cluster.store.version, version, "and then it rests");
  },
);

t.test("where there is no Ingress and no Gateway nothing is read", async (t) => {
  const { cluster } = started();
  await until(() => accepted(cluster, "GatewayClass", "podwire"));
  let reads = 0;
  const list = cluster.list.bind(cluster);
  cluster.list = (...given) => {
    reads++;
    return list(...given);
  };
  for (let before = -1; before !== reads; await sleep(100)) before = reads; // what its own status made it look at
  const before = reads;
  put(cluster, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "shop" } });
  await sleep(50);
  t.equal(reads, before);
  put(cluster, ingress({ hosts: { "": [{ path: "/", to: "a" }] } }));
  await until(() => (reads > before ? true : undefined));
});

t.test("an Ingress makes a gateway run, has its address, and takes it away with it", async (t) => {
  const { cluster, lines } = started();
  put(cluster, ingress({ hosts: { "": [{ path: "/", to: "a" }] } }));
  const key = "podwire-system/podwire-ingress";
  const service = await until(() => cluster.get("Service", key) as Service | undefined);
  t.same(
    service.spec.ports?.map(({ name, port }) => `${name} ${port}`),
    ["tcp-80 80", "tcp-443 443"],
  );
  t.match(service.spec, { type: "LoadBalancer", externalTrafficPolicy: "Local" });
  const deployment = cluster.get("Deployment", key) as Deployment;
  t.match(deployment.spec.template.spec, {
    serviceAccountName: "podwire-ingress",
    containers: [{ image: "podwire/gateway", args: ["--config", "/etc/podwire/gateway.yaml"] }],
  });
  const { data } = cluster.get("ConfigMap", key) as unknown as { data: Record<string, string> };
  t.match(JSON.parse(data["gateway.yaml"]), {
    source: { kubernetes: {} },
    ingress: { http: 80, https: 443 },
    address: ["0.0.0.0"],
    metrics: { port: 9153 },
  });
  const address = await until(() => {
    const { status } = cluster.get("Ingress", "shop/web") as unknown as {
      status?: { loadBalancer: { ingress?: { ip: string }[] } };
    };
    return status?.loadBalancer.ingress?.[0].ip;
  });
  t.equal(address, "192.168.50.240");
  cluster.delete(cluster.get("Ingress", "shop/web") as KubeObject);
  await until(() => (cluster.get("Service", key) === undefined ? true : undefined));
  t.same(
    PARTS.flatMap((kind) =>
      keys(cluster, kind, "podwire-system").filter((name) => name === "podwire-ingress"),
    ),
    [],
  );
  t.same(lines, []);
});

t.test(
  "a Gateway has one beside it, whose Service has the listeners' ports; programmed once it is ready",
  async (t) => {
    const { cluster } = started();
    const listener = (name: string, port: number, protocol: string) => ({ name, port, protocol });
    const listeners = [HTTP, { ...HTTP, name: "b", hostname: "b.example" }, listener("dns", 9153, "UDP")];
    put(cluster, gateway([...listeners, listener("odd", 99, "example.com/odd")]));
    const key = "shop/gw-podwire";
    const ports = (): string[] =>
      ((cluster.get("Service", key) as Service | undefined)?.spec.ports ?? []).map((each) => each.name ?? "");
    await until(() => (ports().length > 0 ? true : undefined));
    t.same(ports(), ["tcp-80", "udp-9153"]);
    const { data } = cluster.get("ConfigMap", key) as unknown as { data: Record<string, string> };
    const configuration = JSON.parse(data["gateway.yaml"]) as object;
    t.match(
      configuration,
      { gateways: ["shop/gw"], metrics: { port: 9154 } },
      "the metrics have a port of their own",
    );
    t.notMatch(configuration, { ingress: {} });
    const programmed = (): string | undefined => {
      const { status } = cluster.get(stored("Gateway"), "shop/gw") as unknown as {
        status?: { conditions: { status: string; reason: string }[]; addresses?: { value: string }[] };
      };
      return status && `${status.conditions[1].reason} ${status.addresses?.[0]?.value}`;
    };
    await until(() => (programmed() === "Pending 192.168.50.240" ? true : undefined));
    becomesReady(cluster, "shop");
    await until(() => (programmed() === "Programmed 192.168.50.240" ? true : undefined));
    put(cluster, gateway([listener("https", 8443, "TLS")]));
    await until(() => (ports().join() === "tcp-8443" ? true : undefined));
    t.equal(programmed()?.split(" ")[1], "192.168.50.240", "the address stays");
    const next = cluster.get(stored("Gateway"), "shop/gw") as KubeObject & { spec: object };
    cluster.update({ ...next, spec: { ...next.spec, gatewayClassName: "other" } } as KubeObject);
    await until(() => (cluster.get("Service", key) === undefined ? true : undefined));
  },
);

t.test("without a pool it is reached at ports of the nodes", async (t) => {
  const { cluster } = started({ gateways: { ingress: true, replicas: 2, accessLog: "off" } });
  const key = "podwire-system/podwire-ingress";
  const service = await until(() => cluster.get("Service", key) as Service | undefined);
  t.match(service.spec, { type: "NodePort", externalTrafficPolicy: "Cluster" });
  t.match(cluster.get("Deployment", key), { spec: { replicas: 2 } });
  const { data } = cluster.get("ConfigMap", key) as unknown as { data: Record<string, string> };
  t.match(JSON.parse(data["gateway.yaml"]), { accessLog: "off" });
  put(cluster, ingress({ hosts: { "": [{ path: "/", to: "a" }] } }));
  const at = await until(() => {
    const { status } = cluster.get("Ingress", "shop/web") as unknown as {
      status?: { loadBalancer: { ingress?: object[] } };
    };
    return status?.loadBalancer.ingress;
  });
  t.same(at, [{ ip: "192.168.50.11" }, { ip: "192.168.50.12" }]);
});

t.test("somebody's own Service of that name stays, and the gateway does not run", async (t) => {
  const { cluster, lines } = started(undefined, (cluster) =>
    put(cluster, {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: "gw-podwire", namespace: "shop" } },
      spec: { ports: [{ port: 1 }] },
    }),
  );
  put(cluster, gateway([HTTP]));
  await until(() => (lines.length > 0 ? true : undefined));
  t.same(lines, ["gateway shop/gw-podwire does not run: there is another Service of its name"]);
  t.equal(cluster.get("Deployment", "shop/gw-podwire"), undefined);
});

t.test("where the lab's file says so, nobody serves anything", async (t) => {
  const { cluster } = started({ gateways: { enabled: false } });
  put(cluster, gateway([HTTP]), ingress({ hosts: { "": [{ path: "/", to: "a" }] } }));
  await sleep(50);
  t.same(
    PARTS.flatMap((kind) => keys(cluster, kind, "podwire-system")),
    [],
  );
  t.notMatch(cluster.get(stored("Gateway"), "shop/gw"), { status: {} });
});

t.test(
  "labels, annotations and addresses of a Gateway's own; what it may not ask for takes it away",
  async (t) => {
    const { cluster } = started();
    const asking = (more: object): object => {
      const own = gateway([HTTP]) as { spec: object };
      return { ...own, spec: { ...own.spec, ...more } };
    };
    const infrastructure = {
      labels: { team: "edge", "app.kubernetes.io/instance": "mine" },
      annotations: { "example.com/a": "b" },
    };
    put(cluster, asking({ infrastructure, addresses: [{ value: "192.168.50.244" }] }));
    const key = "shop/gw-podwire";
    const status = () =>
      (
        cluster.get(stored("Gateway"), "shop/gw") as unknown as {
          status?: { addresses?: object[]; conditions: object[] };
        }
      ).status;
    await until(() => (status()?.addresses === undefined ? undefined : true));
    t.match(status()?.addresses, [{ value: "192.168.50.244" }]);
    for (const kind of PARTS)
      t.match(cluster.get(kind, key)?.metadata, {
        labels: { team: "edge", "app.kubernetes.io/instance": "gw-podwire" },
        annotations: { "example.com/a": "b" },
      });
    const [pod] = cluster.list("Pod", "shop");
    t.match(pod.metadata, { labels: { team: "edge" }, annotations: { "example.com/a": "b" } });
    put(cluster, asking({ addresses: [{ value: "192.0.2.1" }] }));
    await until(() => (JSON.stringify(status())?.includes("AddressNotUsable") ? true : undefined));
    put(cluster, asking({ addresses: [{ type: "Hostname", value: "a.example" }] }));
    await until(() => (cluster.get("Service", key) === undefined ? true : undefined));
    await until(() => (JSON.stringify(status())?.includes("UnsupportedAddress") ? true : undefined));
  },
);
