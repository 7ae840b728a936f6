// Frames gone wrong, in each mode of the proxy: their traces say what happened, see fuzz-trace.ts.
import t from "tap";
import { runTraced } from "./fuzz-trace.ts";

const FRAMES = 1200; // a mode: enough for every kind of frame by every port
t.setTimeout(120_000);

for (const mode of ["iptables", "nftables", "ipvs", "userspace"] as const) {
  t.test(`what is traced of ${FRAMES} hostile frames is what happened, ${mode}`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const [first] = runTraced({ seed, frames: FRAMES, mode, perKind: 100 });
    t.equal(first, undefined, `seed ${seed}`);
  });
}
