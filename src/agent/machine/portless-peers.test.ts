// Whose packets without ports are taken from a shared NIC: those of whom pods speak to, as long as they do.
import t from "tap";
import { formatIp } from "../../base/ip.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../testing/world/test-fabric.ts";
import { TestNode } from "../../testing/world/test-node.ts";
import { PortlessPeers } from "./portless-peers.ts";

const POD2 = "10.244.1.2";
const POD3 = "10.244.1.3";
const [GRE, ESP] = [47, 50];

function sharedNode(): TestNode {
  const node = new TestNode();
  node.tables.config.router.shared = 1;
  node.send("uplink", build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, targetIp: node.address }));
  node.run();
  node.everything();
  return node;
}

const raw = (node: TestNode, from: string, to: string, proto: number): Uint8Array =>
  build.rawFrame({ ...pathTo(node, from, to), proto, payload: 24 });
/** What the machine's programs print, by the first of their words. */
const quiet =
  (said: Readonly<Record<string, string>> = {}) =>
  async (argv: readonly string[]) =>
    said[argv.slice(0, 2).join(" ")] ?? "";
const settled = async (peers: PortlessPeers, said = quiet()): Promise<string[]> => {
  await peers.settle(said);
  return listOf(peers);
};
const listOf = (peers: PortlessPeers): string[] =>
  peers.answers.flatMap(({ protocol, peers }) => peers.map((peer) => `${protocol} ${formatIp(peer)}`));

t.test("they come with a pod's first packet and go with the connection", async (t) => {
  const node = sharedNode();
  const peers = new PortlessPeers(node.tables);
  t.notOk(peers.look(0));
  t.equal(node.through("pod2", raw(node, POD2, CLIENT, GRE)).port, "uplink");
  t.ok(peers.look(50));
  t.same(await settled(peers), [`${GRE} ${CLIENT}`]);
  t.notOk(peers.look(100), "the same");
  node.through("pod3", raw(node, POD3, CLIENT, ESP));
  t.ok(peers.look(150));
  t.same(await settled(peers), [`${GRE} ${CLIENT}`, `${ESP} ${CLIENT}`]);
  t.equal(node.through("uplink", raw(node, CLIENT, node.address, ESP)).port, "pod3", "answered");
  node.clock.advanceSec(500); // GRE's time is over, ESP's is not
  node.run();
  t.ok(peers.look(15_000));
  t.same(await settled(peers), [`${ESP} ${CLIENT}`]);
  node.clock.advanceSec(601);
  node.run();
  t.ok(peers.look(30_000));
  t.same(await settled(peers), []);
});

t.test("one that is counted before it is in the table is found the next time", async (t) => {
  const node = sharedNode();
  const peers = new PortlessPeers(node.tables);
  peers.look(0);
  peers.look(50);
  const { status } = node.tables.conntrack;
  node.through("pod2", raw(node, POD2, CLIENT, ESP));
  const whole = status[0];
  status[0] = 0;
  t.notOk(peers.look(100));
  status[0] = whole;
  t.ok(peers.look(150));
  t.same(await settled(peers), [`${ESP} ${CLIENT}`]);
});

t.test("what an agent before this one left is found at once", async (t) => {
  const node = sharedNode();
  node.through("pod2", raw(node, POD2, CLIENT, ESP));
  const next = new PortlessPeers(node.tables);
  t.ok(next.look(0));
  t.same(await settled(next), [`${ESP} ${CLIENT}`]);
});

t.test("between pods, with ports, and pings: nothing is looked for", async (t) => {
  const node = sharedNode();
  node.send("pod2", raw(node, POD2, POD3, GRE));
  node.send("pod2", build.udpFrame(pathTo(node, POD2, CLIENT)));
  node.send("pod2", build.tcpFrame({ ...pathTo(node, POD2, CLIENT), flags: "S" }));
  node.send("pod2", build.echoFrame({ ...pathTo(node, POD2, CLIENT), echoId: 1, seq: 1 }));
  node.run();
  t.equal(node.events().SNAT_PORTLESS, undefined);
  const peers = new PortlessPeers(node.tables);
  t.notOk(peers.look(0));
});

t.test("in what the machine speaks itself pods are not answered, and the log says so once", async (t) => {
  const node = sharedNode();
  const peers = new PortlessPeers(node.tables);
  node.through("pod2", raw(node, POD2, CLIENT, GRE));
  node.through("pod3", raw(node, POD3, CLIENT, ESP));
  t.ok(peers.look(0));
  const both = [`${GRE} ${CLIENT}`, `${ESP} ${CLIENT}`];
  t.same(await settled(peers), both);
  const socket =
    "   2: 00000000:0032 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 77 2";
  const tunnel = `[{"ifname":"t0","linkinfo":{"info_kind":"gre"}},{"linkinfo":{"info_kind":"veth"}}]`;
  for (const [said, left] of [
    [{ "cat /proc/self/net/raw": `  sl  local_address rem_address\n${socket}\n` }, [both[0]]],
    [{ "ip -d": tunnel }, [both[1]]],
    [{ "ip xfrm": "src 192.0.2.1 dst 192.0.2.2\n\tproto esp spi 1\n" }, [both[0]]],
    [{}, both],
  ] as const)
    t.same(await settled(peers, quiet(said)), left);
  const other = quiet({ "ip -d": tunnel });
  t.equal(await peers.settle(other), "the machine itself speaks protocol 47: pods are not answered in it");
  t.equal(await peers.settle(other), "");
  t.notOk(peers.look(50));
  t.ok(peers.look(10_050), "it is looked at again");
});
