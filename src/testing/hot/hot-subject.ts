// What alloc.test.ts and deopt.test.ts drive in a process of their own: a loop body that stands for the hot
// path.

export interface HotSubject {
  /** Packets (or calls) that one run() does. */
  readonly units: number;
  run(): void;
  /** Throws when the runs so far did not do what they stand for. */
  check?(): void;
}

/** A module under test exports one of these under the name it is asked for. */
export type CreateHotSubject = () => HotSubject;
