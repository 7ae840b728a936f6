// `dataplane.resetRemovedEndpoints`: who is told that his endpoint is gone, when, and with which sequence number.

import t from "tap";
import * as build from "../../../testing/frames/frame-builder.ts";
import { tcpFrame } from "../../../testing/frames/frame-builder.ts";
import { makeDualStack, pathTo6, pod6 } from "../../../testing/world/dual-stack.ts";
import { CLIENT, CLIENT_MAC, pathTo } from "../../../testing/world/test-fabric.ts";
import { TestNode } from "../../../testing/world/test-node.ts";
import { Scheduler } from "../../spec/services.ts";

const [VIP, VIP6, POD2, POD3] = ["10.96.0.10", "fd00:10:96::10", "10.244.1.2", "10.244.1.3"];
const ENDS = { srcPort: 41000, dstPort: 80 };

/** A node with one established connection: the client sent from 1000 on, the endpoint 100 bytes from 5000 on. */
function node(resetRemoved = 1, path = pathTo, [client, vip, server] = [POD2, VIP, POD3]): TestNode {
  const made = new TestNode();
  if (client.includes(":")) makeDualStack(made);
  made.tables.config.extra.resetRemoved = resetRemoved;
  setEndpoints(made, [`${server.includes(":") ? `[${server}]` : server}:8080`], vip);
  const there = { ...path(made, client, vip), ...ENDS };
  const back = { ...path(made, server, client), srcPort: 8080, dstPort: 41000 };
  made.through("pod2", tcpFrame({ ...there, flags: "S", seq: 999, ack: 0 }));
  made.through("pod3", tcpFrame({ ...back, flags: "S.", seq: 4999, ack: 1000 }));
  made.through("pod2", tcpFrame({ ...there, flags: ".", seq: 1000, ack: 5000 }));
  made.through("pod3", tcpFrame({ ...back, flags: "P.", seq: 5000, ack: 1000, payload: 100 }));
  made.through("pod2", tcpFrame({ ...there, flags: ".", seq: 1000, ack: 5100 }));
  return made;
}

function setEndpoints(n: TestNode, endpoints: readonly string[], vip = VIP): void {
  n.setService({ name: "web", clusterIp: vip, endpoints, scheduler: Scheduler.LC });
}

const says = (n: TestNode, o: object) => tcpFrame({ ...pathTo(n, POD2, VIP), ...ENDS, ...o });

t.test("a client that waits is told, with the sequence number it waits for", async (t) => {
  const n = node();
  setEndpoints(n, []);
  n.run();
  const out = n.everything();
  t.match(out, [{ port: "pod2", text: `IP ${VIP}.80 > ${POD2}.41000: Flags [R.], seq 5100, ack 1000` }]);
  t.match(n.connections(), [/CLOSE/]);
  t.equal(n.tables.services.schedule.load.active[0], 0);
  n.advanceMs(15_000);
  t.same(n.connections(), []);
  t.same(n.everything(), [], "once");
});

t.test("one that speaks is told at each segment, until it begins anew", async (t) => {
  const n = node();
  setEndpoints(n, [`${POD3}:9090`]);
  n.run();
  n.everything();
  const first = n.through("pod2", says(n, { flags: "P.", seq: 1000, ack: 5050, payload: 10 }));
  t.match(first, { port: "pod2", text: "Flags [R], seq 5050" });
  const again = n.through("pod2", says(n, { flags: "P.", seq: 1000, ack: 5100, payload: 10 }));
  t.match(again, { port: "pod2", text: "Flags [R], seq 5100" });
  t.equal(n.takeDrops().SERVICE_ENDPOINT_REMOVED, 2);
  const syn = n.through("pod2", says(n, { flags: "S", seq: 90_000, ack: 0 }));
  t.match(syn, { port: "pod3", text: "> 10.244.1.3.9090: Flags [S]" });
});

t.test("IPv6", async (t) => {
  const n = node(1, pathTo6, [pod6(1, 2), VIP6, pod6(1, 3)]);
  setEndpoints(n, [], VIP6);
  n.run();
  const text = `IP6 ${VIP6}.80 > ${pod6(1, 2)}.41000: Flags [R.], seq 5100, ack 1000`;
  t.match(n.everything(), [{ port: "pod2", text }]);
});

t.test("an endpoint that is still there, terminating or not ready, keeps its connections", async (t) => {
  const n = node();
  const spec = { name: "web", clusterIp: VIP, endpoints: [`${POD3}:8080`, `${POD3}:9090`] };
  n.setService({ ...spec, scheduler: Scheduler.WLC, weights: [0, 1] });
  n.run();
  t.same(n.everything(), []);
  const on = n.through("pod2", says(n, { flags: "P.", seq: 1000, ack: 5100, payload: 10 }));
  t.match(on, { port: "pod3", text: "> 10.244.1.3.8080: Flags [P.]" });
});

t.test("an endpoint that comes back is another one", async (t) => {
  const n = node();
  setEndpoints(n, []);
  setEndpoints(n, [`${POD3}:8080`]);
  n.run();
  t.match(n.everything(), [{ port: "pod2", text: "Flags [R.]" }]);
});

t.test("with the extension off connections stay where they are, as with kube-proxy", async (t) => {
  const n = node(0);
  setEndpoints(n, []);
  n.run();
  t.same(n.everything(), []);
  const on = n.through("pod2", says(n, { flags: "P.", seq: 1000, ack: 5100, payload: 10 }));
  t.match(on, { port: "pod3", text: "> 10.244.1.3.8080: Flags [P.]" });
});

t.test("a client outside is told from the address it spoke to", async (t) => {
  const n = new TestNode();
  n.tables.config.extra.resetRemoved = 1;
  const spec = { name: "web", clusterIp: VIP, nodePort: 30080 };
  n.setService({ ...spec, endpoints: [`${POD3}:8080`] });
  n.through(
    "uplink",
    build.arpFrame({ senderIp: CLIENT, senderMac: CLIENT_MAC, srcMac: CLIENT_MAC, targetIp: n.address }),
  );
  const there = { ...pathTo(n, CLIENT, n.address), srcPort: 41000, dstPort: 30080 };
  const syn = n.through("uplink", tcpFrame({ ...there, flags: "S", seq: 999, ack: 0 }));
  const masked = Number(/\.(\d+) > /.exec(syn.text)?.[1]);
  const back = { ...pathTo(n, POD3, n.gateway), srcPort: 8080, dstPort: masked };
  n.through("pod3", tcpFrame({ ...back, flags: "S.", seq: 4999, ack: 1000 }));
  n.setService({ ...spec, endpoints: [] });
  n.run();
  const text = `IP ${n.address}.30080 > ${CLIENT}.41000: Flags [R.], seq 5000, ack 1000`;
  t.match(n.everything(), [{ port: "uplink", text }]);
});
