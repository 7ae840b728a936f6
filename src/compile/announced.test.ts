import t from "tap";
import { formatIp } from "../base/ip.ts";
import { ObjectGraph } from "../watch/desired-state.ts";
import { AnnouncedAddresses } from "./announced.ts";

function world() {
  const graph = new ObjectGraph();
  const announced = new AnnouncedAddresses("node1");
  const service = (name: string, from: string, ingress: object[], type = "LoadBalancer"): void =>
    graph.onEvent({
      type: "ADDED",
      object: {
        ...{ apiVersion: "v1", kind: "Service" },
        metadata: { namespace: "default", name, annotations: { "podwire.dev/announced-from": from } },
        ...{ spec: { type, clusterIP: "10.96.0.9", ports: [] }, status: { loadBalancer: { ingress } } },
      } as never,
    });
  const take = (): [string[], string[]] | undefined => {
    const isOther = announced.update(graph, graph.take().services);
    const found = announced.take();
    t.equal(isOther, found !== undefined);
    return found && [found.addresses.map(formatIp), found.told.map(formatIp)];
  };
  return { graph, service, take };
}

t.test("a node announces the addresses of Services that name it, and tells of each once", async (t) => {
  const { graph, service, take } = world();
  t.equal(take(), undefined);
  service("a", "node1", [{ ip: "192.168.50.240", ipMode: "VIP" }, { ip: "fd00::f0" }]);
  service("b", "node2", [{ ip: "192.168.50.241" }]);
  t.same(take(), [
    ["192.168.50.240", "fd00::f0"],
    ["192.168.50.240", "fd00::f0"],
  ]);
  t.equal(take(), undefined, "nothing has changed");
  service("b", "node1", [{ ip: "192.168.50.241" }]);
  t.same(take(), [["192.168.50.240", "fd00::f0", "192.168.50.241"], ["192.168.50.241"]]);
  service("a", "node2", [{ ip: "192.168.50.240" }]);
  t.same(take(), [["192.168.50.241"], []], "what has moved away is not answered for any more");
  graph.onEvent({ type: "DELETED", object: graph.services.get("default/b") as never });
  t.same(take(), [[], []]);
});

t.test("hosts behind a proxy, names and other types are not announced", async (t) => {
  const { service, take } = world();
  service("a", "node1", [{ ip: "192.168.50.240", ipMode: "Proxy" }, { hostname: "lb.example" }]);
  service("b", "node1", [{ ip: "192.168.50.241" }], "NodePort");
  t.equal(take(), undefined);
});
