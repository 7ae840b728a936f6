// Host ports of pods through the whole pipeline: who is led where, whose source is kept, who comes first, and what
// happens when the pod goes or changes; in every proxy mode.
import t from "tap";
import type { KubeObject, Pod } from "../../kube/objects.ts";
import { placesOf } from "../../testing/judge/host-ports.ts";
import { answerTo, endsOf } from "../../testing/judge/outcome.ts";
import { PlaneSide } from "../../testing/judge/plane.ts";
import { type Scenario, scenario } from "../../testing/judge/scenario.ts";
import { V4, V6, type World } from "../../testing/judge/world.ts";
import { service, slice } from "../../testing/world/proxy-objects.ts";

const PORT = 8088;
const MODES = ["iptables", "nftables", "ipvs", "userspace"];
const ENTRY = 2000;

interface Given {
  readonly port?: object;
  readonly mode?: string;
  readonly more?: readonly KubeObject[];
  readonly address?: string;
}

function scene(world: World, { port = {}, mode = "iptables", more = [], address }: Given = {}): Scenario {
  const base = scenario(2, "iptables", world);
  const places = placesOf(base);
  const at = address ?? world.pods[0];
  const others = places.filter(
    (each) => !((each as Pod).status as Pod["status"]).podIPs?.some(({ ip }) => ip === at),
  );
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "hp", namespace: "default" },
    spec: {
      nodeName: "node1",
      containers: [
        { name: "c", image: "a", ports: [{ containerPort: 8080, hostPort: PORT, protocol: "TCP", ...port }] },
      ],
    },
    status: { podIPs: [{ ip: at }], podIP: at, phase: "Pending" },
  } as unknown as KubeObject;
  const config = { mode, clusterCIDR: world.clusterCidr };
  return { ...base, dual: false, objects: [...others, pod, ...more], proxy: config };
}

interface Asked {
  readonly port?: number;
  readonly entry?: "node" | "uplink" | "pod";
  readonly protocol?: "TCP" | "UDP" | "SCTP";
  readonly id?: number;
}

/** Where a first packet comes out, and what its answer looks like to the sender. */
function ask(side: PlaneSide, from: string, to: string, o: Asked = {}) {
  const { port = PORT, entry = "uplink", protocol = "TCP", id = 7 } = o;
  const flow = { from, entry, to, port, protocol } as Parameters<PlaneSide["shoot"]>[0][0]["flow"];
  const { texts, frames } = side.shoot([{ flow, id, srcPort: ENTRY }], true);
  const got = frames.get(id);
  const answer = got === undefined || protocol !== "TCP" ? undefined : answerTo(got.frame, id + 1);
  if (got === undefined || answer === undefined) return { out: texts.get(id) ?? "", back: "" };
  const back = side.inject([{ where: got.where, frame: answer }]).frames.get(id + 1);
  return { out: texts.get(id) ?? "", back: back === undefined ? "" : `${back.where}: ${endsOf(back.frame)}` };
}

const at = (host: string, port: number): string => `${host}:${port}`;

for (const mode of MODES) {
  for (const world of [V4, V6]) {
    t.test(`${mode}, IPv${world.family}: everybody gets to the pod, and the answer back`, async (t) => {
      const { nodeIp, secondIp, gateway, pods, neighbors } = world;
      const [pod, other] = pods;
      const side = new PlaneSide(scene(world, { mode }));
      const outside = ask(side, neighbors[0], nodeIp);
      t.equal(outside.out, `pod ${pod}: ${neighbors[0]} > ${pod}:8080`, "from outside, who he is");
      t.match(outside.back, `${at(nodeIp, PORT)} > ${at(neighbors[0], ENTRY)}`);
      side.reset();
      t.equal(ask(side, neighbors[0], secondIp).out, `pod ${pod}: ${neighbors[0]} > ${pod}:8080`);
      side.reset();
      t.equal(
        ask(side, neighbors[0], gateway).out,
        `pod ${pod}: ${neighbors[0]} > ${pod}:8080`,
        "the gateway",
      );
      side.reset();
      const near = ask(side, other, nodeIp, { entry: "pod" });
      t.equal(near.out, `pod ${pod}: ${gateway} > ${pod}:8080`, "a pod of this node");
      t.match(near.back, `${at(nodeIp, PORT)} > ${at(other, ENTRY)}`);
      side.reset();
      const self = ask(side, pod, nodeIp, { entry: "pod" });
      t.equal(self.out, `pod ${pod}: ${gateway} > ${pod}:8080`, "the pod itself");
      t.match(self.back, `${at(nodeIp, PORT)} > ${at(pod, ENTRY)}`);
      side.reset();
      const own = ask(side, nodeIp, nodeIp, { entry: "node" });
      t.equal(own.out, `pod ${pod}: ${nodeIp} > ${pod}:8080`, "the node's own programs");
      t.equal(own.back, `host: ${at(nodeIp, PORT)} > ${at(nodeIp, ENTRY)}`);
      t.equal(
        ask(side, neighbors[0], nodeIp, { port: PORT + 1, id: 20 }).out,
        `host: ${neighbors[0]} > ${at(nodeIp, PORT + 1)}`,
      );
    });
  }

  t.test(`${mode}: 127.0.0.1 leads to the pod, and only from the node`, async (t) => {
    const [pod] = V4.pods;
    const side = new PlaneSide(scene(V4, { mode }));
    const { out, back } = ask(side, "127.0.0.1", "127.0.0.1", { entry: "node" });
    t.equal(out, `pod ${pod}: ${V4.gateway} > ${pod}:8080`);
    t.equal(back, `host: 127.0.0.1:${PORT} > 127.0.0.1:${ENTRY}`);
    t.match(ask(side, "127.0.0.1", "127.0.0.9", { entry: "node", id: 20 }).out, `pod ${pod}`);
    t.equal(ask(side, V4.neighbors[0], "127.0.0.1", { id: 30 }).out, "");
    const six = new PlaneSide(scene(V6, { mode }));
    t.match(ask(six, "::1", "::1", { entry: "node" }).out, /^host/, "::1 stays on lo");
  });
}

t.test("UDP and SCTP ports are served apart from TCP's", async (t) => {
  for (const protocol of ["UDP", "SCTP"] as const) {
    const side = new PlaneSide(scene(V4, { port: { protocol } }));
    const [pod] = V4.pods;
    t.match(
      ask(side, V4.neighbors[0], V4.nodeIp, { protocol }).out,
      `pod ${pod}: ${V4.neighbors[0]} > ${pod}:8080`,
    );
    t.match(ask(side, V4.neighbors[0], V4.nodeIp, { id: 20 }).out, /^host/, "TCP is the node's");
  }
});

t.test("hostIP: that address alone, of its family, and only if the node has it", async (t) => {
  const [pod] = V4.pods;
  const [from] = V4.neighbors;
  const reach = (hostIP: string, to: string, entry: "uplink" | "node" = "uplink"): string =>
    ask(new PlaneSide(scene(V4, { port: { hostIP } })), entry === "node" ? to : from, to, {
      entry,
    }).out.split(" ")[0];
  t.equal(reach(V4.secondIp, V4.secondIp), "pod");
  t.equal(reach(V4.secondIp, V4.secondIp, "node"), "pod");
  t.equal(reach(V4.secondIp, V4.nodeIp), "host:");
  t.equal(reach(V4.secondIp, "127.0.0.1", "node"), "host:");
  t.equal(reach("127.0.0.1", "127.0.0.1", "node"), "pod");
  t.equal(reach("127.0.0.1", "127.0.0.2", "node"), "host:");
  t.equal(reach("127.0.0.1", V4.nodeIp), "host:");
  t.equal(reach("0.0.0.0", V4.nodeIp), "pod");
  t.equal(reach("::", V4.nodeIp), "host:");
  t.equal(reach("203.0.113.77", V4.nodeIp), "host:");
  t.equal(reach(pod, V4.nodeIp), "host:");
});

t.test("what a service translates goes to the service, and the rest to the host port", async (t) => {
  const [pod, other] = V4.pods;
  const [from] = V4.neighbors;
  const spec = { type: "NodePort", clusterIP: V4.clusterIp(1), clusterIPs: [V4.clusterIp(1)] };
  const nodePort = service({ spec, port: { nodePort: PORT } });
  const served = slice({ family: 4, endpoints: [{ address: other, node: "node1" }] });
  for (const mode of MODES) {
    const both = new PlaneSide(scene(V4, { mode, more: [nodePort, served] }));
    t.match(ask(both, from, V4.nodeIp).out, `pod ${other}`, `${mode}: the node port goes first`);
    const empty = new PlaneSide(scene(V4, { mode, more: [nodePort] }));
    t.match(ask(empty, from, V4.nodeIp).out, `pod ${pod}`, `${mode}: one without endpoints has no nat rule`);
    const one = new PlaneSide(scene(V4, { mode, port: { hostIP: V4.nodeIp }, more: [nodePort, served] }));
    t.match(
      ask(one, from, V4.nodeIp).out,
      `pod ${other}`,
      `${mode}: even where the host port names the address`,
    );
  }
});

t.test("the port goes with the pod, and with its address; UDP flows notice", async (t) => {
  const udp = { protocol: "UDP" };
  const [first, second] = V4.pods;
  const [from] = V4.neighbors;
  const side = new PlaneSide(scene(V4, { port: udp }));
  const asked = (id: number): string => ask(side, from, V4.nodeIp, { protocol: "UDP", id }).out;
  t.match(asked(1), `pod ${first}`);
  const moved = scene(V4, { port: udp, address: second });
  side.update(moved);
  t.match(asked(2), `> ${second}:8080`, "the same flow, the pod's new address");
  side.update({ ...moved, objects: moved.objects.filter(({ metadata }) => metadata.name !== "hp") });
  t.match(asked(3), /^host/, "nobody has it any more");
  side.update(moved);
  t.match(asked(4), `> ${second}:8080`, "a flow that met nobody is looked at again");
  const ended = moved.objects.map((each) =>
    each.metadata.name === "hp"
      ? ({ ...each, status: { ...(each as Pod).status, phase: "Failed" } } as Pod)
      : each,
  );
  side.update({ ...moved, objects: ended });
  t.match(asked(5), /^host/, "nor has a pod that has ended");
});

t.test("a pod that takes another's place is known by its own port", async (t) => {
  const side = new PlaneSide(scene(V4));
  const named = (): string[] => [...side.node.messages.services.specs()].map(({ name }) => name);
  t.same(named(), [`hostPort ${PORT}/TCP of default/hp`]);
  const { services } = side.node.messages;
  const [id] = [...Array(99).keys()].filter((each) => services.nameOf(each) !== undefined);
  side.update(scene(V4, { port: { hostPort: PORT + 1, protocol: "UDP" } }));
  t.same(named(), [`hostPort ${PORT + 1}/UDP of default/hp`]);
  t.equal(services.nameOf(id as number), undefined, "a number of its own");
});

t.test(
  "a UDP flow ends with its host port, though another one leads to the same container port",
  async (t) => {
    const [pod] = V4.pods;
    const [from] = V4.neighbors;
    const side = new PlaneSide(scene(V4, { port: { protocol: "UDP" } }));
    const asked = (id: number): string => ask(side, from, V4.nodeIp, { protocol: "UDP", id }).out;
    t.match(asked(1), `> ${pod}:8080`);
    side.update(scene(V4, { port: { protocol: "UDP", hostIP: V4.nodeIp } }));
    t.match(asked(2), `> ${pod}:8080`, "still served");
    side.update(scene(V4, { port: { hostPort: 80 } }));
    t.equal(asked(3), `host: ${from} > ${at(V4.nodeIp, PORT)}`);
  },
);

t.test(
  "outside of a load balancer's source ranges: nftables drops first, iptables has host ports first",
  async (t) => {
    const [pod] = V4.pods;
    const [from] = V4.neighbors;
    const spec = {
      type: "LoadBalancer",
      clusterIP: V4.clusterIp(1),
      clusterIPs: [V4.clusterIp(1)],
      loadBalancerSourceRanges: ["198.51.100.0/24"],
    };
    const ranged = service({ spec, port: { port: PORT }, ingress: [{ ip: V4.secondIp }] });
    const more = [ranged, slice({ family: 4, endpoints: [{ address: V4.pods[1], node: "node1" }] })];
    const nft = new PlaneSide(scene(V4, { mode: "nftables", more }));
    t.equal(ask(nft, from, V4.secondIp).out, "", "firewall-check comes before every DNAT");
    t.match(ask(nft, from, V4.nodeIp, { id: 20 }).out, `pod ${pod}`, "at another address");
    t.match(
      ask(nft, V4.outside(1), V4.secondIp, { id: 30 }).out,
      `pod ${V4.pods[1]}`,
      "in the ranges: the Service",
    );
    const iptables = new PlaneSide(scene(V4, { mode: "iptables", more }));
    t.match(
      ask(iptables, from, V4.secondIp).out,
      `pod ${pod}`,
      "KUBE-PROXY-FIREWALL comes after portmap's DNAT",
    );
  },
);

t.test("a pod of another node, or of the host's network, gets no rows", async (t) => {
  const { objects, ...rest } = scene(V4);
  for (const more of [{ nodeName: "node2" }, { hostNetwork: true }]) {
    const changed = objects.map((each) =>
      each.metadata.name === "hp" ? ({ ...each, spec: { ...(each as Pod).spec, ...more } } as Pod) : each,
    );
    const side = new PlaneSide({ ...rest, objects: changed });
    t.match(ask(side, V4.neighbors[0], V4.nodeIp).out, /^host/);
    t.equal(side.node.engine.tables.services.hostPorts, 0);
  }
});
