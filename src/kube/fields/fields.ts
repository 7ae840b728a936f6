// The fields of an object that do nothing here, for the lines that say so.
import { isMap } from "../../base/is-map.ts";
import { PROXY_TYPES } from "../manifest/kube-proxy-types.ts";
import { KUBERNETES_TYPES } from "../manifest/kubernetes-types.ts";
import { CLUSTER_FIELDS } from "./cluster-fields.ts";
import { type FieldRow, joinTables } from "./field-table.ts";
import { NETWORK_FIELDS } from "./network-fields.ts";
import { POD_FIELDS } from "./pod-fields.ts";
import { PROXY_FIELDS } from "./proxy-fields.ts";
import { VOLUME_FIELDS } from "./volume-fields.ts";
import { WORKLOAD_FIELDS } from "./workload-fields.ts";

/** Rows by type, then by field. */
export const FIELDS = joinTables(CLUSTER_FIELDS, WORKLOAD_FIELDS, NETWORK_FIELDS, POD_FIELDS, VOLUME_FIELDS);

/** Types of objects and of kube-proxy's configuration: no name is in both. */
export const TYPES: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  ...KUBERNETES_TYPES,
  ...PROXY_TYPES,
]);
export const ROWS = joinTables(FIELDS, PROXY_FIELDS);

/** Something about a field that whoever wrote it should know; the object is taken as it is. */
export interface FieldNote {
  /** "spec.containers[*].livenessProbe": the same for all items of a list, and for all objects of a kind. */
  readonly field: string;
  readonly text: string;
  /** Notes of a group are said once, with the first one's words. Absent: those of the same field are a group. */
  readonly group?: string;
  /** Where it is worth a word: "lab" where pods are run, "node" wherever the object is read. */
  readonly scope: "lab" | "node";
}

type Note = (note: FieldNote) => void;
type Fields = Readonly<Record<string, unknown>>;

const PAGE = "docs/fields.md";

/** Where a list of plain values does not do: is this value of the field worth a word? */
const WORTH_SAYING: Readonly<Record<string, (value: unknown, holder: Fields) => boolean>> = {
  "Container.resizePolicy": (v) => some(v, ({ restartPolicy }) => restartPolicy !== "NotRequired"),
  "Container.resources": (v, { image }) => isMoreThanMemory(v as Fields) || ECHO_IMAGE.test(String(image)),
  "Namespace.spec": (v) =>
    ((v as Fields).finalizers as unknown[] | undefined)?.some((n) => n !== "kubernetes") ?? false,
  // kubeadm writes these out with nothing in them.
  "KubeProxyConfiguration.clientConnection": () => false,
  "KubeProxyConfiguration.logging": (v) => !isEmpty(v),
  "KubeProxyConfiguration.winkernel": (v) => !isEmpty(v),
  "PodSpec.os": (v) => (v as Fields).name !== "linux",
};

/** Tells what of a decoded object of this kind, before defaults are filled in, is not done. */
export function notDone(object: unknown, kind: string, note: Note): void {
  const { spec, proxy } = object as { spec?: { proxy?: unknown }; proxy?: unknown };
  if (kind === "Lab") visit(spec?.proxy, "KubeProxyConfiguration", "spec.proxy", note);
  else if (kind === "AgentConfiguration") visit(proxy, "KubeProxyConfiguration", "proxy", note);
  else visit(object, kind, "", note);
}

function visit(value: unknown, type: string, at: string, note: Note): void {
  if (Array.isArray(value)) {
    const item = type.slice(1, -1);
    if (ROWS.has(item)) for (const each of value) visit(each, item, `${at}[*]`, note);
    return;
  }
  if (!isMap(value)) return;
  const looked = lookedAt(type);
  if (looked.size === 0) return;
  for (const name of Object.keys(value)) {
    const field = looked.get(name);
    if (field === undefined) continue;
    const path = at === "" ? name : `${at}.${name}`;
    if (field.scope === undefined) visit(value[name], field.type, path, note);
    else if (isSaid(field.row, type, value)) {
      note({ field: path, text: `${field.row.remark} (${PAGE})`, scope: field.scope });
    }
  }
}

interface LookedAt {
  readonly row: FieldRow;
  readonly type: string;
  /** Where the field itself is worth a word; undefined: what is below it may be. */
  readonly scope: FieldNote["scope"] | undefined;
}

const LOOKED_AT = new Map<string, ReadonlyMap<string, LookedAt>>();

/** The fields of a type about which there may be something to say: most of a cluster's objects have none of them. */
function lookedAt(type: string): ReadonlyMap<string, LookedAt> {
  const known = LOOKED_AT.get(type);
  if (known !== undefined) return known;
  const types = TYPES.get(type);
  const found = new Map<string, LookedAt>();
  LOOKED_AT.set(type, found);
  for (const [name, row] of (types === undefined ? undefined : ROWS.get(type)) ?? []) {
    const below = types?.get(name) ?? "";
    if (row.class === "lab" || row.class === "node") found.set(name, { row, type: below, scope: row.class });
    else if (row.class === "served" && hasMore(below))
      found.set(name, { row, type: below, scope: undefined });
  }
  return found;
}

/** Is there anything to look at below a field of this type? No type holds itself. */
function hasMore(type: string): boolean {
  const item = type.startsWith("[") ? type.slice(1, -1) : type;
  return lookedAt(item).size > 0;
}

function isSaid(row: FieldRow, type: string, holder: Fields): boolean {
  const value = holder[row.field];
  if (
    value === null ||
    value === "" ||
    (typeof value === "object" && value !== null && Object.keys(value).length === 0)
  )
    return false;
  const special = WORTH_SAYING[`${type}.${row.field}`];
  if (special !== undefined) return special(value, holder);
  return typeof value === "object" || !row.plain.includes(String(value));
}

/** The image that is built in. */
export const ECHO_IMAGE = /^(?:[^/]+\/)?podwire\/echo(?::[^/]*|@[^/]*)?$/;

function some(list: unknown, check: (item: Fields) => boolean): boolean {
  return Array.isArray(list) && list.some((item) => isMap(item) && check(item));
}

/** There is more in these resources than limits.memory and what asks for no more of it. */
function isMoreThanMemory({ limits, requests, ...others }: Fields): boolean {
  const isMemory = (v: unknown): boolean => !isMap(v) || Object.keys(v).every((name) => name === "memory");
  return !isMemory(limits) || !isMap(limits) || !isMemory(requests) || !isEmpty(others);
}

/** Zero values all through, as Go writes what nobody set. */
function isEmpty(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return !value || value === "0" || value === "0s";
  return Object.values(value).every(isEmpty);
}
