// The hot path may leave 4 bytes a packet on the heap: clean code measures below 1, one small array a packet
// 65. And compiled hot code stays compiled: after warm-up nothing in wire/ or dataplane/ is de-optimised.
import t from "tap";
import { type HotRun, measureAlloc, measureHot } from "./hot-run.ts";

const UNITS = 200_000;
/** The compiler is done before half of it; the longest ways, of which each comes up seldom, take more. */
const WARM_UNITS = 400_000;
const LONG_WARM_UNITS = 1_000_000;
const ALLOWED_BYTES = 4;
const WIRE = new URL("./hot-wire.js", import.meta.url);
const PIPELINE = new URL("./hot-pipeline.js", import.meta.url);
const DUAL_STACK = new URL("./hot-dual-stack.js", import.meta.url);
const CONNECTIONS = new URL("./hot-connections.js", import.meta.url);
const USERSPACE = new URL("./hot-userspace.js", import.meta.url);
const POLICY = new URL("./hot-policy.js", import.meta.url);
const HOT_FILES = /\/src\/(?:wire|dataplane)\//;

const subjects: { name: string; run: HotRun }[] = [
  {
    name: "parsers and setters of wire",
    run: { module: WIRE, create: "createWireSubject", units: UNITS, warmUnits: WARM_UNITS },
  },
  {
    name: "packets through the pipeline",
    run: { module: PIPELINE, create: "createPipelineSubject", units: UNITS, warmUnits: WARM_UNITS },
  },
  {
    name: "IPv6 packets through the pipeline",
    run: { module: DUAL_STACK, create: "createDualStackSubject", units: UNITS, warmUnits: WARM_UNITS },
  },
  {
    name: "connections that begin and end, fragments and errors",
    run: {
      module: CONNECTIONS,
      create: "createConnectionsSubject",
      units: UNITS,
      warmUnits: LONG_WARM_UNITS,
    },
  },
  {
    name: "connections that are sent to another endpoint",
    run: { module: USERSPACE, create: "createUserspaceSubject", units: UNITS, warmUnits: WARM_UNITS },
  },
  {
    name: "connections under policies of both kinds",
    run: { module: POLICY, create: "createPolicySubject", units: UNITS, warmUnits: WARM_UNITS },
  },
  {
    name: "connections that are asked about again after each change of policies",
    run: { module: POLICY, create: "createRecheckSubject", units: UNITS, warmUnits: WARM_UNITS },
  },
];
for (const { name, run } of subjects) {
  t.test(`${name} allocate nothing and stay compiled`, async (t) => {
    const { bytesPerUnit, units, deopts } = measureHot(run, HOT_FILES);
    t.ok(units >= UNITS);
    t.ok(bytesPerUnit < ALLOWED_BYTES, `${bytesPerUnit.toFixed(3)} bytes a packet`);
    t.same(deopts, []);
  });
}

const planted = [
  { name: "one array a call", create: "createAllocatingSubject", least: 40 },
  { name: "one boxed number a call", create: "createBoxingSubject", least: 8 },
  { name: "one buffer a call", create: "createBufferSubject", least: 500, units: 20_000 },
];
for (const { name, create, least, units } of planted) {
  t.test(`provoked: ${name} is seen`, async (t) => {
    const { bytesPerUnit } = measureAlloc({ module: WIRE, create, units: units ?? UNITS, warmUnits: 20_000 });
    t.ok(bytesPerUnit >= least, `${bytesPerUnit.toFixed(1)} bytes a call`);
  });
}

t.test("provoked: a second shape of object is seen by the same measurement", async (t) => {
  const run = { module: WIRE, create: "createDeoptingSubject", units: 100_000, warmUnits: 2_000_000 };
  const { deopts } = measureHot(run, /hot-wire/);
  t.ok(deopts.some(({ reason }) => reason === "wrong map"));
});

t.test("provoked: a run in which the collector hides the bytes is refused, not passed", async (t) => {
  const run = { module: WIRE, create: "createAllocatingSubject", units: 8_000_000, warmUnits: 1000 }; // 500 MB
  t.throws(() => measureAlloc(run), /the collector ran/);
});

t.test("provoked: a subject that cannot be run is an error", async (t) => {
  t.throws(() => measureAlloc({ module: WIRE, create: "createNothing", units: 1 }), /createNothing failed/);
});
