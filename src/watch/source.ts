// Where objects come from. Two implementations, one interface: files, and a lab (or any server) over a socket.
import type { ObjectEvent } from "./desired-state.ts";

export interface SourceListener {
  /** Changes in order. `synced`: with these the listener has seen everything that was there at the start. */
  events(events: readonly ObjectEvent[], synced: boolean): void;
  /** The source cannot be read at the moment; it goes on trying, and the objects stay as they were. */
  problem(error: Error): void;
  /** A line about what was read that whoever wrote it may want to know. */
  note?(text: string): void;
}

export interface ObjectSource {
  start(listener: SourceListener): void;
  close(): void;
}
