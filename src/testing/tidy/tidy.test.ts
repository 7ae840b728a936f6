// The rules of CONTRIBUTING.md and ARCHITECTURE.md that a machine can check, held against the whole tree; and
// planted sources that break each of them, because a checker that finds nothing may simply not be looking.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import t from "tap";
import { StageId } from "../../dataplane/trace/stage-id.ts";
import { listTests } from "../runner/main.ts";
import { findSubjectGaps } from "../runner/subjects.ts";
import { closeParser, projectRoot, readCode, readSources, type Sources } from "./source-tree.ts";
import { findHotBans, findStaleExceptions, type HotRules } from "./tidy-hot.ts";
import {
  findExits,
  findFileCircles,
  findFloorBreaches,
  findImportBreaches,
  findTableDrift,
  type ImportExceptions,
} from "./tidy-imports.ts";
import {
  findFullFolders,
  findLongFiles,
  findLongFunctions,
  findLongLines,
  findUnfinished,
  type SizeRules,
} from "./tidy-size.ts";
import { findBareIndices, findOwnProtocols, findStalePlain, type PlainArrays } from "./tidy-tuple.ts";
import { findStaleUnused, findUnreadMembers, findUnusedExports, type UnusedRules } from "./tidy-unused.ts";

const HOT: HotRules = {
  cold: {
    "src/dataplane/drop-reason.ts#dropReasonName": "text for people",
    "src/wire/bytes/crc32c.ts#createTables": "once, when the module is loaded",
    "src/wire/bytes/crc32c.ts#createPowers": "once, when the module is loaded",
  },
  allowed: {
    "src/dataplane/engine.ts#forwardFrom: try":
      "the plane's one try: a RangeError there is our bug, counted and kept",
  },
};

const IMPORTS: ImportExceptions = {};

const SIZES: SizeRules = {
  longFiles: {
    "src/dataplane/table/connection/conntrack.ts":
      "one table: lookup, insertion, NAT tuples and expiry share its columns",
  },
  longFunctions: {},
};

const PLAIN: PlainArrays = {
  free: "two, told where it is declared",
  d: "an offset and a length, as `coalesce` lays them down",
  result: "three, as the addon's `segment` lays them down",
};

const FORMAT = "a header's whole format, as its standard has it: tests make and read frames with it";
const UNUSED: UnusedRules = {
  exports: {
    "src/testing/runner/main.ts#main": "scripts/unit-test.mjs",
    "src/testing/hot/#": "hot-child.ts loads a subject by its file and name",
    "src/wire/#": FORMAT,
  },
  forTests: {
    "src/kube/fields/page.ts#fieldsPage": "scripts/fields-page writes docs/fields.md with it",
    "src/config/schema.ts#schemaFields": "docs/fields.md is held to the schemas by it",
    "src/cli/context.ts#forgetNotes": "puts the process back as it was, for the next test file",
    "src/watch/input.ts#forgetInputs": "as above",
    "src/device/frame-queue.ts#vnetHeaderOf": "what a station got beside the frame",
    "src/plane/plane-memory.ts#durableMismatch":
      "whoever finds durable memory asks it first; so far tests alone leave any",
    "src/dataplane/table/fragments.ts#used": "how full a table is: tests look for what leaks",
    "src/dataplane/table/service/affinity.ts#used": "as above",
    "src/wire/#": FORMAT,
  },
  members: {
    "src/base/maybe-pinned.ts#Pin.pinned": "the addon alone looks inside",
    "src/calico/workload-endpoint.ts#type.orchestrator": "of Calico's object, which is printed",
    "src/config/proxy.ts#RawProxy.configSyncPeriod": "taken, and told of: docs/fields.md",
    "src/dissect/#": "a frame taken apart holds its headers' fields, whatever a line of text says of them",
    "src/observe/sync-metrics.ts#type.ip_family": "a metric's label",
    "src/apiserver/stream/channels.ts#InputChannel._read": "Node's streams ask for it",
    "src/apiserver/stream/spdy/session.ts#SpdyStream._read": "as above",
    "src/apiserver/stream/spdy/session.ts#SpdyStream._write": "as above",
    "src/apiserver/stream/spdy/session.ts#SpdyStream._final": "as above",
    "src/apiserver/stream/spdy/session.ts#SpdyStream._destroy": "as above",
    "src/kube/mesh/authorization-policy.ts#PolicySource.notPrincipals":
      "read by its name: l7/mesh/policy-rule.ts",
    "src/kube/mesh/authorization-policy.ts#PolicySource.notNamespaces": "as above",
    "src/kube/mesh/authorization-policy.ts#PolicyOperation.notHosts": "as above",
    "src/kube/mesh/authorization-policy.ts#PolicyOperation.notMethods": "as above",
    "src/lab/pod/stream/terminal.ts#Terminal._read": "as above",
    "src/lab/pod/stream/terminal.ts#Terminal._write": "as above",
    "src/lab/pod/stream/terminal.ts#Terminal._destroy": "as above",
    "src/watch/api-server/kept-pod.ts#KeptPod.toJSON": "JSON.stringify asks for it",
    "src/watch/api-server/kept-service.ts#KeptService.toJSON": "as above",
    "src/watch/api-server/kept-slice.ts#KeptSlice.toJSON": "as above",
  },
};

const root = projectRoot();
const code = readSources(root, ["src", "native-test"], [".ts"]);
const everything = readCode(root);

t.teardown(closeParser);

t.test("hot functions hold nothing that allocates, throws, waits or reads a clock", async (t) => {
  t.same(findHotBans(code, HOT), []);
  t.same(findStaleExceptions(code, HOT), []);
});

t.test("the data plane names the words of a tuple", async (t) => {
  t.same(findBareIndices(code, PLAIN), []);
  t.same(findStalePlain(code, PLAIN), []);
  t.same(findOwnProtocols(code), []);
});

t.test("what is exported is used, by more than tests, and what is declared is read", async (t) => {
  t.same(findUnusedExports(code, UNUSED), []);
  t.same(findUnreadMembers(code, UNUSED), []);
  t.same(findStaleUnused(code, UNUSED), []);
});

t.test("folders import only what the table allows", async (t) => {
  t.same(findImportBreaches(code, IMPORTS), []);
});

t.test("no two files import each other", async (t) => {
  t.same(findFileCircles(code), []);
});

t.test("ARCHITECTURE.md shows the table that is enforced", async (t) => {
  const markdown = readFileSync(join(root, "ARCHITECTURE.md"), "utf8");
  t.same(findTableDrift(markdown), []);
  const row = /(\| `src\/dissect`[^|]*\|[^|]*\|) `wire` \|/;
  t.match(findTableDrift(markdown.replace(row, "$1 |")), [/dissect imports nothing; here: wire/]);
  const [first, second] = markdown.match(/\| `src\/(?:kube|config)`.*\n/g) as string[];
  t.match(findTableDrift(markdown.replace(first + second, second + first)), [
    /the floors stand in another order/,
  ]);
  t.same(findTableDrift("").length, 1);
});

t.test("ARCHITECTURE.md tells of every stage once", async (t) => {
  const [, page = ""] = readFileSync(join(root, "ARCHITECTURE.md"), "utf8").split("## The life of a packet");
  const [table] = page.split("\n## ");
  const told = [...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name);
  const stages = Object.keys(StageId).map((name) => name.toLowerCase().replaceAll("_", "-"));
  t.same(told.toSorted(), stages.filter((name) => name !== "receive").sort());
});

t.test("a floor uses only floors above it", async (t) => {
  t.same(findFloorBreaches(), []);
  t.same(findFloorBreaches({ base: [], plane: ["agent", "base"], agent: ["plane"] }), [
    "plane stands above agent and may not import it",
  ]);
});

t.test("process.exit is called by programs only", async (t) => {
  t.same(findExits(code), []);
});

t.test("files, functions and lines stay readable", async (t) => {
  const kinds = ["podwire", "Vagrantfile", "scripts/test", "scripts/unit-test.mjs", "vagrant/pod-http"];
  for (const path of [...kinds, "vagrant/provision.sh", "src/native/addon.c", "src/bench/gc-trace.cjs"])
    t.ok(path in everything, `${path} is looked at`);
  t.notOk("LICENSE" in everything || "package.json" in everything, "what is no code is not");
  t.same(findLongFiles(everything, SIZES), []);
  t.same(findLongFunctions(code, SIZES), []);
  t.same(findLongLines(everything), []);
});

t.test("a folder shows what it holds at one look", async (t) => {
  const folders = ["src", "native-test", "scripts", "docs"];
  const paths = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name))),
  );
  t.ok(paths.length > 700);
  t.same(findFullFolders(paths), []);
  t.same(findFullFolders(paths.slice(0, 31).map((_, i) => `src/full/${i}.ts`)), [
    "src/full: 31 files, at most 30",
  ]);
});

t.test("the top level holds what it is said to hold, and nothing that a tool left there", async (t) => {
  const kept =
    `.ci .gitignore .npmrc ARCHITECTURE.md CHANGELOG.md CONTRIBUTING.md LICENSE README.md Vagrantfile biome.json
    deploy docs native-test package-lock.json package.json podwire scripts src tsconfig.json vagrant`.split(
      /\s+/,
    );
  const made = [".git", ".node", ".tap", ".vagrant", "build", "coverage", "node_modules"];
  t.same(
    readdirSync(root).filter((name) => ![...kept, ...made].includes(name)),
    [],
  );
});

t.test("every test file belongs to a subject, and every subject's words name files", async (t) => {
  t.same(findSubjectGaps([...listTests("src"), ...listTests("native-test")]), []);
});

t.test("nothing is left unfinished", async (t) => {
  t.same(findUnfinished(everything), []);
});

t.test("provoked: exports and members that nobody uses", async (t) => {
  const planted: Sources = {
    "src/observe/a.ts": `
      export const used = 1; export const own = 2; export const lone = own; export function tried() {}
      export interface Options { read: number; written: number; }
      export class Thing { seen = 0; get unseen() { return this.seen; } done() {} }
      export const { taken, left } = { taken: 1, left: 2 };`,
    "src/agent/b.ts": `
      import * as a from "../observe/a.ts"; const { taken } = a;
      export function go(o: a.Options) { o.written = o.read + a.used; new a.Thing().done(); return taken; }`,
    "src/agent/b.test.ts":
      'import { go } from "./b.ts"; import { tried } from "../observe/a.ts"; go(tried());',
    "src/cli/c.ts": 'import { go } from "../agent/b.ts"; export function register() { go({}); }',
  };
  const rules: UnusedRules = { exports: { "src/cli/#register": "why" }, forTests: {}, members: {} };
  t.same(findUnusedExports(planted, rules), [
    "src/observe/a.ts:2: own is exported, and used in this file alone",
    "src/observe/a.ts:2: lone is used by nobody",
    "src/observe/a.ts:2: tried is used by tests alone",
    "src/observe/a.ts:5: left is used by nobody",
  ]);
  t.same(findUnreadMembers(planted, rules), [
    "src/observe/a.ts:3: nobody reads Options.written",
    "src/observe/a.ts:4: nobody reads Thing.unseen",
  ]);
  const all: UnusedRules = {
    exports: { "src/cli/#register": "", "src/observe/a.ts#": "", "src/observe/gone.ts#x": "" },
    forTests: { "src/agent/b.ts#go": "" },
    members: { "src/#": "" },
  };
  t.same([...findUnusedExports(planted, all), ...findUnreadMembers(planted, all)], []);
  t.same(findStaleUnused(planted, all), [
    "src/observe/gone.ts#x: is excused, but used",
    "src/agent/b.ts#go: is excused, but used",
  ]);
});

t.test("provoked: protocol numbers of a file's own", async (t) => {
  const text =
    "const TCP = 6;\nconst { UDP } = Protocol;\nif (pkt.proto === 17) return UDP;\nconst PROTO_ICMPV6 = 58;";
  t.same(findOwnProtocols({ "src/wire/x.ts": text, "src/wire/x.test.ts": text, "src/cli/x.ts": text }), [
    ...[1, 3, 4].map((line) => `src/wire/x.ts:${line}: take the number from base/protocols.ts`),
  ]);
});

t.test("provoked: bare numbers in tuples", async (t) => {
  const body =
    "a(pkt.key[8]); to[4 + i] = x[i]; t.own.key[i + 4]++; words[3] = 1; words[at + 5] = key[at + 1]; fd[1] = one[0];";
  const found = findBareIndices(
    { "src/dataplane/x.ts": body, "src/wire/x.ts": "key[8];" },
    { fd: "why", gone: "why" },
  );
  t.same(
    found.map((text) => text.replace(/: a bare.*/, "").replace("src/dataplane/x.ts:1: ", "")),
    ["pkt.key[8]", "to[4 + i]", "t.own.key[i + 4]", "words[3]"],
  );
  t.same(findStalePlain({ "src/dataplane/x.ts": body }, { fd: "why", gone: "why" }), [
    "gone: is excused, but not indexed by a number anywhere",
  ]);
});

const hotBans = [
  { body: "return new Uint8Array(x);", ban: "new" },
  { body: "return { x };", ban: "object literal" },
  { body: "return [x];", ban: "array literal" },
  { body: "let a = x; let b = x; [a, b] = y;", ban: "array literal" },
  { body: "const [a] = y; return a;", ban: "array destructuring" },
  { body: "return Math.max(...y);", ban: "spread" },
  { body: "y.forEach((z) => z);", ban: "closure" },
  { body: "return function () {};", ban: "closure" },
  { body: "function inner() {} inner();", ban: "closure" },
  { body: "throw x;", ban: "throw" },
  { body: "try { x++; } finally { x--; }", ban: "try" },
  { body: "for (const z of y) x += z;", ban: "for…of" },
  { body: "for (const z in y) x += z;", ban: "for…in" },
  { body: "return `${" + "x}`;", ban: "template string" },
  { body: "return m instanceof Map;", ban: "Map" },
  { body: "return Set;", ban: "Set" },
  { body: "return 1n;", ban: "BigInt" },
  { body: "return BigInt(x);", ban: "BigInt" },
  { body: "return y.subarray(1);", ban: ".subarray()" },
  { body: "return y.slice(1);", ban: ".slice()" },
  { body: "return Date.now();", ban: "Date" },
  { body: "return performance.now();", ban: "performance" },
  { body: "console.log(x);", ban: "console" },
  { body: "return view.getBigInt64(x);", ban: ".getBigInt64()" },
];
for (const { body, ban } of hotBans) {
  t.test(`provoked: ${ban} in a hot function: ${body}`, async (t) => {
    const found = findHotBans({ "src/wire/x.ts": `export function f(x, y, m, view) {\n  ${body}\n}\n` }, HOT);
    t.equal(found[0], `src/wire/x.ts:2: ${ban} in a hot function`);
  });
}

t.test("provoked: bans reach methods, accessors, arrow functions, parameters and modifiers", async (t) => {
  const source = [
    "class A { method() { return []; } get a() { return []; } static s() { return []; } }",
    "export const arrow = () => [];",
    "async function waits() {}",
    "function* yields() {}",
    "function rest(...all) {}",
    "function initial(a = []) {}",
  ];
  const found = findHotBans({ "src/dataplane/stage/x.ts": source.join("\n") }, HOT);
  t.same(found, [
    ...["array literal", "array literal", "array literal"].map(
      (ban) => `src/dataplane/stage/x.ts:1: ${ban} in a hot function`,
    ),
    ...["array literal", "async", "generator", "rest parameter", "array literal"].map(
      (ban, i) => `src/dataplane/stage/x.ts:${i + 2}: ${ban} in a hot function`,
    ),
  ]);
});

t.test("cold code in hot folders is left alone", async (t) => {
  const source = [
    "const TABLE = [1, 2]; const NAMES = { a: 1 };",
    "class A { constructor() { this.a = new Map(); } }",
    "function types(x: [number], m: Map<string, Set<number>>): { a: 1 } { return x as unknown as { a: 1 }; }",
    "function types2() { const x: number[] = f<Map<string, number>>(); return x!; }",
  ].join("\n");
  const planted: Sources = {
    "src/wire/x.ts": source,
    "src/wire/x.test.ts": "function f() { return []; }",
    "src/cli/x.ts": "function f() { return []; }",
    "src/dataplane/change/x.ts": "function f() { return []; }",
    "src/dataplane/spec/x.ts": "function f() { return []; }",
    "src/dataplane/cold.ts": "function f() { return []; }",
    "src/dataplane/mixed.ts": "function f() { return []; }",
  };
  const cold = { "src/dataplane/cold.ts": "why", "src/dataplane/mixed.ts#f": "why" };
  t.same(findHotBans(planted, { cold, allowed: {} }), []);
  t.same(findStaleExceptions(planted, { cold, allowed: {} }), []);
  const stale = { cold: { "src/wire/gone.ts": "" }, allowed: { "src/wire/x.ts#gone: try": "" } };
  t.same(findStaleExceptions(planted, stale).length, 2);
});

t.test("a name does not make a function cold, nor does a file's", async (t) => {
  const planted: Sources = {
    "src/wire/x.ts": "function createX() { return []; } function describeX() { return {}; }",
    "src/dataplane/table/create-x.ts":
      "function formatX() { return []; } function bytesForX() { return []; }",
  };
  t.same(findHotBans(planted, { cold: {}, allowed: {} }), [
    "src/wire/x.ts:1: array literal in a hot function",
    "src/wire/x.ts:1: object literal in a hot function",
    "src/dataplane/table/create-x.ts:1: array literal in a hot function",
    "src/dataplane/table/create-x.ts:1: array literal in a hot function",
  ]);
});

t.test("one construct can be excused in one function", async (t) => {
  const planted = {
    "src/dataplane/x.ts": "function f() { try { return []; } finally {} } function g() { try {} finally {} }",
  };
  const allowed = { "src/dataplane/x.ts#f: try": "why" };
  t.same(findHotBans(planted, { cold: {}, allowed }), [
    "src/dataplane/x.ts:1: array literal in a hot function",
    "src/dataplane/x.ts:1: try in a hot function",
  ]);
});

const breaches: { from: string; code: string; what: string | undefined }[] = [
  {
    from: "wire/x.ts",
    code: 'import * as p from "../dataplane/packet.ts";',
    what: "wire may not import dataplane",
  },
  {
    from: "wire/x.ts",
    code: 'import fs from "node:fs";',
    what: "wire imports no package and nothing of Node",
  },
  { from: "dataplane/x.ts", code: 'import x from "yaml";', what: "dataplane imports no package" },
  { from: "base/x.ts", code: 'import * as w from "../wire/tcp.ts";', what: "base may not import wire" },
  {
    from: "dissect/x.ts",
    code: 'export { a } from "../observe/a.ts";',
    what: "dissect may not import observe",
  },
  {
    from: "observe/x.ts",
    code: 'const a = await import("../agent/a.ts");',
    what: "observe may not import agent",
  },
  {
    from: "dataplane/stage/x.ts",
    code: 'import { y } from "./y.ts";',
    what: "a stage imports another stage",
  },
  {
    from: "dataplane/stage/x.ts",
    code: 'import { e } from "../engine.ts";',
    what: "a stage imports src/dataplane/engine",
  },
  {
    from: "dataplane/table/x.ts",
    code: 'import type { P } from "../packet.ts";',
    what: "a table is given keys",
  },
  {
    from: "cli/x.ts",
    code: 'import { e } from "../dataplane/engine.ts";',
    what: "cli may not import dataplane",
  },
  {
    from: "observe/x.ts",
    code: 'import { e } from "../dataplane/engine.ts";',
    what: "only plane and offline import the engine",
  },
  {
    from: "device/x.ts",
    code: 'import { p } from "../dataplane/tables.ts";',
    what: "device imports the plane's",
  },
  { from: "device/x.ts", code: 'import { PortRole } from "../dataplane/port.ts";', what: undefined },
  { from: "device/x.ts", code: 'import type { P } from "../dataplane/port.ts";', what: undefined },
  { from: "device/x.ts", code: 'import { type P } from "../dataplane/port.ts";', what: undefined },
  {
    from: "compile/x.ts",
    code: 'import { t } from "../dataplane/tables.ts";',
    what: "compile knows what the plane is told",
  },
  { from: "compile/x.ts", code: 'import type { S } from "../dataplane/spec/services.ts";', what: undefined },
  {
    from: "dataplane/table/x.ts",
    code: 'import type { S } from "../spec/services.ts";',
    what: undefined,
  },
  {
    from: "dataplane/table/x.ts",
    code: 'import { update } from "../change/services.ts";',
    what: "a table is given keys",
  },
  {
    from: "dataplane/stage/link/x.ts",
    code: 'import { update } from "../../change/services.ts";',
    what: "what packets pass does not change tables",
  },
  { from: "compile/x.ts", code: 'import * as lpm from "../dataplane/table/lpm.ts";', what: "not its tables" },
  { from: "compile/x.ts", code: 'import fs from "node:fs";', what: "compile imports nothing of Node" },
  { from: "kube/x.ts", code: 'import fs from "node:fs";', what: "kube imports nothing of Node" },
  { from: "watch/x.ts", code: 'import fs from "node:fs";', what: undefined },
  {
    from: "kubeproxy/x.ts",
    code: 'import { t } from "../dataplane/tables.ts";',
    what: "the rules share nothing with the plane",
  },
  { from: "kubeproxy/words/x.ts", code: 'import { t } from "../../dataplane/tables.ts";', what: undefined },
  {
    from: "bench/x.ts",
    code: 'import { t } from "../../native-test/support/tshark.ts";',
    what: "src imports nothing of native-test",
  },
  { from: "dissect/x.ts", code: 'import { src } from "../wire/ipv4.ts";', what: "import * as" },
  { from: "dissect/x.ts", code: 'import * as ipv4 from "../wire/ipv4.ts";', what: undefined },
  { from: "agent/x.ts", code: 'import { Fdb, createX } from "../dataplane/table/fdb.ts";', what: undefined },
  { from: "plane/x.ts", code: 'import { e } from "../dataplane/engine.ts";', what: undefined },
  { from: "testing/x.ts", code: 'import { e } from "../dataplane/engine.ts";', what: undefined },
  { from: "cli/x.test.ts", code: 'import { e } from "../dataplane/engine.ts";', what: undefined },
  {
    from: "agent/x.ts",
    code: 'import { t } from "../testing/bytes.ts";',
    what: "agent may not import testing",
  },
  { from: "novel/x.ts", code: 'import { t } from "../lab/t.ts";', what: "folder novel is not in the table" },
];
for (const { from, code, what } of breaches) {
  t.test(`${what === undefined ? "allowed" : "provoked"}: src/${from}: ${code}`, async (t) => {
    const found = findImportBreaches({ [`src/${from}`]: code });
    if (what === undefined) t.same(found, []);
    else t.match(found[0], what);
  });
}

t.test("an excused import is excused by file or by folder", async (t) => {
  const planted = { "src/wire/x.ts": 'import * as p from "../dataplane/packet.ts";' };
  t.same(findImportBreaches(planted, { "src/wire/x.ts → src/dataplane/packet.ts": "why" }), []);
  t.same(findImportBreaches(planted, { "wire → dataplane": "why" }), []);
});

t.test("provoked: folders that import each other, barrels, names that say nothing", async (t) => {
  const planted = {
    "src/observe/a.ts": 'import { b } from "../agent/b.ts";',
    "src/agent/b.ts": 'import { a } from "../observe/a.ts";',
    "src/lab/index.ts": "",
    "src/lab/utils/x.ts": "",
    "src/lab/CamelCase.ts": "",
  };
  const found = findImportBreaches(planted).join("\n");
  t.match(found, "folders import each other: observe → agent → observe");
  t.match(found, "no barrels");
  t.match(found, "a name that says nothing");
  t.match(found, "kebab-case");
});

t.test("provoked: files that import each other, over a third and by types alone", async (t) => {
  const planted = {
    "src/lab/a.ts": 'import { b } from "./b.ts";',
    "src/lab/b.ts": 'import type { C } from "./sub/c.ts";',
    "src/lab/sub/c.ts": 'export { a } from "../a.ts";',
  };
  t.same(findFileCircles(planted), [
    "files import each other: src/lab/a.ts → src/lab/b.ts → src/lab/sub/c.ts → src/lab/a.ts",
  ]);
  t.same(findFileCircles({ ...planted, "src/lab/sub/c.ts": "" }), []);
});

t.test("provoked: process.exit outside the programs", async (t) => {
  const exit = "if (x) process.exit(1);";
  t.same(findExits({ "src/observe/x.ts": exit }), [
    "src/observe/x.ts:1: process.exit belongs to agent, cli and lab",
  ]);
  t.same(findExits({ "src/cli/x.ts": exit, "src/bench/x.ts": exit }), []);
});

t.test("provoked: sizes", async (t) => {
  const long = "x();\n".repeat(401);
  const fn = `function big() {\n${"  x();\n".repeat(60)}}`;
  t.same(findLongFiles({ "src/a.ts": long }, SIZES), ["src/a.ts: 401 lines, at most 400"]);
  t.same(findLongFiles({ "src/a.test.ts": long }, SIZES), []);
  t.same(findLongFiles({ "src/a.test.ts": long + long }, SIZES), ["src/a.test.ts: 802 lines, at most 700"]);
  t.same(findLongFiles({ "src/a.ts": long }, { ...SIZES, longFiles: { "src/a.ts": "why" } }), []);
  t.same(findLongFiles({ "src/a.ts": "" }, { ...SIZES, longFiles: { "src/a.ts": "why" } }).length, 1);
  t.same(findLongFunctions({ "src/a.ts": fn }, SIZES), ["src/a.ts:1: big has 62 lines, at most 60"]);
  t.same(findLongFunctions({ "src/a.ts": fn }, { ...SIZES, longFunctions: { "src/a.ts#big": "why" } }), []);
  t.same(findLongFunctions({ "src/a.test.ts": fn }, SIZES), []);
  t.same(findLongLines({ "src/a.ts": "x".repeat(123) }), ["src/a.ts:1: 123 columns, at most 122"]);
  t.same(findUnfinished({ "src/a.ts": `a\n// ${"TO"}${"DO"} later` }), [
    "src/a.ts:2: unfinished work belongs in an issue",
  ]);
});
