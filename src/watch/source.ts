// Where objects come from. One interface: files, or a Kubernetes API server.
import type { ObjectEvent } from "./desired-state.ts";

export interface SourceListener {
  /** Changes in order. `synced`: with these the listener has seen everything that was there at the start. */
  events(events: readonly ObjectEvent[], synced: boolean): void;
  /** The source cannot be read at the moment; it goes on trying, and the objects stay as they were. */
  problem(error: Error): void;
  /** A line about what was read that whoever wrote it may want to know. */
  note?(text: string): void;
}

/** Of a source that somebody else serves. */
export interface SourceHealth {
  /** What keeps it from hearing of changes; "": nothing. */
  readonly problem: string;
  /** Who is asked. */
  readonly server: string;
  /** How far its clock is ahead of ours, by what it said last; undefined: it has not said it. */
  readonly aheadSeconds: number | undefined;
  /** Since it was heard of, of the part that was silent longest; -1: never. */
  readonly silentSeconds: number;
  /** Why the agent's report is not written into its Node object; "": it is. */
  readonly unreported: string;
  /** Objects that cannot be used, by kind and name, and why. */
  readonly refused: ReadonlyMap<string, string>;
}

/** What an agent has to say of its node. */
export interface NodeReport {
  /** null: there is to be none. */
  readonly annotations: Readonly<Record<string, string | null>>;
  /** NetworkUnavailable of a Node. */
  readonly condition: {
    readonly status: "True" | "False";
    readonly reason: string;
    readonly message: string;
  };
}

export interface ObjectSource {
  readonly health?: SourceHealth;
  /** Where nodes are told of, says this of the agent's own from now on. */
  report?(report: NodeReport): void;
  /** Resolves when it is written there, or after `mostMs`. */
  reported?(mostMs: number): Promise<void>;
  start(listener: SourceListener): void;
  close(): void;
}
