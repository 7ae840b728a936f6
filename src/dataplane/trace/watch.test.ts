// What a capture says of packets out of the tunnel: each frame by its own way, not by that of the packet around it.
import t from "tap";
import { captureComment } from "../../kubeproxy/words/capture-comment.ts";
import { readCaptureRecord } from "../../kubeproxy/words/read-record.ts";
import * as build from "../../testing/frames/frame-builder.ts";
import { pathTo, TestFabric } from "../../testing/world/test-fabric.ts";
import type { TestNode } from "../../testing/world/test-node.ts";
import * as ring from "./record-ring.ts";
import { Mode } from "./watchers.ts";

const [CLIENT, VIP, SERVER] = ["10.244.1.2", "10.96.0.80", "10.244.2.2"];

/** Captures everything at a node; what comes back takes the lines that were written since. */
function captureAt(node: TestNode): () => string[] {
  const records = new ring.RecordRing(18);
  const { watchers } = node.tables;
  Object.assign(watchers.list[0], { mode: Mode.CAPTURE, remaining: -1, snapLen: 65_536, ring: records });
  watchers.active = 1;
  const names = new Map([...node.ports.values()].map(({ id, name }) => [id, name]));
  return () => {
    const lines: string[] = [];
    for (let body = ring.peek(records); body >= 0; body = ring.peek(records)) {
      const record = readCaptureRecord(records, body, undefined);
      const comment = captureComment(record, undefined, names.get(record.outPort));
      lines.push(`${names.get(record.port)} ${record.direction} ${comment.replace(/^packet \d+: /, "")}`);
      ring.consume(records, body);
    }
    return lines;
  };
}

function fabric(): TestFabric {
  const made = new TestFabric();
  const [one] = made.nodes;
  one.setService({ name: "web", clusterIp: VIP, endpoints: [`${SERVER}:8080`] });
  return made;
}

function connect(made: TestFabric, take: () => string[]): string[] {
  const [one, two] = made.nodes;
  one.send("pod2", build.tcpFrame({ ...pathTo(one, CLIENT, VIP), flags: "S", srcPort: 41000, dstPort: 80 }));
  made.run();
  take();
  const back = { ...pathTo(two, SERVER, CLIENT), flags: "S.", ack: 1, srcPort: 8080, dstPort: 41000 };
  two.send("pod2", build.tcpFrame(back));
  made.run();
  return take();
}

t.test("an answer from another node: at the uplink and at the pod, what was done to it", async (t) => {
  const made = fabric();
  const way =
    "forward to pod2; from the tunnel; conntrack ESTABLISHED reply; NAT source 10.244.2.2:8080 → 10.96.0.80:80";
  t.same(connect(made, captureAt(made.nodes[0])), [`uplink in ${way}`, `pod2 out ${way}`]);
});

t.test("a packet that ends out of the tunnel is told to be dropped, with what its sender gets", async (t) => {
  const made = fabric();
  const [one, two] = made.nodes;
  const take = captureAt(one);
  connect(made, take);
  two.send("pod2", build.udpFrame({ ...pathTo(two, SERVER, CLIENT), payload: 8, ttl: 2 }));
  made.run();
  const why = "dropped: TTL exceeded (TTL_EXCEEDED); from the tunnel; conntrack NEW";
  t.same(take(), [`uplink in ${why}`, `uplink out ${why}`]);
});
