// What the node's own programs send to services at the node's own addresses, once host0 brings it: which endpoint gets
// it, from whom it seems to come, and that the answer finds its way back.
import t from "tap";
import { placesOf } from "../../testing/judge/host-ports.ts";
import { answerTo, endsOf } from "../../testing/judge/outcome.ts";
import { PlaneSide } from "../../testing/judge/plane.ts";
import { scenario } from "../../testing/judge/scenario.ts";
import { V4, V6, type World } from "../../testing/judge/world.ts";
import { service, slice } from "../../testing/world/proxy-objects.ts";

const NODE_PORT = 30_080;

function sideOf(world: World, endpoint: string, proxy: object = {}): PlaneSide {
  const base = scenario(2, "iptables", world);
  const places = placesOf(base);
  const spec = { type: "NodePort", clusterIP: world.clusterIp(1), clusterIPs: [world.clusterIp(1)] };
  const objects = [
    ...places,
    service({ spec, port: { nodePort: NODE_PORT } }),
    slice({ family: world.family, endpoints: [{ address: endpoint, node: "node1" }] }),
  ];
  const config = { mode: "iptables", clusterCIDR: world.clusterCidr, ...proxy };
  return new PlaneSide({ ...base, objects, proxy: config });
}

/** Where a first packet comes out, and what its answer looks like to the sender. */
function ask(side: PlaneSide, from: string, to: string, port = NODE_PORT, entry: "node" | "uplink" = "node") {
  const flow = { from, entry, to, port, protocol: "TCP" as const };
  const { texts, frames } = side.shoot([{ flow, id: 7, srcPort: 2000 }], true);
  const got = frames.get(7);
  const answer = got === undefined ? undefined : answerTo(got.frame, 8);
  if (got === undefined || answer === undefined) return { out: texts.get(7) ?? "", back: "" };
  const back = side.inject([{ where: got.where, frame: answer }]).frames.get(8);
  return { out: texts.get(7) ?? "", back: back === undefined ? "" : `${back.where}: ${endsOf(back.frame)}` };
}

for (const world of [V4, V6]) {
  t.test(`IPv${world.family}: a node port at the node's own address leads to a pod and back`, async (t) => {
    const { nodeIp, gateway, pods } = world;
    const { out, back } = ask(sideOf(world, pods[0]), nodeIp, nodeIp);
    t.equal(out, `pod ${pods[0]}: ${gateway} > ${pods[0]}:8080`);
    t.equal(back, `host: ${nodeIp}:${NODE_PORT} > ${nodeIp}:2000`);
  });

  t.test(
    `IPv${world.family}: an endpoint of the node's own network is asked by us, and we bring the answer`,
    async (t) => {
      const { nodeIp, family } = world;
      const us = family === 4 ? "169.254.1.1" : "fe80::1";
      const side = sideOf(world, nodeIp);
      for (const [to, port] of [
        [nodeIp, NODE_PORT],
        [world.clusterIp(1), 80],
      ] as const) {
        const { out, back } = ask(side, nodeIp, to, port);
        t.equal(out, `host: ${us} > ${nodeIp}:8080`);
        t.equal(back, `host: ${to}:${port} > ${nodeIp}:2000`);
      }
    },
  );

  t.test(`IPv${world.family}: a port of the range that is no service's comes back as it was`, async (t) => {
    const { nodeIp, pods } = world;
    t.equal(ask(sideOf(world, pods[0]), nodeIp, nodeIp, 31_999).out, `host: ${nodeIp} > ${nodeIp}:31999`);
  });
}

t.test("127.0.0.1 serves node ports in iptables mode, unless localhostNodePorts is off", async (t) => {
  const [pod] = V4.pods;
  const { out, back } = ask(sideOf(V4, pod), "127.0.0.1", "127.0.0.1");
  t.equal(out, `pod ${pod}: ${V4.gateway} > ${pod}:8080`);
  t.equal(back, `host: 127.0.0.1:${NODE_PORT} > 127.0.0.1:2000`);
  t.equal(ask(sideOf(V4, pod), "127.0.0.1", "127.0.0.1", 31_999).out, "host: 127.0.0.1 > 127.0.0.1:31999");
  t.match(ask(sideOf(V4, pod), "127.0.0.1", "127.0.0.5").out, `pod ${pod}`, "all of 127.0.0.0/8");
  const off = sideOf(V4, pod, { iptables: { localhostNodePorts: false } });
  const unchanged = `host: 127.0.0.1 > 127.0.0.1:${NODE_PORT}`; // over lo
  t.equal(ask(off, "127.0.0.1", "127.0.0.1").out, unchanged);
  t.equal(ask(sideOf(V4, pod, { mode: "nftables" }), "127.0.0.1", "127.0.0.1").out, unchanged);
});

t.test("nobody outside gets at 127.0.0.1, and 127.0.0.1 does not get out", async (t) => {
  const [pod, other] = V4.pods;
  const side = sideOf(V4, pod);
  t.equal(ask(side, V4.neighbors[0], "127.0.0.1", NODE_PORT, "uplink").out, "");
  t.equal(ask(side, "127.0.0.1", V4.nodeIp, NODE_PORT, "uplink").out, "");
  t.equal(ask(side, "127.0.0.1", other, 8080).out, "");
  t.equal(ask(side, "127.0.0.1", V4.neighbors[0], 8080).out, "");
});
