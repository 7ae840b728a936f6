// A container's probes: when each is asked, and what its answers add up to. The startup probe comes first; until it has
// succeeded the others are not asked. A container whose startup or liveness probe fails so often is ended.
import type { Probe } from "../../kube/objects.ts";
import type { Check } from "./probe-place.ts";

export type ProbeKind = "startup" | "liveness" | "readiness";

const FIRST_TRY_MS = 100; // a program needs a moment; kubelet's own jitter is up to a whole period
/** What has not succeeded yet is asked more often than its period says, so that a lab is up soon. */
const EARLY_PERIODS_MS = [100, 200, 400, 1000];
const NO_DATA_PATH_MS = 50;

export interface ProbeListener {
  /** The answer, or why it was given, is another one. */
  onChange(): void;
  /** It failed, and why. */
  onFailure(message: string): void;
  /** It failed so often that the container is to end. */
  onGiveUp(): void;
}

/** The state of one of a container's probes, from start() to stop(). */
export class Prober {
  readonly kind: ProbeKind;
  /** What the answers come to: of liveness, that it has not failed. */
  succeeds = false;
  message = "";
  private readonly probe: Probe;
  private readonly check: Check;
  private readonly listener: ProbeListener;
  private timer: NodeJS.Timeout | undefined;
  private run = 0;
  private good = 0;
  private bad = 0;
  private lastBadMs = 0;
  /** Questions since it succeeded last. */
  private tries = 0;

  constructor(kind: ProbeKind, probe: Probe, check: Check, listener: ProbeListener) {
    this.kind = kind;
    this.probe = probe;
    this.check = check;
    this.listener = listener;
  }

  /**
   * The container has been started (again): it has yet to succeed. One that was taken over from an earlier lab process
   * goes on as it was, so that a restart of the lab is not seen in the endpoints. `ageMs`: how long it runs already.
   */
  start(succeeds = this.kind === "liveness", ageMs = 0): void {
    this.stop();
    this.succeeds = succeeds;
    const run = ++this.run;
    const delayMs = (this.probe.initialDelaySeconds ?? 0) * 1000;
    this.timer = setTimeout(() => this.ask(run), delayMs > 0 ? Math.max(0, delayMs - ageMs) : FIRST_TRY_MS);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.run++;
    this.succeeds = false;
    this.message = "";
    this.good = 0;
    this.bad = 0;
    this.lastBadMs = 0;
    this.tries = 0;
  }

  private async ask(run: number): Promise<void> {
    const answer = await this.check();
    if (run !== this.run) return; // stopped or restarted meanwhile
    if (answer === undefined) {
      this.timer = setTimeout(() => this.ask(run), NO_DATA_PATH_MS);
      return;
    }
    const before = `${this.succeeds} ${this.message}`;
    this.message = answer.ok ? "" : answer.message;
    this.good = answer.ok ? this.good + 1 : 0;
    const periodMs = (this.probe.periodSeconds ?? 10) * 1000;
    if (answer.ok) this.bad = 0;
    else this.failed(periodMs);
    if (this.good >= (this.probe.successThreshold ?? 1)) this.succeeds = true;
    const isOver = this.bad >= (this.probe.failureThreshold ?? 3);
    if (isOver) this.succeeds = false;
    if (before !== `${this.succeeds} ${this.message}`) this.listener.onChange();
    if (run !== this.run) return;
    if (isOver && this.kind !== "readiness") {
      this.listener.onGiveUp();
      return;
    }
    if (this.kind === "startup" && this.succeeds) return;
    this.tries = answer.ok || this.succeeds ? 0 : this.tries + 1;
    const early = EARLY_PERIODS_MS[Math.min(this.tries, EARLY_PERIODS_MS.length) - 1] ?? periodMs;
    this.timer = setTimeout(() => this.ask(run), Math.min(periodMs, early));
  }

  /** Of a startup probe only what fails a period after the last failure counts: it is asked early, too. */
  private failed(periodMs: number): void {
    const now = Date.now();
    const isEarly = this.kind === "startup" && this.bad > 0 && now - this.lastBadMs < periodMs * 0.9;
    if (!isEarly) {
      this.bad++;
      this.lastBadMs = now;
    }
    this.listener.onFailure(this.message);
  }
}
