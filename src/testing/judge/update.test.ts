import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { service, slice } from "../world/proxy-objects.ts";
import { Numbers } from "./compare.ts";
import { UpdateComparison, type UpdatedSide } from "./compare-update.ts";
import type { Flow } from "./flows.ts";
import { Seen } from "./outcome.ts";
import { type Scenario, scenario } from "./scenario.ts";
import { later, servingEndpoints, staleEntries } from "./update.ts";
import { V4, V6 } from "./world.ts";

const OWN_EXTERNAL_SEED = 30_018;
const MOVED_HOST_PORT_SEED = 80_102;
const port = { name: "p", protocol: "UDP", port: 53, nodePort: 30_053 };
const spec = { type: "NodePort", clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"], ports: [port] };

/** One UDP Service with these endpoints at port 53. */
function clusterOf(...endpoints: { address: string; serving?: boolean }[]): Scenario {
  const dns = service({ name: "dns", spec });
  const made = slice({ name: "dns", port: { name: "p", protocol: "UDP", port: 53 }, endpoints });
  return { ...scenario(1, "iptables", V4), objects: [dns, made], services: [dns] };
}

function entry(dst: string, dport: number, replySrc: string, protocol = "udp"): string {
  const original = `src=10.244.1.9 dst=${dst} sport=999 dport=${dport}`;
  return `${protocol} 17 9 ${original} src=${replySrc} dst=10.244.1.9 sport=53 dport=999 [ASSURED] mark=0 zone=1 use=1`;
}

t.test("a seed makes the same change again, and changes something", async (t) => {
  for (const world of [V4, V6]) {
    let changes = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const s = scenario(seed, "iptables", world);
      t.strictSame(later(s), later(s));
      if (JSON.stringify(later(s).objects) !== JSON.stringify(s.objects)) changes++;
    }
    t.ok(changes > 10, `${changes} of 20`);
  }
});

t.test("entries are stale whose endpoint no longer serves, whatever they were addressed to", async (t) => {
  const before = clusterOf({ address: "10.244.1.2" }, { address: "10.244.1.3" }, { address: "10.244.1.4" });
  const now = clusterOf({ address: "10.244.1.3" }, { address: "10.244.1.4", serving: false });
  t.strictSame([...servingEndpoints(now)], ["10.244.1.3:53"]);
  const stale = (...of: Parameters<typeof entry>) => staleEntries(before, now)(entry(...of)) !== undefined;
  t.ok(stale("10.96.0.10", 53, "10.244.1.2"));
  t.ok(stale("10.96.0.10", 53, "10.244.1.4"), "it is there, but serves no more");
  t.ok(stale("192.168.50.11", 30_053, "10.244.1.2"), "by node port");
  t.ok(stale("10.96.0.10", 53, "10.96.0.10"), "never translated");
  t.notOk(stale("10.96.0.10", 53, "10.244.1.3"));
  t.notOk(stale("10.96.0.99", 53, "10.244.1.2"), "of no Service");
  t.notOk(stale("10.96.0.10", 53, "10.244.1.2", "tcp"));
  const gone = { ...now, objects: [], services: [] };
  t.ok(staleEntries(before, gone)(entry("10.96.0.10", 53, "10.244.1.3")), "a Service that went");
  t.strictSame(
    staleEntries(before, now)(entry("10.96.0.10", 53, "10.244.1.2"))?.join(" "),
    "--orig-src 10.244.1.9 --orig-dst 10.96.0.10 --sport 999 --dport 53",
  );
});

t.test("entries of a host port are stale once it leads elsewhere, at the node's addresses", async (t) => {
  const held = (containerPort: number): Scenario => {
    const s = clusterOf();
    const ports = [{ containerPort, hostPort: 53, protocol: "UDP" }];
    const pod = {
      kind: "Pod",
      metadata: { name: "hp", namespace: "ns" },
      spec: { nodeName: "node1", containers: [{ name: "c", ports }] },
      status: { podIPs: [{ ip: "10.244.1.2" }] },
    };
    return { ...s, objects: [pod as unknown as KubeObject], services: [] };
  };
  const line = entry("192.168.50.11", 53, "10.244.1.2");
  t.ok(staleEntries(held(53), held(9090))(line));
  t.notOk(staleEntries(held(53), held(53))(line));
  t.ok(staleEntries(held(53), held(9090))(entry("192.168.50.11", 53, "192.168.50.11")), "never translated");
  t.notOk(
    staleEntries(held(53), held(9090))(entry("10.96.0.77", 53, "10.244.1.2")),
    "of a Service with that port",
  );
  t.notOk(staleEntries(held(53), held(9090))(entry("192.168.50.11", 54, "10.244.1.2")));
  t.ok([...servingEndpoints(held(9090))].includes("10.244.1.2:9090"));
});

t.test(
  "an endpoint of two slices serves if the one that kube-proxy believes says so: the last that is here",
  async (t) => {
    const made = (...names: string[]): Scenario => {
      const s = clusterOf();
      const slices = names.map((name, i) =>
        slice({
          name: "dns",
          slice: name,
          port: { name: "p", protocol: "UDP", port: 53 },
          endpoints: [{ address: "10.244.1.2", node: "node1", serving: i === 0, ready: i === 0 }],
        }),
      );
      return { ...s, objects: [...s.services, ...slices] };
    };
    t.strictSame([...servingEndpoints(made("a"))], ["10.244.1.2:53"]);
    t.strictSame([...servingEndpoints(made("a", "b"))], []);
  },
);

t.test(
  "a node port's entry is not the host port's, though both lead to one endpoint of the pod",
  async (t) => {
    const both = (proxy: object, containerPort: number): Scenario => {
      const s = clusterOf({ address: "10.244.1.2" });
      const ports = [{ containerPort, hostPort: port.nodePort, protocol: "UDP" }];
      const pod = {
        kind: "Pod",
        metadata: { name: "hp", namespace: "ns" },
        spec: { nodeName: "node1", containers: [{ name: "c", ports }] },
        status: { podIPs: [{ ip: "10.244.1.2" }] },
      };
      const proxied = { ...s.proxy, mode: "iptables", nodePortAddresses: [], ...proxy };
      return { ...s, proxy: proxied, objects: [...s.objects, pod as unknown as KubeObject] };
    };
    const line = entry(V4.secondIp, port.nodePort, "10.244.1.2");
    t.notOk(staleEntries(both({}, 53), both({}, 9090))(line), "kube-proxy's rules come first");
    const elsewhere = { nodePortAddresses: [`${V4.nodeIp}/32`] };
    t.ok(staleEntries(both(elsewhere, 53), both(elsewhere, 9090))(line), "where it is no node port");
  },
);

/** How many flows differ over a change when one side leads those that are meant elsewhere. */
async function differing(
  change: { before: Scenario; now: Scenario },
  isMeant: (flow: Flow) => boolean,
): Promise<number> {
  const side = (isOdd: boolean): UpdatedSide => ({
    begin: () => {},
    shoot: (shots) => {
      const seen = new Seen();
      for (const { flow, id } of shots)
        seen.texts.set(id, isOdd && isMeant(flow) ? "uplink: y" : "uplink: x");
      return seen;
    },
    inject: () => new Seen(),
    update: () => {},
  });
  const sides = { kernel: side(false), podwire: side(true) };
  return (await new UpdateComparison(change, sides, new Numbers()).differences()).length;
}

t.test("what a Service's going leaves to lo is not compared, anything else is", async (t) => {
  const made = scenario(OWN_EXTERNAL_SEED, "nftables", V4); // svc0 has the node's address as an external one, and goes
  const change = { before: made, now: later(made) };
  t.notOk(change.now.services.some(({ metadata }) => metadata.name === "svc0"));
  const isPort = ({ to, port }: Flow): boolean => to === V4.nodeIp && port === 80;
  t.equal(await differing(change, (flow) => isPort(flow) && flow.entry === "node"), 0);
  t.ok(
    (await differing(change, (flow) => isPort(flow) && flow.entry !== "node")) > 0,
    "to those who come from elsewhere",
  );
  t.ok(
    (await differing(change, (flow) => flow.entry === "node" && flow.to === V4.clusterIp(0))) > 0,
    "to the ClusterIP",
  );
});

t.test("neither is a host port's that moved to another address of the node", async (t) => {
  const made = scenario(MOVED_HOST_PORT_SEED, "iptables", V4); // 53/TCP at both addresses, then at the second alone
  const change = { before: made, now: later(made) };
  const own = (to: string) => (flow: Flow) =>
    flow.entry === "node" && flow.to === to && flow.port === 53 && flow.protocol === "TCP";
  t.equal(await differing(change, own(V4.nodeIp)), 0);
  t.ok((await differing(change, own(V4.secondIp))) > 0);
});
