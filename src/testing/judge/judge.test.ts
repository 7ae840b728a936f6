// The parts of the comparison with the kernel that need none: scenarios, packets, podwire's side, the
// comparison itself.
import t from "tap";
import { service, slice } from "../world/proxy-objects.ts";
import { Comparison, type Side } from "./compare.ts";
import { type Flow, flowsOf } from "./flows.ts";
import { hostPortsIn, placesOf } from "./host-ports.ts";
import { frameOf, Seen } from "./outcome.ts";
import { PlaneSide } from "./plane.ts";
import { type Scenario, scenario } from "./scenario.ts";
import { V4, V6 } from "./world.ts";

const LINK = { srcMac: "02:00:00:00:00:01", dstMac: "02:00:00:00:00:02" };

/** The first scenario's nodes and pods, with these Services instead of its own. */
function withServices(...objects: (ReturnType<typeof service> | ReturnType<typeof slice>)[]): Scenario {
  const base = scenario(2, "iptables", V4);
  const places = placesOf(base);
  const services = objects.filter(
    (object): object is ReturnType<typeof service> => object.kind === "Service",
  );
  const proxy = { mode: "iptables", clusterCIDR: V4.clusterCidr };
  return { ...base, objects: [...places, ...objects], proxy, services, affinity: false };
}

function flow(from: string, entry: Flow["entry"], to: string, port = 80): Flow {
  return { from, entry, to, port, protocol: "TCP" };
}

function shootOne(s: Scenario, one: Flow): string | undefined {
  return new PlaneSide(s).shoot([{ flow: one, id: 7, srcPort: 2000 }]).texts.get(7);
}

t.test(
  "a flow to a node port has its Service's affinity, also where a pod has a host port of that number",
  async (t) => {
    const made = scenario(80_015, "iptables", V4); // 30011/UDP is both
    const flows = flowsOf(made).filter(({ port, protocol }) => port === 30_011 && protocol === "UDP");
    const isOwn = ({ to }: Flow): boolean => [V4.nodeIp, V4.secondIp, V4.gateway].includes(to);
    t.ok(hostPortsIn(made).some(({ hostPort, protocol }) => hostPort === 30_011 && protocol === "UDP"));
    t.ok(flows.filter(isOwn).length > 10);
    for (const { affine, to } of flows.filter(isOwn)) t.equal(affine, "svc1 UDP", to);
  },
);

t.test("a seed makes the same scenario and the same packets again", async (t) => {
  for (const world of [V4, V6]) {
    for (const mode of ["iptables", "nftables"] as const) {
      t.strictSame(scenario(5, mode, world), scenario(5, mode, world));
      t.notSame(scenario(5, mode, world).objects, scenario(6, mode, world).objects);
      t.ok(flowsOf(scenario(5, mode, world)).length > 40);
    }
  }
});

t.test("host ports come up in every way, and are asked for at every address", async (t) => {
  for (const world of [V4, V6]) {
    const all = Array.from({ length: 60 }, (_, i) => scenario(i + 1, "iptables", world));
    const seen = new Set<string>();
    for (const s of all) {
      for (const { protocol, hostIP, hostPort } of hostPortsIn(s)) {
        seen.add(protocol).add(hostIP);
        const nodePorts = s.services.flatMap(({ spec }) => (spec.ports ?? []).map((port) => port.nodePort));
        if (nodePorts.includes(hostPort)) seen.add("beside a node port");
        const asked = flowsOf(s).filter((one) => one.port === hostPort && one.protocol === protocol);
        t.ok(asked.some(({ to, entry }) => to === world.nodeIp && entry === "node"));
        t.ok(asked.some(({ to, entry }) => to === world.secondIp && entry === "uplink"));
        t.ok(
          asked.some(
            ({ to, entry, from }) => to === world.gateway && entry === "pod" && from === world.pods[0],
          ),
        );
      }
    }
    for (const what of ["TCP", "UDP", "SCTP", "", world.nodeIp, world.secondIp, "beside a node port"]) {
      t.ok(seen.has(what), `${what} in IPv${world.family}`);
    }
  }
});

t.test("a packet is known by its number, and an error by the packet it is about", async (t) => {
  for (const world of [V4, V6]) {
    for (const protocol of ["TCP", "UDP", "SCTP"] as const) {
      const one = { ...flow(world.pods[0], "pod", world.clusterIp(1)), protocol };
      const seen = new Seen();
      seen.add("uplink", frameOf(one, 77, 2000, LINK));
      t.strictSame([...seen.texts], [[77, `uplink: ${one.from} > ${one.to}:80`]]);
    }
  }
  t.match(
    shootOne(withServices(service()), flow(V4.pods[0], "pod", "172.30.0.41")),
    /^pod \S+: icmp 3\/3 from/,
  );
});

t.test("podwire's side tells what became of a packet", async (t) => {
  const web = slice({ endpoints: [{ address: V4.remotePods[0], node: "node2" }] });
  const s = withServices(service({ spec: { externalIPs: ["203.0.113.9"] } }), web);
  const there = `${V4.remotePods[0]}:8080`;
  t.equal(shootOne(s, flow(V4.pods[0], "pod", "172.30.0.41")), `uplink: ${V4.pods[0]} > ${there}`);
  t.equal(shootOne(s, flow(V4.neighbors[0], "uplink", "172.30.0.41")), `uplink: ${V4.nodeIp} > ${there}`);
  t.equal(shootOne(s, flow(V4.nodeIp, "node", "203.0.113.9")), `uplink: ${V4.nodeIp} > ${there}`);
});

t.test("what the node sends from its pods' gateway meets no refusal that OUTPUT does not have", async (t) => {
  const s = withServices(service({ spec: { externalIPs: ["203.0.113.9"] } })); // no endpoints
  const uplink = `uplink: ${V4.nodeIp} > 203.0.113.9:80`;
  t.equal(shootOne(s, flow(V4.nodeIp, "node", "203.0.113.9")), uplink);
  t.equal(shootOne(s, flow(V4.gateway, "node", "203.0.113.9")), uplink, "though it has a pod's address");
  t.match(shootOne(s, flow(V4.pods[0], "pod", "203.0.113.9")), "icmp 3/3");
  t.match(
    shootOne(s, flow(V4.gateway, "node", "172.30.0.41")),
    "icmp 3/3",
    "a ClusterIP is refused there too",
  );
});

t.test(
  "what the node sends in somebody's name leaves, where policy Local has no endpoint for it",
  async (t) => {
    const spec = { externalIPs: ["203.0.113.9", V4.nodeIp], externalTrafficPolicy: "Local" };
    const web = slice({ endpoints: [{ address: V4.remotePods[0], node: "node2" }] });
    const from = V4.outside(1);
    for (const [mode, out] of [
      ["iptables", `uplink: ${from} > 203.0.113.9:80`],
      ["nftables", undefined],
    ] as const) {
      const s = withServices(service({ spec }), web);
      const s2 = { ...s, proxy: { ...s.proxy, mode } };
      t.equal(shootOne(s2, flow(from, "node", "203.0.113.9")), out, mode);
      t.equal(shootOne(s2, flow(from, "node", V4.nodeIp)), undefined, "INPUT refuses it");
      t.equal(shootOne(s2, flow(from, "uplink", "203.0.113.9")), undefined, "as does FORWARD");
    }
  },
);

t.test("what policy routing does not bring out of host0 stays on lo, unseen", async (t) => {
  const s = withServices(service({ spec: { type: "NodePort" }, port: { nodePort: 30080 } }));
  for (const [to, port, kept] of [
    [V4.nodeIp, 30080, false],
    [V4.nodeIp, 4711, true],
    ["127.0.0.1", 30080, false],
    ["127.0.0.1", 80, true],
    ["203.0.113.9", 30080, false],
  ] as const) {
    const one = flow(V4.nodeIp, "node", to, port);
    const seen = new PlaneSide(s).shoot([{ flow: one, id: 7, srcPort: 2000 }]);
    t.equal(seen.onLo.has(7), kept, `${to}:${port}`);
  }
});

t.test("an error about a packet to the node comes from the address it was sent to", async (t) => {
  const spec = { type: "NodePort" };
  const s = withServices(service({ spec, port: { nodePort: 30080 } }));
  const from = V4.neighbors[0];
  t.equal(
    shootOne(s, flow(from, "uplink", V4.secondIp, 30080)),
    `uplink: icmp 3/3 from ${V4.secondIp} to ${from}`,
  );
});

t.test("sets of outcomes are compared, not single ones", async (t) => {
  const s = withServices(service());
  let packets = 0;
  const side = (choices: number): Side => ({
    shoot: (shots) => {
      const seen = new Seen();
      for (const { id } of shots) seen.texts.set(id, `uplink: ${packets++ % choices}`);
      return seen;
    },
    inject: () => new Seen(),
    forget: () => {},
  });
  t.strictSame(await new Comparison(s, side(2), side(2)).differences(), []);
  const found = await new Comparison(s, side(2), side(3)).differences();
  t.equal(found.length, flowsOf(s).length);
  t.match(found[0], { kernel: { length: 2 }, podwire: { length: 3 } });
});
