// Columns of a Table: what kubectl prints is what the server says.
import type { KubeObject } from "../../kube/objects.ts";
import { ageOf } from "./age.ts";

export type Cell = string | number | boolean | null;

export interface TableColumn {
  /** As kube-apiserver writes it: "Up-to-date". */
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  /** "name" for the object's own name. */
  readonly format: string;
  /** Above 0: with -o wide alone. */
  readonly priority: number;
  /** May throw where an object is not shaped as its kind: `cellOf` asks. */
  readonly value: (object: KubeObject, nowMs: number) => Cell;
}

type Options = Partial<Pick<TableColumn, "type" | "format" | "priority">>;

export const WIDE: Options = Object.freeze({ priority: 1 });

export function column<T = KubeObject>(
  name: string,
  value: (object: T, nowMs: number) => Cell,
  { type = "string", format = "", priority = 0 }: Options = {},
): TableColumn {
  return { name, type, format, priority, value: value as TableColumn["value"] };
}

export function count<T>(name: string, value: (object: T) => number | undefined): TableColumn {
  return column<T>(name, (object) => value(object) ?? 0, { type: "integer" });
}

export const NAME = column("Name", ({ metadata }) => metadata.name, { format: "name" });
export const AGE = column("Age", ({ metadata }, nowMs) => ageOf(metadata.creationTimestamp, nowMs));

const INVALID = "<invalid>";

/** Kinds that are stored as they came may hold anything: such a cell says so, and the others are told. */
export function cellOf({ value }: TableColumn, object: KubeObject, nowMs: number): Cell {
  try {
    const cell: unknown = value(object, nowMs);
    if (cell === undefined) return "";
    return typeof cell !== "object" || cell === null ? (cell as Cell) : INVALID;
  } catch {
    return INVALID;
  }
}
