// The second uplink driver: a node on libpcap beside one on our own packet socket.
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { standardObjects } from "../../src/testing/lab/objects.ts";
import { ask } from "../support/service-scenario.ts";

t.test("a node whose uplink is libpcap's", { skip: cannotRun("curl", "ping", "ethtool") }, async (t) => {
  const lab = await TestLab.up("pcap", {
    nodes: [{ name: "node1", uplink: { driver: "pcap" } }, { name: "node2" }],
    objects: standardObjects(),
  });
  t.teardown(() => lab.down());

  t.test("pings the other node's pod through the overlay", async (t) => {
    const target = await lab.podAddress("web-2");
    const out = await lab.output(["exec", "client-1", "--", "ping", "-c", "3", "-i", "0.2", "-q", target]);
    t.match(out, /3 received/);
  });

  t.test("reaches a service on both nodes, every time", async (t) => {
    const answers = await ask(lab, "client-1", `http://${await lab.clusterIP("web")}`, 60);
    t.equal(answers.length, 60);
    t.equal(new Set(answers.map((a) => a.pod)).size, 2);
  });
});
