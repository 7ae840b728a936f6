// Columns of custom resources: additionalPrinterColumns of their definition, each a JSONPath.
import { parsePath, valueText } from "../../kube/json-path.ts";
import { ageOf } from "./age.ts";
import { AGE, type Cell, column, NAME, type TableColumn } from "./column.ts";

/** So many values a path may look at in one object: "...*" again and again has no end else. */
const VALUES_MAX = 200_000;

/** As a CustomResourceDefinition has it. */
export interface PrinterColumn {
  name: string;
  type: string;
  format?: string;
  priority?: number;
  jsonPath: string;
}

/** Name, then those of the definition; where it has none, the age. A column whose path is none is left out. */
export function customColumns(printed: readonly PrinterColumn[]): readonly TableColumn[] {
  if (printed.length === 0) return [NAME, AGE];
  return [NAME, ...printed.filter(({ jsonPath }) => pathProblem(jsonPath) === undefined).map(customColumn)];
}

/** Why this is no path; undefined: it is one. */
export function pathProblem(path: unknown): string | undefined {
  if (typeof path !== "string" || !path.startsWith(".")) return "must be a simple json path starting with .";
  try {
    parsePath(path);
    return undefined;
  } catch {
    return "must be a valid json path";
  }
}

function customColumn({ name, type, format = "", priority = 0, jsonPath }: PrinterColumn): TableColumn {
  const find = parsePath(jsonPath, VALUES_MAX);
  const value = (object: object, nowMs: number): Cell => {
    const found = firstOf(find, object);
    return found === undefined || found === null ? null : cellFor(type, found, nowMs);
  };
  return column(name, value, { type: type as TableColumn["type"], format, priority });
}

/** What is not there is no value: an item behind the last one, too, and what is too much to look for. */
function firstOf(find: (root: object) => unknown[], object: object): unknown {
  try {
    return find(object)[0];
  } catch {
    return undefined;
  }
}

/** A value of another type than the column's is no value. */
function cellFor(type: string, value: unknown, nowMs: number): Cell {
  switch (type) {
    case "string":
      return valueText(value);
    case "integer":
      return typeof value === "number" ? Math.trunc(value) : null;
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      if (typeof value !== "string") return null;
      return Number.isNaN(Date.parse(value)) ? "<invalid>" : ageOf(value, nowMs);
    default:
      return null;
  }
}
