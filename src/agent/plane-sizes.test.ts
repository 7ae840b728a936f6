import t from "tap";
import type { AgentConfig } from "../config/agent.ts";
import { planeSizes } from "./plane-sizes.ts";

t.test(
  "the kernel may have a batch of each worker in its hands, and one worker finds as many slots as by itself",
  async (t) => {
    const slots = (workers: number): number => {
      const about = {
        workers,
        conntrackMax: 1024,
        proxy: { mode: "iptables" },
        uplink: { driver: "packet" },
      };
      return planeSizes(about as unknown as AgentConfig).poolSlots;
    };
    for (const workers of [1, 2, 64]) t.equal(slots(workers), slots(1) + (workers - 1) * 64);
  },
);
