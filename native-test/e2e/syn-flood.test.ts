// `scripts/syn-flood`, short: forged SYNs fill the connection table several times over while a stream runs through the
// node. The stream keeps its rate, the table its bound.
import t from "tap";
import { runSynFlood } from "../../src/bench/syn-flood.ts";
import { cannotRun } from "../../src/testing/lab/lab.ts";

const skip = cannotRun("iperf3");
const MAX = 4096;

t.test("a stream keeps its rate through a SYN flood, and the table its bound", { skip }, async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const flood = { seed, sources: 12_000, rate: 3000, streamMbit: 20, conntrackMax: MAX };
  const r = await runSynFlood({ lab: "syn-flood", ...flood });
  t.ok(r.sent > 0.95 * flood.sources, `${r.sent} SYNs sent`);
  t.ok(r.before > 10, `${r.before} Mbit/s before`);
  t.ok(r.during >= 0.8 * r.before, `${r.during} of ${r.before} Mbit/s`);
  t.ok(r.entriesMax > MAX / 2 && r.entriesMax <= MAX, `${r.entriesMax} entries of ${MAX}`);
  t.ok(r.earlyDrops > flood.sources / 2, `${r.earlyDrops} dropped early`);
  t.notOk(r.drops.INTERNAL_ERROR);
});
