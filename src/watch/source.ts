// Where objects come from. One interface: files, a lab over a socket, a Kubernetes API server.
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
  /** Since it was heard of, of the part that was silent longest; -1: never. */
  readonly silentSeconds: number;
  /** Objects that cannot be used, by kind and name, and why. */
  readonly refused: ReadonlyMap<string, string>;
}

export interface ObjectSource {
  readonly health?: SourceHealth;
  start(listener: SourceListener): void;
  close(): void;
}
