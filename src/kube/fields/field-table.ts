// What becomes of every field of every kind: one row a field, in four classes. The text form is one type a paragraph, one
// field a line: "field class [values] remark". A test walks the types and fails for a field that has no row, or two; the
// page docs/fields.md is made from these rows. Who adds a kind adds the types of its fields to kubernetes-types.ts and a
// paragraph for each that is new; templates of pods share PodTemplateSpec and all below it.
//
//   served   it does what it does in a cluster
//   kept     it is stored and shown; nothing in a cluster's network acts on it either
//   refused  an object that has it is refused
//   lab      not done: said once a call where pods are run (apply, lab up)
//   node     not done: said wherever the object is read, since it is about packets
//
// Fields below one that is kept, refused or not done need no row. Values in brackets are what is as good as leaving the
// field out, most often the API server's default: nothing is said about them. Empty lists, maps and texts never count.

export type FieldClass = "served" | "kept" | "refused" | "lab" | "node";

export interface FieldRow {
  readonly field: string;
  readonly class: FieldClass;
  /** Values that are as good as none. */
  readonly plain: readonly string[];
  /** Why it is not done, or what is meant by served. */
  readonly remark: string;
}

export type FieldTable = ReadonlyMap<string, ReadonlyMap<string, FieldRow>>;

const CLASSES = new Set<string>(["served", "kept", "refused", "lab", "node"]);
const ROW = /^ +([\w*.[\]-]+)((?:,[\w-]+)*) +(\w+)(?: \[([^\]]*)\])?(?: +(.*))?$/;

/** Reads the notation above; a line that is none is a mistake of ours. Several fields with the same row: "a,b,c". */
export function parseFieldTable(text: string): Map<string, Map<string, FieldRow>> {
  const types = new Map<string, Map<string, FieldRow>>();
  let rows = new Map<string, FieldRow>();
  for (const line of text.split("\n")) {
    if (line.trim() === "") continue;
    if (/^\w+$/.test(line)) {
      if (types.has(line)) throw new TypeError(`two paragraphs for ${line}`);
      rows = new Map();
      types.set(line, rows);
      continue;
    }
    const match = ROW.exec(line);
    if (match === null || !CLASSES.has(match[3])) throw new TypeError(`no row of a field: ${line}`);
    const [, first, others, name, plain, remark = ""] = match;
    for (const field of [first, ...others.split(",").slice(1)]) {
      if (rows.has(field)) throw new TypeError(`two rows for ${field}: ${line}`);
      const values = plain === undefined ? [] : plain.split("|");
      rows.set(field, { field, class: name as FieldClass, plain: values, remark });
    }
  }
  return types;
}

/** Tables of different files as one; a type that stands in two of them is a mistake of ours. */
export function joinTables(...tables: FieldTable[]): FieldTable {
  const all = new Map<string, ReadonlyMap<string, FieldRow>>();
  for (const table of tables) {
    for (const [type, rows] of table) {
      if (all.has(type)) throw new TypeError(`two paragraphs for ${type}`);
      all.set(type, rows);
    }
  }
  return all;
}
