// One plane, whoever hosts it: the same tables of the same size, with a seed, made in one place.
import t from "tap";
import { readProxyConfig } from "../config/proxy.ts";
import type { Engine } from "../dataplane/engine.ts";
import { FieldProblems } from "../kube/manifest/field-problems.ts";
import { loadNative } from "../native/binding.ts";
import { offlineConfig } from "../offline/offline-config.ts";
import { OfflineNode } from "../offline/offline-node.ts";
import { projectRoot, readSources } from "../testing/tidy/source-tree.ts";
import { TestNode } from "../testing/world/test-node.ts";
import { InlinePlane } from "./inline-plane.ts";
import { createPlaneEngine } from "./plane-engine.ts";
import { allocate, open } from "./plane-memory.ts";

const SEED = 7;
const SIZES = {
  ...{ conntrackLog2: 12, maxPorts: 4, fdbLog2: 4, neighborsLog2: 4, stationsLog2: 4, poolSlots: 4 },
  ...{ frontendsLog2: 10, endpointsLog2: 10, policyRulesLog2: 4, seed: SEED },
};
t.test("every host's engine has the plane's sizes", async (t) => {
  const native = loadNative();
  const inline = new InlinePlane(native, SIZES);
  t.teardown(() => inline.stop());
  t.equal(
    inline.engine.tables.conntrack,
    inline.tables.conntrack,
    "what others read is what the engine writes",
  );
  t.equal(inline.engine.tables.isSettling, 1, "one of a real node waits for what is still to come");
  const proxy = readProxyConfig({}, new FieldProblems());
  const shared = open(allocate(SIZES), SIZES);
  const hosts: Readonly<Record<string, Engine>> = {
    worker: createPlaneEngine(SIZES, { io: native, offload: native, shared }),
    inline: inline.engine,
    offline: new OfflineNode(offlineConfig("node1", proxy, []), [], { seed: SEED }).engine,
    test: new TestNode({ sizes: { seed: SEED } }).engine,
  };
  for (const [name, { tables }] of Object.entries(hosts)) {
    t.equal(tables.affinity.mask + 1, 131_072, `${name}: affinity`);
    t.equal(tables.affinity.seed, SEED, `${name}: seed of affinity`);
    t.equal(tables.pending.capacity, 2048, `${name}: pending connections`);
    t.equal(tables.pending.owner.length, tables.conntrack.capacity, `${name}: pending, by connection`);
    t.equal(tables.fragments.seed, SEED, `${name}: seed of fragments`);
    t.equal(tables.fdb.seed, SEED, `${name}: seed of the FDB`);
  }
});

t.test("engines are made in one place, which the worker uses, too", async (t) => {
  const sources = readSources(projectRoot(), ["src", "native-test"], [".ts"]);
  const made = Object.entries(sources).filter(([, text]) => /\bnew (?:\w+\.)?Engine\(/.test(text));
  t.same(
    made.map(([path]) => path),
    ["src/plane/plane-engine.ts"],
  );
  t.match(sources["src/plane/worker.ts"], /createPlaneEngine\(init\.sizes, \{/);
});
