// Frames gone wrong over real TAPs into a real agent: `scripts/fuzz --target tap`, short. It lives, counts no internal
// error, gives every frame that it drops a reason, and serves as before.
import t from "tap";
import { runTap } from "../../src/testing/fuzz/fuzz-tap.ts";
import { cannotRun } from "../../src/testing/lab/lab.ts";

const skip = cannotRun("curl", "ping");
const FRAMES = 60_000;

t.test(`${FRAMES} hostile frames from two pods do an agent no harm`, { skip }, async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { lines, findings } = await runTap({ seed, frames: FRAMES, lab: "hostile-tap" });
  t.same(findings, [], `seed ${seed}`);
  t.match(lines.join("\n"), /frames\/s.*read by the agent.*DROP REASON.*MALFORMED_IPV4 +\d+/s);
});
