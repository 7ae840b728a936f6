// Objects as rows, with the columns that kube-apiserver 1.37 prints for `kubectl get`.
import { CLUSTER, PLAIN } from "./cluster-columns.ts";
import type { TableColumn } from "./column.ts";
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

/** Of a kind that is built in. */
export function columnsOfKind(kind: string): readonly TableColumn[] {
  return Object.hasOwn(COLUMNS, kind) ? COLUMNS[kind] : PLAIN;
}
