import t from "tap";
import type { AgentConfig } from "../config/agent.ts";
import { udpFrame } from "../testing/frames/frame-builder.ts";
import { pathTo, TestFabric } from "../testing/world/test-fabric.ts";
import { planeSizes } from "./plane-sizes.ts";

function slots(workers: number): number {
  const about = { workers, conntrackMax: 1024, proxy: { mode: "iptables" }, uplink: { driver: "packet" } };
  return planeSizes(about as unknown as AgentConfig).poolSlots;
}

t.test(
  "the kernel may have a batch of each worker in its hands, and one worker finds as many slots as by itself",
  async (t) => {
    for (const workers of [1, 2, 64]) t.equal(slots(workers), slots(1) + (workers - 1) * 64);
  },
);

t.test(
  "what six pods first send to another node waits until that has answered, and nothing of it is lost",
  async (t) => {
    const fabric = new TestFabric({ poolSlots: slots(1) });
    const [node, other] = fabric.nodes;
    const [pods, each] = [[2, 3, 4, 5, 6, 7], 40];
    for (const pod of pods.slice(2)) node.addPod(pod);
    for (const pod of pods) {
      const path = pathTo(node, `10.244.1.${pod}`, "10.244.2.2");
      for (let i = 0; i < each; i++)
        node.send(`pod${pod}`, udpFrame({ ...path, srcPort: 100 * pod, payload: i }));
    }
    fabric.run();
    const got = other
      .texts("pod2")
      .map((text) => /\.(\d+)\.\d+ > .*length (\d+)$/.exec(text)?.slice(1).map(Number));
    for (const pod of pods) {
      const lengths = got.flatMap((one) => (one?.[0] === pod ? [one[1]] : []));
      t.same(
        lengths,
        Array.from({ length: each }, (_, i) => i),
        `pod ${pod}: all, in order`,
      );
    }
    t.same([node.drops(), other.drops()], [{}, {}]);
    fabric.settle();
  },
);
