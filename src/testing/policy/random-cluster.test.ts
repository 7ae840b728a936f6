import t from "tap";
import { parseManifests } from "../../kube/manifest/manifest.ts";
import { allCells, someCells } from "./cells.ts";
import { addressesOf, clusterOf } from "./cluster.ts";
import { evaluate } from "./evaluator.ts";
import { laterCluster, type RandomCluster, randomCluster } from "./random-cluster.ts";

const CLUSTERS = 120;
const all = Array.from({ length: CLUSTERS }, (_, seed) => randomCluster(seed + 1));
const texts = (clusters: readonly RandomCluster[]): string =>
  JSON.stringify(clusters.map(({ objects }) => objects));

t.test("a seed makes the same cluster and the same change again, another seed others", async (t) => {
  t.strictSame(randomCluster(7), randomCluster(7));
  t.notSame(randomCluster(7).objects, randomCluster(8).objects);
  t.strictSame(laterCluster(randomCluster(7), 3), laterCluster(randomCluster(7), 3));
  const unchanged = all.filter(
    (cluster) => texts([laterCluster(cluster, cluster.seed)]) === texts([cluster]),
  );
  t.ok(unchanged.length < CLUSTERS / 10, `${unchanged.length} changes change nothing`);
});

t.test("what is drawn is what an API server takes, before and after a change", async (t) => {
  for (const cluster of all) {
    for (const { objects } of [cluster, laterCluster(cluster, cluster.seed)]) {
      const text = objects.map((object) => JSON.stringify(object)).join("\n---\n");
      t.doesNotThrow(() => parseManifests([{ file: `seed-${cluster.seed}`, text }]));
    }
  }
});

t.test("everything that policies can say comes up", async (t) => {
  const text = texts(all);
  const words = [
    ...["In", "NotIn", "Exists", "DoesNotExist"].map((operator) => `"operator":"${operator}"`),
    ...["Accept", "Deny", "Pass"].map((action) => `"action":"${action}"`),
    ...["Admin", "Baseline"].map((tier) => `"tier":"${tier}"`),
    ...["from", "to", "ports", "ingress", "egress", "policyTypes"].map((field) => `"${field}":[]`),
    ...["except", "endPort", "networks", "nodes", "destinationNamedPort", "hostNetwork", "ipBlock"],
    ...[
      "initContainers",
      '"restartPolicy":"Always"',
      '"phase":"Succeeded"',
      '"phase":"Failed"',
      '"port":"web"',
    ],
    ...['"namespaceSelector":{}', '"podSelector":{}', '"range":', '"number":', '"protocol":"SCTP"'],
    "kubernetes.io/metadata.name",
  ];
  for (const word of words) t.ok(text.includes(word), word);
  t.same(new Set(all.map(({ families }) => families.join())), new Set(["4", "6", "4,6", "6,4"]));
});

t.test("many cells are allowed and many denied, by every tier and by isolation", async (t) => {
  let allowed = 0;
  let asked = 0;
  const reasons = new Set<string>();
  for (const cluster of all) {
    for (const cell of someCells(cluster, 200)) {
      const answer = evaluate(clusterOf(cluster.objects), cell);
      asked++;
      if (answer.allowed) allowed++;
      for (const { why } of [answer.egress, answer.ingress]) {
        const tier = /(Accept|Deny) \((Admin|Baseline) tier\)/.exec(why);
        const kind = tier ?? /isolated by|(in|e)gress\[|no pod|no policy|own pods|own address/.exec(why);
        reasons.add(kind?.[0] ?? why);
      }
    }
  }
  t.ok(allowed > asked / 5 && allowed < (asked * 4) / 5, `${allowed} of ${asked} allowed`);
  t.same([...reasons].sort(), [
    "Accept (Admin tier)",
    "Accept (Baseline tier)",
    "Deny (Admin tier)",
    "Deny (Baseline tier)",
    "egress[",
    "ingress[",
    "isolated by",
    "no pod",
    "no policy",
    "own address",
    "own pods",
  ]);
  t.ok(allCells(all[0]).length > 1000);
});

t.test("no two pods that run have one address", async (t) => {
  for (const cluster of all) {
    for (const { objects } of [cluster, laterCluster(cluster, cluster.seed)]) {
      const addresses = clusterOf(objects).pods.flatMap((pod) => [...new Set(addressesOf(pod))]);
      t.equal(new Set(addresses).size, addresses.length);
    }
  }
});
