// Ingresses and Gateways of a lab's objects, whose statuses follow them.
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { gatewayResources } from "../../apiserver/custom/gateway-resources.ts";
import type { Cluster } from "../../cluster/cluster.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { ingress, objectsOf } from "../../testing/l7/objects.ts";
import { gateway, httpRoute } from "../../testing/l7/random-gateway.ts";
import { makeCluster } from "../../testing/world/make-cluster.ts";
import { LabGateways } from "./lab-gateways.ts";
import { OWN_CLASSES } from "./own-classes.ts";

const HTTP = { name: "http", port: 80, protocol: "HTTP" };
const stored = (kind: string): string => `${kind}.gateway.networking.k8s.io`;

function lab(): Cluster {
  const cluster = makeCluster({ hasApi: true });
  cluster.apply([{ file: "a.yaml", text: "{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }" }]);
  for (const each of OWN_CLASSES) cluster.update(each);
  return cluster;
}

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
  for (let i = 0; i < 200; i++) {
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
    const cluster = lab();
    new LabGateways(cluster, (line) => t.fail(line)).start();
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
    t.match(object, { status: { conditions: [{ status: "True" }, { reason: "AddressNotAssigned" }] } });
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
  const cluster = lab();
  new LabGateways(cluster, (line) => t.fail(line)).start();
  await until(() => accepted(cluster, "GatewayClass", "podwire"));
  await sleep(20);
  let reads = 0;
  const list = cluster.list.bind(cluster);
  cluster.list = (...given) => {
    reads++;
    return list(...given);
  };
  put(cluster, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "shop" } });
  await sleep(20);
  t.equal(reads, 0);
  put(cluster, ingress({ hosts: { "": [{ path: "/", to: "a" }] } }));
  await until(() => reads || undefined);
});
