// TokenRequest: a token of a service account, checked as kube-apiserver checks it. It may be bound to a pod, a Secret or
// a node, and ends with that; so what it is bound to has to be there, and to be the one that is meant.
import { type KubeObject, keyOf, type Pod } from "../kube/objects.ts";
import { mapOf } from "./options.ts";
import { badRequest, conflict, invalidField, notFound } from "./status.ts";
import { SECONDS_LEAST, SECONDS_MOST, type TokenBinding, type TokenSpec, type Tokens } from "./tokens.ts";

type Get = (kind: string, key: string) => KubeObject | undefined;

const GROUP = "authentication.k8s.io";
const REQUEST = { group: GROUP, plural: "tokenrequests", kind: "TokenRequest" };
const PLURALS: Readonly<Record<string, string>> = { Pod: "pods", Secret: "secrets", Node: "nodes" };

/** The request with its token. `account`: of the URL. Throws a StatusError. */
export function answeredTokenRequest(body: unknown, account: KubeObject, tokens: Tokens, get: Get): object {
  const { spec, metadata = {} } = mapOf(body);
  const own = account.metadata;
  const given = mapOf(metadata);
  for (const field of ["name", "namespace"] as const) {
    if ((given[field] ?? "") === "" || given[field] === own[field]) continue;
    const why = `must match the service account ${field} if specified`;
    const detail = `Invalid value: ${JSON.stringify(given[field])}: ${why}`;
    throw invalidField(REQUEST, own.name, `metadata.${field}`, detail);
  }
  const wanted = specOf(spec);
  const binding = bindingOf(wanted.boundObjectRef, account, get);
  const { spec: granted, ...status } = tokens.issue(account, wanted, binding);
  const names = { name: own.name, namespace: own.namespace };
  return {
    ...{ kind: "TokenRequest", apiVersion: `${GROUP}/v1`, metadata: { ...given, ...names } },
    ...{ spec: granted, status },
  };
}

function specOf(given: unknown): TokenSpec {
  const { expirationSeconds: seconds, audiences, boundObjectRef } = mapOf(given);
  const isList = Array.isArray(audiences) && audiences.every((each) => typeof each === "string");
  const isMap = typeof boundObjectRef === "object" && !Array.isArray(boundObjectRef);
  const texts = Object.values(mapOf(boundObjectRef)).every(
    (each) => each == null || typeof each === "string",
  );
  const wrong = [
    ...(seconds == null || Number.isInteger(seconds) ? [] : ["spec.expirationSeconds: must be an integer"]),
    ...(audiences == null || isList ? [] : ["spec.audiences: must be a list of texts"]),
    ...(boundObjectRef == null || (isMap && texts) ? [] : ["spec.boundObjectRef: must be a map of texts"]),
  ];
  if (wrong.length > 0) throw badRequest(`TokenRequest cannot be read: ${wrong.join(", ")}`);
  if (seconds != null) checkSeconds(seconds as number);
  return {
    ...(seconds == null ? {} : { expirationSeconds: seconds as number }),
    ...(isList && audiences.length > 0 ? { audiences } : {}),
    ...(boundObjectRef == null ? {} : { boundObjectRef }),
  };
}

function checkSeconds(seconds: number): void {
  const isShort = seconds < SECONDS_LEAST;
  if (!isShort && seconds <= SECONDS_MOST) return;
  const why = isShort ? "less than 10 minutes" : "larger than 2^32 seconds";
  const detail = `Invalid value: ${seconds}: may not specify a duration ${why}`;
  throw invalidField(REQUEST, "", "spec.expirationSeconds", detail);
}

function bindingOf(
  reference: TokenSpec["boundObjectRef"],
  { metadata: { name: account, namespace } }: KubeObject,
  get: Get,
): TokenBinding {
  if (reference === undefined) return {};
  const { apiVersion = "", kind = "", name = "", uid = "" } = reference;
  const plural = Object.hasOwn(PLURALS, kind) && !apiVersion.includes("/") ? PLURALS[kind] : undefined;
  if (plural === undefined) {
    const version = apiVersion.includes("/") ? apiVersion : `/${apiVersion}`;
    throw badRequest(`cannot bind token to object of type ${version}, Kind=${kind}`);
  }
  const key = keyOf({
    metadata: kind === "Node" || namespace === undefined ? { name } : { namespace, name },
  });
  const found = get(kind, key);
  if (found === undefined) throw notFound({ group: "", plural, kind }, name);
  const accountOfPod = kind === "Pod" ? ((found as Pod).spec.serviceAccountName ?? "default") : account;
  if (accountOfPod !== account) {
    const what = `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod`;
    throw badRequest(`${what} running with different serviceaccount name.`);
  }
  if (uid !== "" && uid !== found.metadata.uid) {
    const what = `the UID in the bound object reference (${uid}) does not match the UID in record`;
    const why = `${what}. The object might have been deleted and then recreated`;
    throw conflict({ group: "", plural: kind, kind }, name, why);
  }
  const bound = { name, uid: found.metadata.uid ?? "" };
  if (kind === "Node") return { node: bound };
  return kind === "Secret" ? { secret: bound } : { pod: bound, ...nodeOf(found as Pod, get) };
}

function nodeOf({ spec: { nodeName } }: Pod, get: Get): TokenBinding {
  if (nodeName === undefined) return {};
  const uid = get("Node", nodeName)?.metadata.uid;
  return { node: { name: nodeName, ...(uid === undefined ? {} : { uid }) } };
}
