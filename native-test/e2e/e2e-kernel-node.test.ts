// The second node is a plain Linux kernel with a bridge, a VXLAN device and iptables: podwire must be its
// equal on the wire.
import t from "tap";
import { cannotRun, TestLab } from "../../src/testing/lab/lab.ts";
import { standardObjects } from "../../src/testing/lab/objects.ts";
import { pathScenario } from "../support/path-scenario.ts";
import { serviceScenario } from "../support/service-scenario.ts";
import { trafficScenario } from "../support/traffic-scenario.ts";

const skip = cannotRun("curl", "ping", "traceroute", "tracepath", "socat", "iperf3", "iptables");
t.test("a podwire node and a kernel node", { skip }, async (t) => {
  const lab = await TestLab.up("kernel", {
    nodes: [{ name: "node1" }, { name: "node2", agent: "kernel" }],
    objects: standardObjects(),
  });
  t.teardown(() => lab.down());
  serviceScenario(t, () => lab);
  pathScenario(t, () => lab);
  trafficScenario(t, () => lab);
});
