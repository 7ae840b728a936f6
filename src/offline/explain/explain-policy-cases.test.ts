// The worked cases of src/compile/policy/testdata, cell by cell, by `explain`: what it says of the first packet of each
// connection is what the case says.
import t from "tap";
import type { ProbeProtocol } from "../../base/probe-protocols.ts";
import { type PolicyCase, policyCases } from "../../testing/policy/policy-case.ts";
import { AskedWorld } from "../../testing/world/explain-world.ts";
import { testNamespace, testPod } from "../../testing/world/policy-world.ts";

const cases = policyCases();

/** A pod lives on the node whose range its address is from. */
function worldOf({ namespaces, pods, policies }: PolicyCase): AskedWorld {
  const more = [
    ...[3, 4].map(farNode),
    ...namespaces.map(({ name, labels }) => testNamespace(name, labels)),
    ...pods.map(({ ip, ...pod }) => testPod({ ...pod, ips: [ip], node: `node${ip.split(".")[2]}` })),
    ...policies,
  ];
  return new AskedWorld({ more });
}

/** Beside the two nodes of the world. */
function farNode(n: number): object {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: `node${n}` },
    spec: { podCIDRs: [`10.244.${n}.0/24`, `fd00:10:244:${n}::/64`] },
    status: { addresses: [{ type: "InternalIP", address: `192.168.50.1${n}` }] },
  };
}

/** Pairs of a case by their names, with addresses. */
function pairsOf({ pods, pairs }: PolicyCase): { name: string; from: string; to: string }[] {
  const addresses = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod.ip]));
  const all = [...addresses.keys()];
  return pairs
    .flatMap((pair) =>
      pair.startsWith("every pod") ? all.flatMap((a) => all.map((b) => `${a} -> ${b}`)) : [pair],
    )
    .map((name) => {
      const [from, to] = name.split(" -> ").map((end) => addresses.get(end) ?? end);
      return { name, from, to };
    });
}

for (const one of cases) {
  t.test(one.name, async (t) => {
    const world = worldOf(one);
    const denied = new Map(
      one.denied.map((line) => {
        const [, pair, ports] = /^(\S+ -> \S+) (.*)$/.exec(line) ?? [];
        return [pair, ports.split(" ")];
      }),
    );
    let cells = 0;
    for (const { name, from, to } of pairsOf(one)) {
      const refused = one.tested.filter((text) => {
        const [port, protocol] = text.split("/");
        cells++;
        const { allowed, policies } = world.explain(from, to, Number(port), protocol as ProbeProtocol);
        if (allowed === false && policies?.length === 0) t.fail(`${name} ${text}: denied by nobody`);
        return allowed === false;
      });
      t.same(refused.sort(), (denied.get(name) ?? []).sort(), name);
    }
    t.comment(`${cells} cells`);
  });
}
