// Questions that were asked while a cluster changed, held against what may have been in force meanwhile: what every state
// allows has to pass, what every state denies has to fail; between a state that allows and one that denies either is
// right. Who is there in one of the states only is nobody's fault. Each node changes at once, but two of them not in the
// same instant: between pods of two nodes the way out may be that of one state, and the way in that of the other.
import { type Cluster, podAt } from "./cluster.ts";
import { evaluate } from "./evaluator.ts";

/** A state of the cluster, and when it may have been in force: from when it was asked for until the next one was. */
export interface Period {
  readonly fromMs: number;
  /** When the next state was in force everywhere. */
  readonly toMs: number;
  readonly cluster: Cluster;
}

export interface Knock {
  readonly from: string;
  readonly address: string;
  readonly protocol: string;
  readonly port: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly passed: boolean;
  readonly note: string;
}

export interface LiveVerdict {
  /** That every state allowed, that every state denied, that had to do neither. */
  readonly allowed: number;
  readonly denied: number;
  readonly either: number;
  /** One line each. */
  readonly wrong: readonly string[];
}

export function judgeLive(periods: readonly Period[], knocks: readonly Knock[]): LiveVerdict {
  const answers = periods.map(() => new Map<string, Said | undefined>());
  const counts = { allowed: 0, denied: 0, either: 0 };
  const wrong: string[] = [];
  for (const knock of knocks) {
    const { from, address, protocol, port } = knock;
    const words = `${from} -> ${address} ${port}/${protocol}`;
    const said: (Said | undefined)[] = [];
    for (let i = firstAfter(periods, knock.startMs); i < periods.length; i++) {
      if (periods[i].fromMs > knock.endMs) break;
      if (!answers[i].has(words)) answers[i].set(words, answerOf(periods[i].cluster, knock));
      said.push(answers[i].get(words));
    }
    const only = commonAnswer(said);
    if (only === undefined) {
      counts.either++;
      continue;
    }
    counts[only ? "allowed" : "denied"]++;
    if (knock.passed === only) continue;
    const span = `${knock.startMs.toFixed(1)} to ${knock.endMs.toFixed(1)} ms`;
    const was = knock.passed ? "passed" : `did not pass (${knock.note})`;
    wrong.push(`${words} ${was}, and every state ${only ? "allows" : "denies"} it: ${span}`);
  }
  return { ...counts, wrong };
}

interface Said {
  readonly egress: boolean;
  readonly ingress: boolean;
  /** One node decides both directions, and changes both at once. */
  readonly isOneNode: boolean;
}

/** Undefined: they differ, or one of the two pods is not there in one of them. */
function commonAnswer(said: readonly (Said | undefined)[]): boolean | undefined {
  if (said.length === 0 || said.includes(undefined)) return undefined;
  const all = said as readonly Said[];
  if (all.every(({ egress, ingress }) => egress && ingress)) return true;
  if (all.some(({ egress, ingress }) => egress && ingress)) return undefined;
  // Two nodes do not change in the same instant: one state's egress may meet another one's ingress.
  const mayMeet = all.some(({ egress }) => egress) && all.some(({ ingress }) => ingress);
  return mayMeet && !all[0].isOneNode ? undefined : false;
}

/** Undefined: one of the two is not there. */
function answerOf(cluster: Cluster, { from, address, protocol, port }: Knock): Said | undefined {
  const [source, target] = [podAt(cluster, from), podAt(cluster, address)];
  if (source === undefined || target === undefined) return undefined;
  const { egress, ingress } = evaluate(cluster, { from, to: address, protocol, port });
  const isOneNode = source.spec.nodeName === target.spec.nodeName;
  return { egress: egress.allowed, ingress: ingress.allowed, isOneNode };
}

/** The first period that ends after `ms`: both of their bounds only grow. */
function firstAfter(periods: readonly Period[], ms: number): number {
  let [low, high] = [0, periods.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (periods[middle].toMs < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}
