// ipBlocks that come and go: who is in them is what arithmetic says, and identities keep their indices unless a block
// tells their addresses apart, or nothing does any more.
import fc from "fast-check";
import t from "tap";
import { cidr, contains, ip } from "../../base/ip.ts";
import { ACTION_MASK, PolicyAction, type PolicyUpdate } from "../../dataplane/spec/policy.ts";
import * as policy from "../../dataplane/table/policy/policy.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { CompiledPolicy } from "../../testing/policy/compiled-policy.ts";
import { testPod, testPolicy } from "../../testing/world/policy-world.ts";
import { ObjectGraph } from "../../watch/desired-state.ts";
import { PolicyCompiler } from "./policy-compiler.ts";

interface Block {
  readonly cidr: string;
  readonly except?: readonly string[];
}

const APPS = ["web", "api", "db"];
const OUTSIDE = [
  "192.0.2.1",
  "192.0.2.200",
  "169.254.169.254",
  "8.8.8.8",
  "2001:db8::1",
  "2001:db8:1::1",
  "::1",
];
const NODES = Array.from({ length: 4 }, (_, i) => `192.168.50.${11 + i}`);
const PODS = Array.from({ length: 24 }, (_, i) => ({
  name: `p${i}`,
  ips: [`10.244.${i >> 3}.${i}`, `fd00:10:244:${i >> 3}::${i.toString(16)}`],
  labels: { app: APPS[i % APPS.length] },
}));
const pods = PODS.map((pod) => testPod(pod));
const CLIENT = PODS[0].ips[0];

function nodeObject(address: string): object {
  return {
    ...{ apiVersion: "v1", kind: "Node", metadata: { name: `node-${address}` }, spec: {} },
    status: { addresses: [{ type: "InternalIP", address }] },
  };
}

/** Lets the pods of an application send to some blocks. */
function sendsTo(name: string, blocks: readonly Block[], app = APPS[0]): object {
  return testPolicy(name, {
    podSelector: { matchLabels: { app } },
    policyTypes: ["Egress"],
    egress: blocks.length === 0 ? [] : [{ to: blocks.map((ipBlock) => ({ ipBlock })) }],
  });
}

function isIn({ cidr: range, except = [] }: Block, address: string): boolean {
  const holds = (text: string): boolean =>
    cidr(text).family === ip(address).family && contains(cidr(text), ip(address));
  return holds(range) && !except.some(holds);
}

const v4Prefix = fc.constantFrom(
  "0.0.0.0/0",
  "10.0.0.0/8",
  "10.244.0.0/16",
  "10.244.1.0/24",
  "10.244.1.8/29",
);
const v4Hole = fc.constantFrom("10.244.1.8/30", "10.244.1.8/31", "10.244.1.9/32", "10.244.1.12/32");
const v6Prefix = fc.constantFrom("::/0", "fd00::/8", "fd00:10:244::/48", "fd00:10:244:1::/64");
const v6Hole = fc.constantFrom("fd00:10:244:1::8/125", "fd00:10:244:1::8/128", "fd00:10:244:1::c/126");
const block: fc.Arbitrary<Block> = fc.oneof(
  fc.record({ cidr: v4Prefix, except: fc.array(v4Hole, { maxLength: 2 }) }),
  fc.record({ cidr: v6Prefix, except: fc.array(v6Hole, { maxLength: 2 }) }),
  fc.constantFrom<Block>(
    { cidr: "192.0.2.0/24", except: ["192.0.2.128/25"] },
    { cidr: "0.0.0.0/0", except: ["10.0.0.0/8", "169.254.169.254/32"] },
    { cidr: "192.168.50.12/30" },
    { cidr: "::/0", except: ["2001:db8::/48"] },
  ),
);
const state = fc.record({
  blocks: fc.array(fc.array(block, { minLength: 1, maxLength: 3 }), { maxLength: 5 }),
  nodes: fc.subarray(NODES),
});

const ALL = [...PODS.flatMap(({ ips }) => ips), ...NODES, ...OUTSIDE];

function wrongVerdicts(world: CompiledPolicy, blocks: readonly (readonly Block[])[]): string[] {
  const row = policy.egressRow(world.table, world.subjectOf(CLIENT));
  return ALL.flatMap((address) => {
    const isAllowed = blocks.flat().some((one) => isIn(one, address));
    const verdict = policy.decide(world.table, row, world.identityOf(address), 6, 80) & ACTION_MASK;
    return (verdict === PolicyAction.ALLOW) === isAllowed ? [] : [`${address}: not ${isAllowed}`];
  });
}

/** Addresses by their identities, of those that somebody has: everybody else's are written with the ranges. */
function groups(world: CompiledPolicy, nodes: readonly string[]): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const address of [...PODS.flatMap(({ ips }) => ips), ...nodes]) {
    const identity = world.identityOf(address);
    found.set(identity, [...(found.get(identity) ?? []), address]);
  }
  return found;
}

/** Identities that hold the same addresses as before and have another index. */
function renumbered(before: Map<number, string[]>, after: Map<number, string[]>): string[] {
  const indexOf = new Map([...after].map(([index, addresses]) => [addresses.join(), index]));
  return [...before].flatMap(([index, addresses]) => {
    const now = indexOf.get(addresses.join());
    return now === undefined || now === index ? [] : [`${addresses.join()}: ${index}, now ${now}`];
  });
}

t.test("random blocks come and go, and nodes with them", async (t) => {
  fc.assert(
    fc.property(fc.array(state, { minLength: 2, maxLength: 8 }), (states) => {
      const world = new CompiledPolicy();
      let last: readonly (readonly Block[])[] = [];
      const become = (blocks: readonly (readonly Block[])[], nodes: readonly string[]): void => {
        const policies = blocks.map((each, i) => sendsTo(`n${i}`, each));
        world.become([...pods, ...nodes.map(nodeObject), sendsTo("none", []), ...policies] as KubeObject[]);
        const wrong = wrongVerdicts(world, blocks);
        if (wrong.length > 0) throw new Error(wrong.join("; "));
      };
      for (const { blocks, nodes } of states) {
        become(last, nodes);
        const before = groups(world, nodes);
        become(blocks, nodes);
        const moved = renumbered(before, groups(world, nodes));
        if (moved.length > 0) throw new Error(moved.join("; "));
        last = blocks;
      }
    }),
    { numRuns: 150, seed: 20_261_201 },
  );
  t.pass("150 ways");
});

t.test("so many blocks that come at once are in every address, and are gone when they go", async (t) => {
  const many = Array.from({ length: 60 }, (_, i): Block[] => [
    { cidr: `10.244.0.0/${16 + (i % 15)}`, except: [`10.244.0.${i % 8}/32`] },
    { cidr: `fd00:10:244:${i % 3}::/${64 + i}` },
  ]);
  const world = new CompiledPolicy();
  const become = (blocks: readonly (readonly Block[])[]): string[] => {
    const policies = blocks.map((each, i) => sendsTo(`n${i}`, each));
    world.become([...pods, ...NODES.map(nodeObject), sendsTo("none", []), ...policies] as KubeObject[]);
    return wrongVerdicts(world, blocks);
  };
  for (const blocks of [[], many, many.slice(0, 7), [...many].reverse(), []]) t.same(become(blocks), []);
});

/** What the plane is told when a policy with one block comes, and when it goes. */
function told(one: Block, others: readonly object[]): readonly PolicyUpdate[] {
  const graph = new ObjectGraph();
  const compiler = new PolicyCompiler();
  const nodes = NODES.map(nodeObject);
  for (const object of [...pods, ...nodes, sendsTo("isolated", []), ...others]) {
    graph.onEvent({ type: "ADDED", object: object as KubeObject });
  }
  compiler.update(graph, graph.take());
  return (["ADDED", "DELETED"] as const).map((type) => {
    graph.onEvent({ type, object: sendsTo("n", [one]) as KubeObject });
    const update = compiler.update(graph, graph.take());
    if (update === undefined) throw new Error("nothing was told");
    return update;
  });
}

/** Addresses that are written though their pods are decided for as before. */
function written({ set }: PolicyUpdate): number {
  const own = new Set(
    PODS.filter(({ labels }) => labels.app === APPS[0]).flatMap(({ ips }) => ips.map(keyOf)),
  );
  return set.filter(({ w0, w1, w2, w3 }) => !own.has([w0, w1, w2, w3].join())).length;
}

function keyOf(address: string): string {
  const { w0, w1, w2, w3 } = ip(address);
  return [w0, w1, w2, w3].join();
}

t.test(
  "a block is written into the addresses that it tells apart from others, and into no more",
  async (t) => {
    const cases: readonly (readonly [Block, number])[] = [
      [{ cidr: "0.0.0.0/0", except: ["169.254.169.254/32"] }, 0],
      [{ cidr: "10.0.0.0/8" }, 0],
      [{ cidr: "192.0.2.0/24" }, 0],
      [{ cidr: "::/0", except: ["2001:db8::/32"] }, 0],
      [{ cidr: "fd00:10::/32" }, 0],
      [{ cidr: "10.244.1.9/32" }, 0], // of the pods that the policy is about
      [{ cidr: "10.244.1.8/31" }, 1], // and one more
      [{ cidr: "10.0.0.0/8", except: ["10.244.1.8/31"] }, 1],
      [{ cidr: "10.244.0.0/24" }, 5],
      [{ cidr: "10.244.0.0/23" }, 6], // more than half: the rest is written
      [{ cidr: "192.168.50.12/32" }, 1],
    ];
    const around = [
      ["alone", []],
      [
        "among others",
        [sendsTo("o1", [{ cidr: "10.0.0.0/8", except: ["10.244.2.18/32"] }, { cidr: "::/0" }])],
      ],
    ] as const;
    for (const [name, others] of around) {
      const found = cases.map(([one]) => told(one, others).map(written));
      t.same(
        found,
        cases.map(([, count]) => [count, count]),
        name,
      );
    }
  },
);
