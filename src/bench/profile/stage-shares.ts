// What V8 saw of a data-plane thread (.cpuprofile), by the steps of a packet's way. Pure.
import type { Profile } from "../figures/report.ts";

export interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number; columnNumber: number };
    children?: number[];
  }[];
  /** µs by CLOCK_MONOTONIC. */
  startTime: number;
  samples: number[];
  /** µs from one sample to the next; the first counts from the start. */
  timeDeltas: number[];
}

/** The source file of a function, such as dataplane/fast/fast-path; empty: it is none of podwire's. */
export type FindSource = (frame: CpuProfile["nodes"][number]["callFrame"]) => string;

const WAIT = "waiting";
/** What has a name of its own in the table; everything else is part of what called it. */
const STEP = /^(dataplane\/(stage|fast|send|turn)\/|dataplane\/(engine|pipeline)$|plane\/)/;
const STEPS = 12;
/** V8 counts what the addon does as its caller's own time: these do little else. A bundle may number their names. */
const CALLERS: Readonly<Record<string, string>> = {
  "plane/worker.waitForWork": WAIT,
  "plane/worker.pollOnce": WAIT, // of older checkouts
  "dataplane/engine.receiveBatch": "reading",
  "dataplane/engine.pollPort": "reading", // where V8 has put the former into these
  "dataplane/engine.pollFew": "reading",
  "dataplane/send/tx-queue.flush": "writing",
};

interface Meaning {
  /** Whose time it is: WAIT, what a caller of the addon does, or one of the two below. */
  part: string;
  /** Of JavaScript. */
  step?: string;
}

const JAVASCRIPT = "JavaScript";
const REST = "V8 and Node.js";

/**
 * Time of several threads between two moments, µs by CLOCK_MONOTONIC, without what they waited for packets: whose it was,
 * and which steps JavaScript's own was spent in.
 */
export function stageShares(
  load: string,
  subject: string,
  profiles: readonly CpuProfile[],
  during: { fromUs: number; toUs: number },
  findSource: FindSource,
): Profile {
  const parts = new Map<string, number>();
  const steps = new Map<string, number>();
  const add = (to: Map<string, number>, name: string, us: number) => to.set(name, (to.get(name) ?? 0) + us);
  for (const profile of profiles) {
    const meanings = meaningsOf(profile, findSource);
    let at = profile.startTime;
    for (const [i, id] of profile.samples.entries()) {
      at += profile.timeDeltas[i];
      const us = profile.timeDeltas[i + 1] ?? 0;
      const meaning = meanings.get(id);
      if (at < during.fromUs || at > during.toUs || meaning === undefined || meaning.part === WAIT) continue;
      add(parts, meaning.part, us);
      if (meaning.step !== undefined) add(steps, meaning.step, us);
    }
  }
  return { load, subject, parts: shares(parts), functions: shares(steps).slice(0, STEPS) };
}

function meaningsOf({ nodes }: CpuProfile, findSource: FindSource): Map<number, Meaning> {
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const sources = new Map(nodes.map(({ id, callFrame }) => [id, findSource(callFrame)]));
  return new Map(nodes.map((node) => [node.id, meaningOf(node)]));

  function meaningOf({ id, callFrame: { functionName, url } }: CpuProfile["nodes"][number]): Meaning {
    if (functionName === "(idle)") return { part: WAIT };
    if (functionName.startsWith("(") || url === "") return { part: REST };
    const caller = CALLERS[`${sources.get(id)}.${functionName.replace(/\d+$/, "")}`];
    if (caller !== undefined) return { part: caller };
    for (let at: number | undefined = id; byId.has(at ?? 0); at = parents.get(at!)) {
      const source = sources.get(at!) ?? "";
      if (STEP.test(source)) return { part: JAVASCRIPT, step: source.slice(source.lastIndexOf("/") + 1) };
    }
    return { part: JAVASCRIPT, step: sources.get(id) || "other" };
  }
}

function shares(times: ReadonlyMap<string, number>): { name: string; percent: number }[] {
  const all = [...times.values()].reduce((sum, us) => sum + us, 0);
  return [...times]
    .map(([name, us]) => ({ name, percent: (100 * us) / Math.max(all, 1) }))
    .sort((a, b) => b.percent - a.percent);
}
