// That a de-optimisation is found where there is one. alloc.test.ts looks for them in the hot code.
import t from "tap";
import { findDeopts, parseDeopts } from "./hot-run.ts";

const WIRE = new URL("./hot-wire.js", import.meta.url);
const HOT_FILES = /\/src\/(?:wire|dataplane)\//;

t.test("provoked: a second shape of object after warm-up is seen, with its place and reason", async (t) => {
  const run = { module: WIRE, create: "createDeoptingSubject", units: 100_000, warmUnits: 2_000_000 };
  const deopts = findDeopts(run, /(?:)/);
  const planted = deopts
    .filter(({ location }) => /hot-wire/.test(location))
    .find(({ reason }) => reason === "wrong map"); // where the object is made may come first
  t.match(planted, { location: /hot-wire\.[jt]s:\d+:\d+/, reason: "wrong map" });
  const ofHotFiles = deopts.filter(({ location }) => HOT_FILES.test(location));
  t.same(ofHotFiles, [], "and belongs to no hot file");
});

t.test("lines of V8's log are read, others passed over", async (t) => {
  const log = [
    "new,MemoryChunk,0x7f,262144",
    "code-deopt,48855,640,0x7f,0,76,deopt-eager,<file:///a/src/wire/tcp.js:2:27> inlined at <file:///b.js:3:9>,wrong map",
    "code-deopt,48923,256,0x7f,-1,76,deopt-lazy,<file:///a/b.js:2:27>,(unknown)",
    "",
  ].join("\n");
  t.same(
    parseDeopts(log).map(({ kind, reason }) => [kind, reason]),
    [
      ["deopt-eager", "wrong map"],
      ["deopt-lazy", "(unknown)"],
    ],
  );
  t.match(parseDeopts(log)[0].location, HOT_FILES);
});
