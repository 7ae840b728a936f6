// Ranges as ends of a matrix: each address of a piece gets one answer, by an evaluator that reads the API's text alone; and
// a piece is called what it is.
import t from "tap";
import { contains, formatIp, ip } from "../../base/ip.ts";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { hostsOf } from "../../testing/policy/cells.ts";
import { clusterOf, type Named } from "../../testing/policy/cluster.ts";
import { evaluate } from "../../testing/policy/evaluator.ts";
import { randomCluster } from "../../testing/policy/random-cluster.ts";
import { testPolicy } from "../../testing/world/policy-world.ts";
import { type End, ownAddresses, podEnds } from "./ends.ts";
import { addressKey, prefixesOf, type RangeWord, rangeEnds, readRange, WORLD } from "./ranges.ts";
import { Reach } from "./reach.ts";

const CLUSTERS = 24;

function read(objects: readonly object[]): KubeObject[] {
  const text = objects.map((object) => JSON.stringify(object)).join("\n---\n");
  return parseManifests([{ file: "cluster", text }]).map(({ object }) => object);
}

const wordOf = (text: string): RangeWord => readRange(text) as RangeWord;
const isIn = ({ name }: End, address: string): boolean => {
  const { range, except } = wordOf(name);
  return contains(range, ip(address)) && !except.some((hole) => contains(hole, ip(address)));
};

t.test(`all addresses of a piece have its answer, in ${CLUSTERS} random clusters`, async (t) => {
  let asked = 0;
  const wrong: string[] = [];
  for (let seed = 1; seed <= CLUSTERS; seed++) {
    const { ground, families, objects } = randomCluster(seed);
    const all = read(objects);
    const cluster = clusterOf(objects);
    const pods = podEnds(all);
    const taken = new Set(ownAddresses(all).map(addressKey));
    const reach = new Reach(all);
    for (const family of families) {
      const pieces = rangeEnds(wordOf(WORLD[family]), prefixesOf(all), taken);
      const hosts = hostsOf(ground, family).filter((host) => !taken.has(addressKey(ip(host))));
      for (const host of hosts) {
        const piece = pieces.filter((one) => isIn(one, host));
        if (piece.length !== 1) wrong.push(`${seed}: ${host} is in ${piece.length} pieces`);
        for (const pod of pods) {
          const address = pod.addresses.find((each) => each.family === family);
          if (address === undefined || pod.families.length > 1) continue;
          const own = formatIp(address);
          for (const [from, to, ends] of [
            [host, own, [piece[0], pod]],
            [own, host, [pod, piece[0]]],
          ] as const) {
            asked++;
            const port = { port: 80, protocol: "TCP" };
            const wanted = evaluate(cluster, { from, to, ...port }).allowed;
            const { allowed } = reach.cell(ends[0], ends[1], port);
            if (allowed !== wanted) wrong.push(`${seed}: ${from} -> ${to}: ${allowed}`);
          }
        }
      }
    }
  }
  t.same(wrong.slice(0, 5), []);
  t.ok(asked > 400, `${asked}`);
});

const POLICY = testPolicy("p", {
  podSelector: {},
  ingress: [
    { from: [{ ipBlock: { cidr: "192.0.2.0/24", except: ["192.0.2.0/28", "192.0.2.128/25"] } }] },
    { from: [{ ipBlock: { cidr: "198.51.100.0/30" } }] },
  ],
}) as Named;
const names = (text: string, taken: string[] = []): string[] =>
  rangeEnds(wordOf(text), prefixesOf(read([POLICY])), new Set(taken.map((each) => addressKey(ip(each))))).map(
    ({ name }) => name,
  );

t.test(
  "a range is cut where policies cut it, and its pieces are called so that they can be asked for",
  async (t) => {
    const whole = [
      "0.0.0.0/0 except 192.0.2.0/24, 198.51.100.0/30",
      "192.0.2.0/24 except 192.0.2.0/28, 192.0.2.128/25",
      ...["192.0.2.0/28", "192.0.2.128/25", "198.51.100.0/30"],
    ];
    t.same(names("0.0.0.0/0"), whole);
    for (const name of whole) t.same(names(name), [name], "by its name it is itself");
    t.same(names("192.0.2.0/26"), ["192.0.2.0/26 except 192.0.2.0/28", "192.0.2.0/28"]);
    t.same(names("192.0.2.4/30"), ["192.0.2.4/30"]);
    t.same(names("::/0"), ["::/0"]);
    t.same(names("2001:db8::/32"), ["2001:db8::/32"]);
  },
);

t.test("addresses of pods and nodes are not its own", async (t) => {
  const first = rangeEnds(wordOf("198.51.100.0/30"), [], new Set([addressKey(ip("198.51.100.0"))]));
  t.equal(formatIp(first[0].addresses[0]), "198.51.100.1");
  t.same(names("198.51.100.0/32", ["198.51.100.0"]), []);
  const halves = [wordOf("192.0.2.0/25").range, wordOf("192.0.2.128/25").range];
  t.same(
    rangeEnds(wordOf("192.0.2.0/24"), halves, new Set()).map(({ name }) => name),
    ["192.0.2.0/25", "192.0.2.128/25"],
    "nothing is left between them",
  );
});

t.test("what is no range", async (t) => {
  for (const text of [
    "192.0.2.0/33",
    "192.0.2.1",
    "shop/web",
    "192.0.2.0/24 except",
    "192.0.2.0/24 except a",
  ])
    t.equal(readRange(text), undefined, text);
});
