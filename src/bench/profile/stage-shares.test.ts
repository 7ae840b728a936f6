import t from "tap";
import { type CpuProfile, stageShares } from "./stage-shares.ts";

const frame = (functionName: string, url = "") => ({ functionName, url, lineNumber: 0, columnNumber: 0 });

/** One sample each 100 µs from 1000 on: 1050 is the first that counts. */
const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame("(root)"), children: [2, 7, 8] },
    { id: 2, callFrame: frame("drainMessages", "plane/worker"), children: [3, 4, 6] },
    { id: 3, callFrame: frame("waitForWork", "plane/worker") },
    { id: 4, callFrame: frame("route", "dataplane/stage/ip/route"), children: [5] },
    { id: 5, callFrame: frame("lookup4", "dataplane/table/routes") },
    { id: 6, callFrame: frame("flush2", "dataplane/send/tx-queue") },
    { id: 7, callFrame: frame("(program)") },
    { id: 8, callFrame: frame("later", "node:internal/timers") },
  ],
  startTime: 1000,
  samples: [5, 2, 4, 5, 3, 6, 7, 8, 5],
  timeDeltas: [0, 100, 100, 100, 100, 100, 100, 100, 100],
};
const findSource = ({ url }: { url: string }): string => (url.startsWith("node:") ? "" : url);

t.test(
  "of a thread's time: whose it was, waiting apart, and the steps that JavaScript's was spent in",
  (t) => {
    const during = { fromUs: 1050, toUs: 1750 };
    const { load, subject, parts, functions } = stageShares(
      "tcp/x",
      "podwire",
      [PROFILE],
      during,
      findSource,
    );
    t.same([load, subject], ["tcp/x", "podwire"]);
    t.same(
      parts.map(({ name, percent }) => [name, Math.round(percent)]),
      [
        ["JavaScript", 67],
        ["writing", 17],
        ["V8 and Node.js", 17],
      ],
    );
    t.same(
      functions.map(({ name, percent }) => [name, Math.round(percent)]),
      [
        ["route", 50], // with the table that it asks
        ["worker", 25],
        ["other", 25],
      ],
      "the sample before, and the one after, do not count",
    );
    t.end();
  },
);

t.test("threads that only waited, and no thread at all, are shares of nothing", (t) => {
  const waited = { ...PROFILE, samples: [3, 3, 3], timeDeltas: [100, 100, 100] };
  for (const profiles of [[waited], []]) {
    const shares = stageShares("x", "before", profiles, { fromUs: 0, toUs: 5000 }, findSource);
    t.same([shares.parts, shares.functions], [[], []]);
  }
  t.end();
});
