// labelSelector and fieldSelector of a request: which objects are meant.
import { labelValue } from "../kube/labels.ts";
import type { KubeObject } from "../kube/objects.ts";
import type { Selectors } from "./request.ts";
import type { Resource } from "./resource.ts";
import { badRequest } from "./status.ts";

export type Matcher = (object: KubeObject) => boolean;

const KEY = String.raw`[A-Za-z0-9](?:[\w./-]*[A-Za-z0-9])?`;
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const EQUAL = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*([\\w.-]*)$`);
const EXISTS = new RegExp(`^(!?)\\s*(${KEY})$`);
const COMPARED = new RegExp(`^(${KEY})\\s*(<|>)\\s*(-?\\d+)$`);

/** Undefined: all. Throws a StatusError. */
export function matcherOf(
  resource: Resource,
  { labelSelector, fieldSelector }: Selectors,
): Matcher | undefined {
  const labels = splitAt(labelSelector).map(labelTest);
  const fields = splitAt(fieldSelector).map((text) => fieldTest(text, resource));
  const tests = [...labels, ...fields];
  if (tests.length === 0) return undefined;
  return (object) => tests.every((test) => test(object));
}

/** At commas outside of parentheses. */
function splitAt(text: string): string[] {
  return text.trim() === "" ? [] : text.split(/,(?![^(]*\))/).map((word) => word.trim());
}

function labelTest(text: string): Matcher {
  const set = SET.exec(text);
  if (set !== null) {
    const values = set[3].split(",").map((value) => value.trim());
    const isIn: Matcher = ({ metadata }) => {
      const value = labelValue(metadata.labels, set[1]);
      return value !== undefined && values.includes(value);
    };
    return set[2] === "in" ? isIn : (object) => !isIn(object);
  }
  const equal = EQUAL.exec(text);
  if (equal !== null) {
    const [, key, operator, value] = equal;
    const wanted = operator !== "!=";
    return ({ metadata }) => (labelValue(metadata.labels, key) === value) === wanted;
  }
  const compared = COMPARED.exec(text);
  if (compared !== null) {
    const [, key, operator, bound] = compared;
    return ({ metadata }) => {
      const value = labelValue(metadata.labels, key);
      if (value === undefined || !/^-?\d+$/.test(value)) return false;
      return operator === "<" ? Number(value) < Number(bound) : Number(value) > Number(bound);
    };
  }
  const exists = EXISTS.exec(text);
  if (exists === null) throw badRequest(`unable to parse requirement: ${JSON.stringify(text)}`);
  return ({ metadata }) => (labelValue(metadata.labels, exists[2]) === undefined) === (exists[1] === "!");
}

/** Beside metadata.name and metadata.namespace, which every kind has. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Pod: [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
  ],
  Event: [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "regarding.kind",
    "regarding.namespace",
    "regarding.name",
    "regarding.uid",
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  Node: ["spec.unschedulable"],
  Namespace: ["status.phase"],
  Secret: ["type"],
  Service: ["spec.clusterIP", "spec.type"],
  ReplicaSet: ["status.replicas"],
  ReplicationController: ["status.replicas"],
  Job: ["status.successful"],
  CertificateSigningRequest: ["spec.signerName"],
};

function fieldTest(text: string, resource: Resource): Matcher {
  const match = /^([A-Za-z][\w.]*)\s*(==|=|!=)\s*(.*)$/.exec(text);
  if (match === null) throw badRequest(`invalid field selector: ${JSON.stringify(text)}`);
  const [, field, operator, value] = match;
  const known = FIELDS[resource.storedAs ?? ""] ?? [];
  if (field !== "metadata.name" && field !== "metadata.namespace" && !known.includes(field))
    throw badRequest(`field label not supported: ${field}`);
  const path = field.replace(/^regarding\./, "involvedObject.").split(".");
  return (object) => (valueAt(object, path) === value) === (operator !== "!=");
}

function valueAt(object: KubeObject, path: readonly string[]): string {
  let value: unknown = object;
  for (const part of path) value = (value as Record<string, unknown> | undefined)?.[part];
  if (typeof value === "boolean" || typeof value === "number") return String(value);
  if (path[0] === "source") return String((value as { component?: string } | undefined)?.component ?? "");
  if (value === undefined && (path[1] === "unschedulable" || path[1] === "hostNetwork")) return "false";
  return typeof value === "string" ? value : "";
}
