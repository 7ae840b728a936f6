// The cases of testdata/policy-cases.json, cell by cell: who may reach whom on which port, from the objects alone.
import t from "tap";
import { ACTION_MASK, NO_ROW, PolicyAction } from "../../dataplane/spec/policy.ts";
import * as policy from "../../dataplane/table/policy/policy.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { CompiledPolicy } from "../../testing/policy/compiled-policy.ts";
import { type CasePod, type PolicyCase, policyCases } from "../../testing/policy/policy-case.ts";

const PROTOCOLS: Readonly<Record<string, number>> = { TCP: 6, UDP: 17, SCTP: 132 };
const cases = policyCases();

function allows(world: CompiledPolicy, from: string, to: string, proto: number, port: number): boolean {
  if (from === to) return true;
  const egress = policy.egressRow(world.table, world.subjectOf(from));
  const ingress = policy.ingressRow(world.table, world.subjectOf(to));
  const passes = (row: number, peer: string): boolean =>
    row === NO_ROW ||
    (policy.decide(world.table, row, world.identityOf(peer), proto, port) & ACTION_MASK) ===
      PolicyAction.ALLOW;
  return passes(egress, to) && passes(ingress, from);
}

function objectsOf({ namespaces, pods, policies }: PolicyCase): KubeObject[] {
  return [
    ...namespaces.map((metadata) => ({ apiVersion: "v1", kind: "Namespace", metadata })),
    ...pods.map(podOf),
    ...policies,
  ];
}

function podOf({ namespace, name, labels, ip: address, ports }: CasePod): KubeObject {
  const containerPorts = ports.map((text) => {
    const [, portName, containerPort, protocol] = /^(.*)=(\d+)\/(.*)$/.exec(text) ?? [];
    return { name: portName, containerPort: Number(containerPort), protocol };
  });
  const object = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace, name, labels },
    spec: { nodeName: "node1", containers: [{ name: "c", image: "i", ports: containerPorts }] },
    status: { podIPs: [{ ip: address }] },
  };
  return object;
}

/** The pairs of a case, as addresses by their names. */
function pairsOf({ pods, pairs }: PolicyCase): { name: string; from: string; to: string }[] {
  const addresses = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod.ip]));
  const addressOf = (name: string): string => addresses.get(name) ?? name;
  return pairs.flatMap((pair) => {
    const [from, to] = pair.split(" -> ");
    if (from !== "every pod") return [{ name: pair, from: addressOf(from), to: addressOf(to) }];
    const names = [...addresses.keys()];
    return names.flatMap((a) =>
      names.map((b) => ({ name: `${a} -> ${b}`, from: addressOf(a), to: addressOf(b) })),
    );
  });
}

function deniedCells(world: CompiledPolicy, one: PolicyCase): string[] {
  return pairsOf(one)
    .flatMap(({ name, from, to }) => {
      const ports = one.tested.filter((text) => {
        const [port, protocol] = text.split("/");
        return !allows(world, from, to, PROTOCOLS[protocol], Number(port));
      });
      return ports.length === 0 ? [] : [`${name} ${ports.sort().join(" ")}`];
    })
    .sort();
}

function expectedCells({ denied }: PolicyCase): string[] {
  return denied
    .map((line) => {
      const [, pair, ports] = /^(\S+ -> \S+) (.*)$/.exec(line) ?? [];
      return `${pair} ${ports.split(" ").sort().join(" ")}`;
    })
    .sort();
}

t.test("each case, compiled for itself", async (t) => {
  for (const one of cases) {
    const world = new CompiledPolicy();
    world.become(objectsOf(one));
    t.same(deniedCells(world, one), expectedCells(one), one.name);
  }
});

t.test("from any case to any other, the result depends on the objects alone", async (t) => {
  const world = new CompiledPolicy();
  const order = cases.flatMap((_, i) => cases.map((_, j) => cases[(i * 5 + j * (i + 1)) % cases.length]));
  for (const one of order) {
    world.become(objectsOf(one));
    t.same(deniedCells(world, one), expectedCells(one), one.name);
  }
});
