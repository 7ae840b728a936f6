// Objects for tables, as they are given to a server.

export interface Given {
  /** Of the collection. */
  readonly path: string;
  readonly object: object;
  /** Afterwards: with a finalizer it stays, as one that is being deleted. */
  readonly isDeleted?: true;
}

export type State = Record<string, unknown>;

export const NS = "namespaces/default";

/** So many seconds ago. */
export const at = (seconds: number): string =>
  new Date(Date.now() - 1000 * seconds).toISOString().replace(/\.\d+/, "");

export const condition = (type: string, status = "True", more: State = {}): State => ({
  type,
  status,
  ...more,
});
