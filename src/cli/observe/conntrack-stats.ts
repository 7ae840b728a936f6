// podwire conntrack stats: conntrack(8) -S. A node's one worker is its "cpu 0".
import { print, printData } from "../context.ts";
import { askAgent, type NodeAt } from "../nodes/nodes.ts";

/** conntrack -S' words, in its order. Those that a table like ours cannot count stay 0, as most do there. */
const WORDS = [
  "found",
  "invalid",
  "insert",
  "insert_failed",
  "drop",
  "early_drop",
  "error",
  "search_restart",
  "clash_resolve",
  "chaintoolong",
] as const;

type Stats = { node: string; cpu: number } & Record<(typeof WORDS)[number], number>;

interface Row {
  counter?: string;
  reason?: string;
  value?: number;
  packets?: number;
}

/** conntrack's lines for one node; of several each begins with `node=NAME`. */
export async function conntrackStats(
  nodes: readonly NodeAt[],
  output: "table" | "wide" | "json" | "yaml",
  ofKernel: (node: NodeAt) => Promise<string>,
): Promise<void> {
  const items: Stats[] = [];
  for (const node of nodes) {
    if (node.kind === "kernel") items.push(...readStats(node.name, await ofKernel(node)));
    else items.push(await agentStats(node));
  }
  if (output === "json" || output === "yaml")
    return printData(output, { kind: "conntrack-stats", items }, [], []);
  for (const { node, cpu, ...counts } of items) {
    const words = WORDS.map((word) => `${word}=${counts[word]}`).join(" ");
    await print(`${nodes.length > 1 ? `node=${node} ` : ""}cpu=${cpu}   \t${words} `);
  }
}

async function agentStats(node: NodeAt): Promise<Stats> {
  const counters = (await askAgent<{ items: Row[] }>(node, "/show/counters")).items;
  const drops = (await askAgent<{ items: Row[] }>(node, "/show/drops")).items;
  const counter = (name: string): number => counters.find((row) => row.counter === name)?.value ?? 0;
  const dropped = (name: string): number => drops.find((row) => row.reason === name)?.packets ?? 0;
  return {
    ...empty(node.name, 0),
    invalid: dropped("CT_INVALID") + dropped("CT_INVALID_NAT"),
    insert_failed: dropped("CT_TUPLE_TAKEN"),
    drop: dropped("CT_TABLE_FULL") + dropped("CT_TUPLE_TAKEN"),
    early_drop: counter("ct_early_drop"),
  };
}

function empty(node: string, cpu: number): Stats {
  return { node, cpu, ...Object.fromEntries(WORDS.map((word) => [word, 0])) } as Stats;
}

/** Lines of conntrack(8) -S. */
export function readStats(node: string, text: string): Stats[] {
  return text.split("\n").flatMap((line) => {
    const pairs = new Map([...line.matchAll(/(\w+)=(\d+)/g)].map(([, word, value]) => [word, Number(value)]));
    const cpu = pairs.get("cpu");
    if (cpu === undefined) return [];
    const stats = empty(node, cpu);
    for (const word of WORDS) stats[word] = pairs.get(word) ?? 0;
    return [stats];
  });
}
