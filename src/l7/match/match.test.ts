// Paths and hosts: the maps against the plainest ways to say the same.
import t from "tap";
import { Prng } from "../../testing/prng.ts";
import { HostMap } from "./host-map.ts";
import { normalPath } from "./normal-path.ts";
import { type PathKind, PathMap } from "./path-map.ts";

t.test("a path that is written in several ways is one", async (t) => {
  const cases: [string, string | undefined][] = [
    ["/", "/"],
    ["/a/b", "/a/b"],
    ["/a/", "/a/"],
    ["/a//b///c", "/a/b/c"],
    ["//a", "/a"],
    ["/a/./b", "/a/b"],
    ["/a/../b", "/b"],
    ["/a/b/..", "/a/"],
    ["/a/.", "/a/"],
    ["/%61%2E%2e/b", "/a../b"],
    ["/a/%2e%2E/b", "/b"],
    ["/a%2Fb", "/a%2Fb"],
    ["/a%2F..%2Fb", "/a%2F..%2Fb"],
    ["/%C3%BC", "/ü"],
    ["/%ff", "/%ff"],
    ["/%25", "/%25"],
    ["/%252e%252e/%61", "/%252e%252e/a"],
    ["/%252Fx", "/%252Fx"],
    ["/...", "/..."],
    ["/..", undefined],
    ["/a/../../b", undefined],
    ["/%2e%2e/", undefined],
    ["/%zz", undefined],
    ["/%", undefined],
    ["/a%00", undefined],
  ];
  for (const [path, wanted] of cases) t.equal(normalPath(path), wanted, path);
});

/** Does a rule's path match, by the words of the head of path-map.ts? */
function matches(kind: PathKind, rule: string, path: string): boolean {
  if (kind === "exact") return path === rule;
  if (kind === "start") return path.startsWith(rule);
  const plain = rule.replace(/\/+$/, "");
  return path === plain || path.startsWith(`${plain}/`);
}

t.test("the map finds what a look at every rule finds, in the same order", async (t) => {
  const seed = Date.now() & 0xffff;
  t.comment(`seed ${seed}`);
  const random = new Prng(seed);
  const kinds: PathKind[] = ["exact", "prefix", "start"];
  const draw = (): string => {
    const parts = Array.from({ length: random.below(4) }, () => random.pick(["a", "ab", "b", "abc"]));
    return `/${parts.join("/")}${parts.length > 0 && random.below(3) === 0 ? "/" : ""}`;
  };
  for (let round = 0; round < 300; round++) {
    const rules = Array.from({ length: 1 + random.below(12) }, () => ({
      kind: random.pick(kinds),
      path: draw(),
    }));
    const map = new PathMap<string>();
    for (const { kind, path } of rules) {
      const name = kind === "prefix" ? path.replace(/\/+$/, "") || "/" : path;
      map.at(kind, path, () => `${kind} ${name}`);
    }
    for (let asked = 0; asked < 10; asked++) {
      const path = draw();
      const found: string[] = [];
      map.find(path, (each) => {
        found.push(each);
        return undefined;
      });
      const length = (text: string): number => text.replace(/^prefix \/$/, "prefix ").split(" ")[1].length;
      const wanted = rules
        .filter((rule) => matches(rule.kind, rule.path, path))
        .map(({ kind, path: own }) => `${kind} ${kind === "prefix" ? own.replace(/\/+$/, "") || "/" : own}`)
        .sort((a, b) => {
          const [x, y] = [a, b].map((each) => each.split(" ")[0] as PathKind);
          return length(b) - length(a) || kinds.indexOf(x) - kinds.indexOf(y);
        });
      t.same(found, [...new Set(wanted)], `${path} of ${JSON.stringify(rules)}`);
    }
  }
});

t.test("hosts: the name, then wildcards from the longest, then every host", async (t) => {
  for (const [isDeep, wanted] of [
    [false, ["a.b.example", "*.b.example", ""]],
    [true, ["a.b.example", "*.b.example", "*.example", ""]],
  ] as const) {
    const map = new HostMap<string>(isDeep);
    for (const host of ["", "*.example", "*.b.example", "a.b.example", "b.example"]) map.at(host, () => host);
    const found: string[] = [];
    map.find("a.b.example", (each) => {
      found.push(each);
      return undefined;
    });
    t.same(found, wanted);
    t.equal(
      map.find("c.b.example", (each) => each),
      "*.b.example",
    );
    t.equal(
      map.find("x.example", (each) => each),
      "*.example",
    );
    t.equal(
      map.find("d.c.b.example", (each) => each),
      isDeep ? "*.b.example" : "",
    );
    t.equal(
      map.find("example", (each) => each),
      "",
    );
    t.equal(
      map.find("", (each) => each),
      "",
    );
  }
});
