import { readFileSync } from "node:fs";
import t from "tap";
import { clusterOf, type Labels, type Named, type PodObject } from "./cluster.ts";
import { evaluate } from "./evaluator.ts";

interface Case {
  name: string;
  namespaces: Named["metadata"][];
  pods: { namespace: string; name: string; labels: Labels; ip: string; ports: string[] }[];
  policies: Named[];
  tested: string[];
  pairs: string[];
  denied: { ports: string[]; pairs: string[] }[];
}

const file = new URL("../../../../src/testing/policy/testdata/cases.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: Case[] };

for (const { name, namespaces, pods, policies, tested, pairs, denied } of cases) {
  t.test(`${name}: every cell as worked out by hand`, async (t) => {
    const cluster = clusterOf([
      ...namespaces.map((metadata) => ({ kind: "Namespace", metadata })),
      ...pods.map(podObject),
      ...policies,
    ]);
    const addresses = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod.ip]));
    const known = (who: string): string => addresses.get(who) ?? who;
    const wanted = new Set(
      denied.flatMap(({ ports, pairs: of }) => of.flatMap((p) => ports.map((q) => `${p} ${q}`))),
    );
    const found = pairsOf(pairs, [...addresses.keys()]).flatMap(([from, to]) =>
      tested.flatMap((port) => {
        const [number, protocol] = port.split("/");
        const cell = { from: known(from), to: known(to), protocol, port: Number(number) };
        return evaluate(cluster, cell).allowed ? [] : [`${from} -> ${to} ${port}`];
      }),
    );
    t.same(found.sort(), [...wanted].sort());
  });
}

function pairsOf(pairs: readonly string[], pods: readonly string[]): [string, string][] {
  return pairs.flatMap((pair): [string, string][] => {
    if (pair === "every pod -> every pod")
      return pods.flatMap((from) => pods.map((to): [string, string] => [from, to]));
    const [from, to] = pair.split(" -> ");
    return [[from, to]];
  });
}

function podObject({ namespace, name, labels, ip, ports }: Case["pods"][number]): PodObject {
  const containerPorts = ports.map((text) => {
    const [portName, port] = text.split("=");
    const [number, protocol] = port.split("/");
    return { name: portName, containerPort: Number(number), protocol };
  });
  return {
    kind: "Pod",
    metadata: { namespace, name, labels },
    spec: { nodeName: "", containers: [{ name: "c", ports: containerPorts }] },
    status: { phase: "Running", podIP: ip },
  };
}
