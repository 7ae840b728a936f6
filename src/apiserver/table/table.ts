// Tables (meta.k8s.io/v1): what `kubectl get` asks for instead of the objects, with the columns that kube-apiserver 1.37
// prints. Descriptions of the columns are left empty: they are text for people, and no client shows them.
import type { KubeObject, Pod } from "../../kube/objects.ts";
import { CLUSTER, PLAIN } from "./cluster-columns.ts";
import { type Cell, cellOf, type TableColumn } from "./column.ts";
import { NETWORK } from "./network-columns.ts";
import { PODS } from "./pod-columns.ts";
import { STORAGE } from "./storage-columns.ts";
import { WORKLOADS } from "./workload-columns.ts";

const COLUMNS: Readonly<Record<string, readonly TableColumn[]>> = {
  Pod: PODS,
  ...WORKLOADS,
  ...NETWORK,
  ...CLUSTER,
  ...STORAGE,
};

/** Of a kind that is built in. Custom ones: `customColumns`. */
export function columnsOfKind(kind: string): readonly TableColumn[] {
  return Object.hasOwn(COLUMNS, kind) ? COLUMNS[kind] : PLAIN;
}

/** What of the object goes with its row. */
export type IncludeObject = "None" | "Metadata" | "Object";

interface TableRow {
  cells: Cell[];
  conditions?: object[];
  object?: object;
}

const META = "meta.k8s.io";
const INCLUDES: readonly string[] = ["None", "Metadata", "Object"];

/** "" is the metadata. Undefined: there is no such way. */
export function includeOf(text: string | null): IncludeObject | undefined {
  if (text === null || text === "") return "Metadata";
  return INCLUDES.includes(text) ? (text as IncludeObject) : undefined;
}

export interface TableShape {
  readonly columns: readonly TableColumn[];
  /** v1 or v1beta1: as the client asks for it. */
  readonly version: string;
  readonly include: IncludeObject;
  /** apiVersion of the objects. */
  readonly of: string;
}

/** Writes tables of one kind's objects. Cells of all columns are there, those with a priority too. */
export class TableFormat {
  /** Two with the same key write the same. */
  readonly key: string;
  readonly #columns: readonly TableColumn[];
  readonly #apiVersion: string;
  readonly #include: IncludeObject;
  readonly #shown: (object: KubeObject) => KubeObject;

  /** `shown`: a stored object in its resource's version. */
  constructor({ columns, version, include, of }: TableShape, shown: (object: KubeObject) => KubeObject) {
    this.#columns = columns;
    this.#apiVersion = `${META}/${version}`;
    this.#include = include;
    this.#shown = shown;
    this.key = `table ${version} ${include} ${of} ${columns.map(({ name }) => name).join()}`;
  }

  /** `isFirst`: of a watch's events: the others have no headers. */
  one(object: KubeObject, isFirst: boolean): string {
    const { resourceVersion } = object.metadata;
    return JSON.stringify(
      this.#table([object], resourceVersion === undefined ? {} : { resourceVersion }, isFirst),
    );
  }

  list(objects: readonly KubeObject[], metadata: object): string {
    return JSON.stringify(this.#table(objects, metadata, true));
  }

  #table(objects: readonly KubeObject[], metadata: object, hasHeaders: boolean): object {
    const nowMs = Date.now();
    return {
      kind: "Table",
      apiVersion: this.#apiVersion,
      metadata,
      columnDefinitions: hasHeaders ? this.#columns.map(definition) : null,
      rows: objects.map((object) => this.#row(object, nowMs)),
    };
  }

  /** Cells are of the stored object: the same whatever version of it a client asks for. */
  #row(object: KubeObject, nowMs: number): TableRow {
    const row: TableRow = { cells: this.#columns.map((column) => cellOf(column, object, nowMs)) };
    const phase = object.kind === "Pod" ? ((object as Pod).status?.phase ?? "") : "";
    if (Object.hasOwn(ENDED, phase))
      row.conditions = [{ type: "Completed", status: "True", reason: phase, message: ENDED[phase] }];
    if (this.#include === "Object") row.object = this.#shown(object);
    if (this.#include === "Metadata")
      row.object = { kind: "PartialObjectMetadata", apiVersion: this.#apiVersion, metadata: object.metadata };
    return row;
  }
}

function definition({ name, type, format, priority }: TableColumn): object {
  return { name, type, format, description: "", priority };
}

const ENDED: Readonly<Record<string, string>> = {
  Succeeded: "All containers of the pod have ended well.",
  Failed: "The pod has failed.",
};
