// Makes policies.jsonl, and looks for policies that podwire judges in another way than an API server does.
//   node policies.mjs make JUDGE DEFINITION
//     writes policies.jsonl: the policies of hand-written.txt, and some that were made of them at random
//   node policies.mjs fuzz JUDGE DEFINITION [COUNT SEED]
//     makes more of them and compares; needs npm run build
// README.md says what JUDGE and DEFINITION are.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const here = import.meta.dirname;
const CHANGED = 300;
const SEED = 1;
const SHORT = {
  "@": "tier: Admin, priority: 5, subject: { namespaces: {} }",
  $P: "{ namespaces: {} }",
  $R: "{ action: Deny, from: [{ namespaces: {} }] }",
  $L: "a".repeat(63),
  $N: "{ destinationNamedPort: web }",
};
const KINDS = {
  N: { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
  C: { apiVersion: "policy.networking.k8s.io/v1alpha2", kind: "ClusterNetworkPolicy" },
};
const VALUES = [
  ...[null, {}, [], "", "a", "web", "A", "In", "Exists", "TCP", "Deny", "Accept", "Admin", true, false],
  ...[0, 1, -1, 5, 80, 1000, 1001, 65535, 65536, 70000, 2147483648, 1.5],
  ...["10.0.0.0/8", "10.1.0.0/16", "fd00::/8", "10.0.0.0", "10.0.0.1/33", "a b", "a--b", "80"],
  ...["Ingress", "Egress", { podSelector: {} }, { namespaces: {} }, { nodes: {} }, { port: 80 }, { from: [] }],
];

function written() {
  const lines = readFileSync(join(here, "hand-written.txt"), "utf8").split("\n");
  return lines.flatMap((line) => {
    const [, letter, whole, what, rest] = /^([NC])(!?) (.*?) \|(.*)$/.exec(line) ?? [];
    if (letter === undefined) return [];
    const text = Object.entries(SHORT).reduce((all, [word, means]) => all.replaceAll(word, means), rest);
    const body = whole === "!" ? text : `metadata: { name: p }, spec: {${text} }`;
    return [{ what: `${KINDS[letter].kind}: ${what}`, object: { ...KINDS[letter], ...parse(`{${body} }`) } }];
  });
}

/** Mulberry32. */
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % below;
  };
}

/** Every list and map below a value. */
function holders(value) {
  if (typeof value !== "object" || value === null) return [];
  return [value, ...Object.values(value).flatMap(holders)];
}

/** A policy with one to three things taken away, replaced, doubled or moved below its spec. */
function changed(objects, next) {
  const object = structuredClone(objects[next(objects.length)]);
  for (let i = next(3); i >= 0; i--) {
    const places = holders(object.spec).filter((each) => Object.keys(each).length > 0);
    if (places.length === 0) break;
    const place = places[next(places.length)];
    const keys = Object.keys(place);
    const key = keys[next(keys.length)];
    const others = holders(objects[next(objects.length)].spec);
    const foreign = others.length === 0 ? {} : structuredClone(others[next(others.length)]);
    const isList = Array.isArray(place);
    switch (next(5)) {
      case 0:
        if (isList) place.splice(Number(key), 1);
        else delete place[key];
        break;
      case 1:
        if (isList) place.push(structuredClone(place[key]));
        else place[key] = foreign;
        break;
      case 2:
        if (!isList && !Array.isArray(foreign)) Object.assign(place, foreign);
        else place[key] = foreign;
        break;
      default:
        place[key] = structuredClone(VALUES[next(VALUES.length)]);
    }
  }
  return object;
}

function judged(judge, definition, objects) {
  const input = objects.map((object) => JSON.stringify(object)).join("\n");
  const { stdout, stderr, status } = spawnSync(judge, [definition], { input, maxBuffer: 1 << 30 });
  if (status !== 0) throw new Error(String(stderr));
  return String(stdout).trimEnd().split("\n").map((line) => JSON.parse(line));
}

const [mode, judge, definition, count = "10000", seed = "7"] = process.argv.slice(2);
const own = written();
const seeds = own.map(({ object }) => object).filter(({ spec }) => typeof spec === "object" && spec !== null);
if (mode === "make") {
  const next = random(SEED);
  const more = Array.from({ length: CHANGED }, (_, i) => ({ what: `changed ${i}`, object: changed(seeds, next) }));
  const all = [...own, ...more];
  const verdicts = judged(judge, definition, all.map(({ object }) => object));
  const lines = all.map((one, i) => JSON.stringify({ ...one, ...verdicts[i] }));
  writeFileSync(join(here, "policies.jsonl"), `${lines.join("\n")}\n`);
} else if (mode === "fuzz") {
  const { differenceOf } = await import(join(here, "../../../../../build/src/testing/policy/policy-verdict.js"));
  const next = random(Number(seed));
  const objects = Array.from({ length: Number(count) }, () => changed(seeds, next));
  let differ = 0;
  for (const [i, verdict] of judged(judge, definition, objects).entries()) {
    const difference = differenceOf(objects[i], verdict);
    if (difference === undefined || ++differ > 20) continue;
    console.log(JSON.stringify(objects[i]), "\n", difference);
  }
  console.log(`${objects.length} policies, ${differ} differ`);
  process.exitCode = differ === 0 ? 0 : 1;
} else throw new Error("make or fuzz");
