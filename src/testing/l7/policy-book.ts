// AuthorizationPolicies read a second time, straight from the fields and from Istio's words for them, to compare the
// evaluator with. Slow, and shares no code with it.
import type { AuthorizationPolicy, PolicyRule } from "../../kube/mesh/authorization-policy.ts";

/** Everything as text, as policies write it. */
export interface BookRequest {
  readonly ip: string;
  /** "cluster.local/ns/NAMESPACE/sa/ACCOUNT"; "": none. */
  readonly principal: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly port: number;
  readonly destinationIp: string;
  readonly http: { readonly method: string; readonly path: string; readonly host: string } | undefined;
}

/** By the book: is it let through? */
export function bookAllows(policies: readonly AuthorizationPolicy[], asked: BookRequest): boolean {
  const meant = policies.filter(({ metadata, spec }) => {
    const wanted = spec?.selector?.matchLabels ?? {};
    return (
      metadata.namespace === asked.namespace &&
      Object.keys(wanted).every((key) => asked.labels[key] === wanted[key])
    );
  });
  const of = (action: string): AuthorizationPolicy[] =>
    meant.filter(({ spec }) => (spec?.action ?? "ALLOW") === action);
  const isMet = ({ metadata, spec }: AuthorizationPolicy): boolean =>
    (spec?.rules ?? []).some((rule) => holds(rule, spec?.action ?? "ALLOW", metadata.namespace ?? "", asked));
  if (of("DENY").some(isMet)) return false;
  return of("ALLOW").length === 0 || of("ALLOW").some(isMet);
}

function holds(rule: PolicyRule, action: string, namespace: string, asked: BookRequest): boolean {
  const from =
    rule.from === undefined || rule.from.some(({ source }) => sourceHolds(source, namespace, asked));
  const to =
    rule.to === undefined || rule.to.some(({ operation }) => operationHolds(operation, action, asked));
  const when = (rule.when ?? []).every(({ key, values = [], notValues = [] }) => {
    const test = (value: string): boolean => fieldHolds(key, value, namespace, asked);
    return (values.length === 0 || values.some(test)) && !notValues.some(test);
  });
  return from && to && when;
}

function sourceHolds(source: object, namespace: string, asked: BookRequest): boolean {
  return Object.entries(source).every(([field, values]) => listHolds(field, values, namespace, asked));
}

function operationHolds(operation: object, action: string, asked: BookRequest): boolean {
  const entries = Object.entries(operation) as [string, string[]][];
  const isHttp = (field: string): boolean => /method|path|host/i.test(field);
  if (asked.http !== undefined)
    return entries.every(([field, values]) => listHolds(field, values, "", asked));
  if (entries.some(([field]) => isHttp(field)) && action !== "DENY") return false;
  return entries.every(([field, values]) => isHttp(field) || listHolds(field, values, "", asked));
}

function listHolds(field: string, values: readonly string[], namespace: string, asked: BookRequest): boolean {
  const isNot = field.startsWith("not");
  const name = isNot ? field.slice(3, 4).toLowerCase() + field.slice(4) : field;
  const isAny = values.some((value) => fieldHolds(name, value, namespace, asked));
  return isNot ? !isAny : isAny;
}

function fieldHolds(field: string, value: string, namespace: string, asked: BookRequest): boolean {
  const [, , own = "", , account = ""] = asked.principal.split("/");
  switch (field) {
    case "principals":
    case "source.principal":
      return isLike(value, asked.principal);
    case "namespaces":
    case "source.namespace":
      return isLike(value, own);
    case "serviceAccounts":
      return (
        account !== "" && (value.includes("/") ? value : `${namespace}/${value}`) === `${own}/${account}`
      );
    case "ipBlocks":
    case "source.ip":
      return isWithin(value, asked.ip);
    case "destination.ip":
      return isWithin(value, asked.destinationIp);
    case "ports":
    case "destination.port":
      return Number(value) === asked.port;
    case "methods":
      return isLike(value, asked.http?.method ?? "");
    case "paths":
      return isLike(value, asked.http?.path ?? "");
    case "hosts":
      return isLike(value.toLowerCase(), (asked.http?.host ?? "").toLowerCase());
    default:
      throw new Error(`the book has nothing of ${field}`);
  }
}

function isLike(value: string, text: string): boolean {
  if (text === "") return false;
  const pattern = value
    .split("*")
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*");
  return new RegExp(`^${pattern}$`, "s").test(text);
}

/** IPv4 alone, bit by bit. */
function isWithin(block: string, ip: string): boolean {
  const [range, bits = "32"] = block.split("/");
  return binary(range).slice(0, Number(bits)) === binary(ip).slice(0, Number(bits));
}

function binary(ip: string): string {
  return ip
    .split(".")
    .map((part) => Number(part).toString(2).padStart(8, "0"))
    .join("");
}
