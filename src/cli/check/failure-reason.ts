// Why a packet was not answered: it is sent once more while every agent that can be asked watches, and it is followed by
// what they saw: from node to node as it was translated, and its answer back.
import { stepText } from "../../kubeproxy/words/trace-format.ts";
import type { TraceRecord, TraceTuple } from "../../observe/trace-record.ts";
import type { NodeAt } from "../nodes/nodes.ts";
import { compile } from "../observe/capture.ts";
import { TraceSession } from "../observe/trace-session.ts";
import type { CheckRow } from "./check-plan.ts";

/** A packet as one agent saw it, stage by stage. */
export type Story = readonly TraceRecord[];

const SETTLE_MS = 250;
const PACKETS = 256;
/** A packet crosses two nodes, and three where a node port leads on. */
const HOPS = 4;

/** Sends by `send` while the agents watch for what `expression` is of. */
export async function watchProbe(
  agents: readonly NodeAt[],
  vxlanPort: number | undefined,
  expression: string,
  send: () => Promise<void>,
): Promise<Story[]> {
  const stories: Story[] = [];
  const program = await compile(expression, vxlanPort);
  const session = new TraceSession(agents, { program, count: PACKETS }, (steps) => void stories.push(steps));
  await session.run(() => {
    void send()
      .catch(() => {}) // that it fails is what is looked into
      .then(() => setTimeout(() => session.stop(), SETTLE_MS));
  });
  return stories;
}

/** tcpdump's words for the probe and what answers it. `ports`: of the endpoints that it may be led to. */
export function probeExpression(row: CheckRow, sourcePort: number, ports: readonly number[]): string {
  const { protocol, address, family, port } = row;
  if (protocol === "ICMP") return `${family === 4 ? "icmp" : "icmp6"} and host ${address}`;
  const all = new Set([sourcePort, ...(port === undefined ? [] : [port]), ...ports]);
  return [...all].map((each) => `${protocol.toLowerCase()} port ${each}`).join(" or ");
}

/** One line. `watched`: nodes whose agents looked. */
export function reasonOf(
  row: CheckRow,
  sourcePort: number,
  stories: readonly Story[],
  watched: readonly string[],
): string {
  const first = stories.find(([step]) => step?.node === row.node && isProbe(row, sourcePort, step.from));
  if (first === undefined) return `${row.node} has not seen it: podwire status says whether it is well`;
  const way = follow(first, stories);
  const there = dropIn(way);
  if (there !== "") return there;
  const end = way[way.length - 1];
  const reached = end[end.length - 1];
  const answer = stories.find((story) => carries(story, turned(reached.to)) && !way.includes(story));
  if (answer !== undefined) {
    const back = follow(answer, stories);
    return `its answer: ${dropIn(back) || `went as far as ${placeOf(back[back.length - 1])}`}`;
  }
  if (!isOnFabric(reached)) return `it reached ${placeOf(end)}, and nothing came back from there`;
  const others = watched.filter((name) => name !== reached.node);
  const unseen = others.length === 0 ? "" : `, ${others.join(" and ")} did not see it`;
  const ask = "is the other node's agent running, does the network between the nodes carry it";
  return `it left ${placeOf(end)}${unseen}: ${ask}`;
}

function isProbe({ address, port }: CheckRow, sourcePort: number, tuple: TraceTuple): boolean {
  if (tuple.dst !== address) return false;
  return tuple.icmpId === undefined
    ? tuple.sport === sourcePort && tuple.dport === port
    : tuple.icmpId === sourcePort;
}

/** The same packet at one node after the other. */
function follow(first: Story, stories: readonly Story[]): Story[] {
  const way = [first];
  for (let hop = 1; hop < HOPS; hop++) {
    const { to, node } = way[way.length - 1].at(-1) as TraceRecord;
    const next = stories.find(
      (story) => story[0]?.node !== node && !way.includes(story) && carries(story, to),
    );
    if (next === undefined) break;
    way.push(next);
  }
  return way;
}

/** Where it was dropped, and why; "": nowhere. */
function dropIn(way: readonly Story[]): string {
  for (const story of way) {
    const at = story.findIndex(({ verdict }) => verdict === "drop");
    if (at >= 0) return `${story[at].node}: ${stepText(story[at], story[at - 1])}`;
  }
  return "";
}

function placeOf(story: Story): string {
  const last = story[story.length - 1];
  const words = stepText(last, story.at(-2));
  return words === "" ? last.node : `${last.node} (${words})`;
}

/** Comes it so, by itself or in the tunnel? */
const carries = (story: Story, tuple: TraceTuple): boolean => story.some(({ from }) => isSame(from, tuple));

const isOnFabric = ({ out = "" }: TraceRecord): boolean => out.startsWith("uplink");

const turned = ({ src, dst, sport, dport, ...more }: TraceTuple): TraceTuple => ({
  ...more,
  ...{ src: dst, dst: src },
  ...(sport === undefined || dport === undefined ? {} : { sport: dport, dport: sport }),
});

function isSame(a: TraceTuple, b: TraceTuple): boolean {
  return (
    a.src === b.src && a.dst === b.dst && a.sport === b.sport && a.dport === b.dport && a.icmpId === b.icmpId
  );
}
