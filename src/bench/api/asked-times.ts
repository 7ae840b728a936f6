// When questions of a pod were asked and answered, as AskingPod's program prints it, and what follows from that.

export interface Asked {
  /** ms of the monotonic clock. */
  readonly sent: number;
  /** Undefined: nobody answered. */
  readonly answered: number | undefined;
}

export function readAsked(text: string): Asked[] {
  const found = [...text.matchAll(/^(\d+) (\d+|-)$/gm)].map(([, sent, answered]) => ({
    sent: Number(sent) / 1e6,
    answered: answered === "-" ? undefined : Number(answered) / 1e6,
  }));
  return found.sort((a, b) => a.sent - b.sent);
}

/** ms from `atMs` until an answer came, to a question of whenever; none by `untilMs`: undefined. */
export function untilAnswered(asked: readonly Asked[], atMs: number, untilMs: number): number | undefined {
  const times = asked.flatMap(({ answered }) => (answered === undefined ? [] : [answered]));
  const after = times.filter((time) => time > atMs && time < untilMs);
  return after.length === 0 ? undefined : Math.min(...after) - atMs;
}

/** ms from `atMs` until the last question was sent that was answered before `untilMs`; 0: there was none. */
export function untilSilent(asked: readonly Asked[], atMs: number, untilMs: number): number {
  const some = asked.filter(({ sent, answered }) => sent > atMs && sent < untilMs && answered !== undefined);
  return some.length === 0 ? 0 : some[some.length - 1].sent - atMs;
}
