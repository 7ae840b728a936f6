// AuthorizationPolicies: what Istio refuses of them (pkg/config/validation), in its words; and what podwire's proxies do
// not judge by, which is refused by name: a policy that is read in part would let through what it forbids.

import type { FieldPath, FieldProblems } from "../../manifest/field-problems.ts";
import type {
  AuthorizationPolicy,
  PolicyCondition,
  PolicyOperation,
  PolicyRule,
  PolicySource,
} from "../../mesh/authorization-policy.ts";
import * as names from "../names.ts";

const ACTIONS = ["ALLOW", "DENY", "AUDIT"];
const RULES_MAX = 512;
const VALUE_TEXT = "empty value not allowed";
const NOT_SERVED = "podwire's proxies do not judge by it: leave it out";
const UNSERVED_SOURCES = ["requestPrincipals", "notRequestPrincipals", "remoteIpBlocks", "notRemoteIpBlocks"];
const ACCOUNT = /^(?:[^/*]+\/)?[^/*]+$/;
const KEYS = ["source.ip", "source.namespace", "source.principal", "destination.ip", "destination.port"];
const HEADER = /^request\.headers\[[!#$%&'*+\-.^_`|~0-9A-Za-z]+\]$/;
const IP_KEYS = ["source.ip", "destination.ip"];
const PORT_MAX = 65_535;

/** The types of the fields are right. */
export function checkAuthorizationPolicy({ spec = {} }: AuthorizationPolicy, p: FieldProblems): void {
  const { action = "ALLOW", selector, rules, ...others } = spec;
  if ((action as string) === "CUSTOM")
    p.invalid(["spec", "action"], action, "podwire's proxies ask nobody else: ALLOW, DENY or AUDIT");
  else if (!ACTIONS.includes(action)) p.unsupported(["spec", "action"], action, ACTIONS);
  for (const field of ["provider", "targetRef", "targetRefs"])
    if (field in others) p.forbidden(["spec", field], NOT_SERVED);
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) {
    const at = ["spec", "selector", "matchLabels", key];
    for (const message of names.qualifiedName(key)) p.invalid(at, key, message);
    for (const message of names.labelValue(value)) p.invalid(at, value, message);
  }
  if (action === "DENY" && (rules ?? []).length === 0) p.required(["spec", "rules"], DENY_TEXT);
  if ((rules ?? []).length > RULES_MAX) p.tooMany(["spec", "rules"], rules!.length, RULES_MAX);
  for (const [i, rule] of (rules ?? []).entries()) checkRule(rule, ["spec", "rules", i], p);
}

const DENY_TEXT = "a DENY policy without rules is meaningless: it has no effect and should be removed";

function checkRule({ from, to, when }: PolicyRule, at: FieldPath, p: FieldProblems): void {
  if (from?.length === 0) p.required([...at, "from"], "cannot be empty");
  if (to?.length === 0) p.required([...at, "to"], "cannot be empty");
  for (const [i, { source }] of (from ?? []).entries()) checkSource(source, [...at, "from", i, "source"], p);
  for (const [i, { operation }] of (to ?? []).entries())
    checkOperation(operation, [...at, "to", i, "operation"], p);
  for (const [i, condition] of (when ?? []).entries()) checkCondition(condition, [...at, "when", i], p);
}

function checkSource(source: PolicySource | undefined, at: FieldPath, p: FieldProblems): void {
  if (source === undefined || !hasAny(source)) {
    p.required(at, "must have at least one field set");
    return;
  }
  for (const field of UNSERVED_SOURCES) if (field in source) p.forbidden([...at, field], NOT_SERVED);
  checkValues(source, at, p);
  for (const field of ["serviceAccounts", "notServiceAccounts"] as const)
    for (const [i, account] of (source[field] ?? []).entries())
      if (!ACCOUNT.test(account))
        p.invalid([...at, field, i], account, "must be NAME or NAMESPACE/NAME, without *");
  for (const field of ["ipBlocks", "notIpBlocks"] as const) checkBlocks(source[field], [...at, field], p);
}

function checkOperation(operation: PolicyOperation | undefined, at: FieldPath, p: FieldProblems): void {
  if (operation === undefined || !hasAny(operation)) {
    p.required(at, "must have at least one field set");
    return;
  }
  checkValues(operation, at, p);
  for (const field of ["ports", "notPorts"] as const) checkPorts(operation[field], [...at, field], p);
  for (const field of ["paths", "notPaths"] as const)
    for (const [i, path] of (operation[field] ?? []).entries())
      if (/[{}]/.test(path))
        p.invalid([...at, field, i], path, "templates of paths are not served: use * at an end");
}

function checkCondition(
  { key = "", values = [], notValues = [] }: PolicyCondition,
  at: FieldPath,
  p: FieldProblems,
): void {
  if (key === "") {
    p.required([...at, "key"], "cannot be empty");
    return;
  }
  if (!KEYS.includes(key) && !HEADER.test(key)) {
    p.unsupported([...at, "key"], key, [...KEYS, "request.headers[NAME]"]);
    return;
  }
  if (values.length === 0 && notValues.length === 0) p.required(at, `values or notValues of ${key}`);
  checkValues({ values, notValues }, at, p);
  for (const [field, list] of [
    ["values", values],
    ["notValues", notValues],
  ] as const) {
    if (IP_KEYS.includes(key)) checkBlocks(list, [...at, field], p);
    if (key === "destination.port") checkPorts(list, [...at, field], p);
  }
}

function hasAny(lists: object): boolean {
  return Object.values(lists).some((list) => Array.isArray(list) && list.length > 0);
}

function checkValues(lists: object, at: FieldPath, p: FieldProblems): void {
  for (const [field, list] of Object.entries(lists) as [string, readonly string[]][])
    for (const [i, value] of list.entries()) {
      if (value === "") p.invalid([...at, field, i], value, VALUE_TEXT);
      else if (value.slice(1, -1).includes("*"))
        p.invalid([...at, field, i], value, "* stands at one end, or alone");
    }
}

/** Addresses, or ranges of them. */
function checkBlocks(list: readonly string[] | undefined, at: FieldPath, p: FieldProblems): void {
  for (const [i, block] of (list ?? []).entries()) {
    if (block.includes("/")) names.checkCidr(p, [...at, i], block);
    else names.checkIp(p, [...at, i], block);
  }
}

function checkPorts(list: readonly string[] | undefined, at: FieldPath, p: FieldProblems): void {
  for (const [i, port] of (list ?? []).entries())
    if (!/^\d{1,5}$/.test(port) || Number(port) > PORT_MAX)
      p.invalid([...at, i], port, `must be a number from 0 to ${PORT_MAX}`);
}
