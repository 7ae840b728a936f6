// One rule of an AuthorizationPolicy, made into a question that can be asked of each connection or request (Istio's
// security.istio.io/v1). Of a connection that is no request a rule of ALLOW or AUDIT with a field of HTTP is never met;
// of DENY such fields are left out, so that it denies more than it says and never less.
import { type Cidr, contains, network, parseCidr, parseIp } from "../../base/ip.ts";
import type {
  PolicyAction,
  PolicyCondition,
  PolicyOperation,
  PolicyRule,
  PolicySource,
} from "../../kube/mesh/authorization-policy.ts";
import { headerOf } from "../request.ts";
import { type Asked, principalOf } from "./asked.ts";
import { textTest } from "./match-text.ts";

export type Test = (asked: Asked) => boolean;

export interface CompiledRule {
  readonly test: Test;
  /** It asks for what only a request has. */
  readonly hasHttp: boolean;
  /** Ports that it speaks of; undefined: all. */
  readonly ports: ReadonlySet<number> | undefined;
}

/** A policy that says what is not understood here. */
export class UnservedPolicy extends Error {}

const SOURCE_FIELDS: Readonly<Record<string, (values: readonly string[], namespace: string) => Test>> = {
  principals: ofPrincipals,
  namespaces: ofNamespaces,
  serviceAccounts: ofAccounts,
  ipBlocks: (values) => ofBlocks(values, ({ source }) => source.ip),
};
const OPERATION_FIELDS: Readonly<Record<string, (values: readonly string[]) => Test>> = {
  ports: ofPorts,
  methods: (values) => ofTexts(values, ({ request }) => request?.method ?? ""),
  paths: (values) => ofTexts(values, ({ request }) => request?.path ?? ""),
  hosts: (values) => ofTexts(values, ({ request }) => request?.host ?? "", true),
};
const HTTP_FIELDS = ["methods", "paths", "hosts"];
const KEYS: Readonly<Record<string, (values: readonly string[]) => Test>> = {
  "source.ip": (values) => ofBlocks(values, ({ source }) => source.ip),
  "source.namespace": ofNamespaces,
  "source.principal": ofPrincipals,
  "destination.ip": (values) => ofBlocks(values, ({ destination }) => destination.ip),
  "destination.port": ofPorts,
};
const HEADER = /^request\.headers\[([^\]]+)\]$/;
const ALWAYS: Test = () => true;
const NEVER: Test = () => false;

/** Throws UnservedPolicy. `namespace`: the policy's. */
export function compileRule(rule: PolicyRule, action: PolicyAction, namespace: string): CompiledRule {
  const { from, to, when = [] } = rule;
  const sources = from?.map(({ source }) => sourceTest(source, namespace));
  const operations = to?.map(({ operation }) => operationTest(operation, action));
  const conditions = when.map((each) => conditionTest(each, action));
  const hasHttp =
    to?.some(({ operation }) => isOfHttp(operation)) === true || when.some(({ key }) => HEADER.test(key));
  const isFrom = sources === undefined ? ALWAYS : anyOf(sources);
  const isTo = operations === undefined ? ALWAYS : anyOf(operations);
  const isWhen = allOf(conditions);
  return {
    test: (asked) => isFrom(asked) && isTo(asked) && isWhen(asked),
    hasHttp,
    ports: portsOf(to),
  };
}

function sourceTest(source: PolicySource, namespace: string): Test {
  return allOf(fieldTests(source, SOURCE_FIELDS, (make, values) => make(values, namespace)));
}

function operationTest(operation: PolicyOperation, action: PolicyAction): Test {
  const plain = Object.fromEntries(Object.entries(operation).filter(([field]) => !isHttpField(field)));
  const whole = allOf(fieldTests(operation, OPERATION_FIELDS, (make, values) => make(values, "")));
  if (!isOfHttp(operation)) return whole;
  const bare =
    action === "DENY"
      ? allOf(fieldTests(plain, OPERATION_FIELDS, (make, values) => make(values, "")))
      : NEVER;
  return (asked) => (asked.request === undefined ? bare(asked) : whole(asked));
}

function conditionTest({ key, values, notValues }: PolicyCondition, action: PolicyAction): Test {
  const header = HEADER.exec(key)?.[1].toLowerCase();
  const make =
    header === undefined
      ? KEYS[key]
      : (list: readonly string[]): Test =>
          ofTexts(list, ({ request }) => headerOf(request?.headers ?? [], header) ?? "");
  if (make === undefined) throw new UnservedPolicy(`when: the key ${key} is not one that is judged by`);
  const tests = [
    ...(values === undefined || values.length === 0 ? [] : [make(values)]),
    ...(notValues === undefined || notValues.length === 0 ? [] : [not(make(notValues))]),
  ];
  const whole = allOf(tests);
  if (header === undefined) return whole;
  return (asked) => (asked.request === undefined ? action === "DENY" : whole(asked));
}

type Make = (values: readonly string[], namespace: string) => Test;

/** Each field by its name, and with "not" before it; all have to be met. */
function fieldTests(
  lists: object,
  known: Readonly<Record<string, Make>>,
  made: (make: Make, values: readonly string[]) => Test,
): Test[] {
  return Object.entries(lists as Record<string, readonly string[] | undefined>).flatMap(([field, values]) => {
    if (values === undefined || values.length === 0) return [];
    const isNot = /^not[A-Z]/.test(field);
    const name = isNot ? field[3].toLowerCase() + field.slice(4) : field;
    if (!Object.hasOwn(known, name)) throw new UnservedPolicy(`${field} is not judged by`);
    const test = made(known[name], values);
    return [isNot ? not(test) : test];
  });
}

function isHttpField(field: string): boolean {
  return HTTP_FIELDS.includes(field) || HTTP_FIELDS.some((each) => field.toLowerCase() === `not${each}`);
}

function isOfHttp(operation: PolicyOperation): boolean {
  return Object.entries(operation).some(([field, values]) => isHttpField(field) && values.length > 0);
}

function portsOf(to: PolicyRule["to"]): ReadonlySet<number> | undefined {
  const lists = to?.map(({ operation }) => operation.ports ?? []) ?? [];
  if (lists.length === 0 || lists.some((list) => list.length === 0)) return undefined;
  return new Set(lists.flat().map(Number));
}

function ofPrincipals(values: readonly string[]): Test {
  return ofTexts(values, ({ source }) => principalOf(source));
}

function ofNamespaces(values: readonly string[]): Test {
  return ofTexts(values, ({ source }) => source.identity?.namespace ?? "");
}

/** NAME, of the policy's namespace, or NAMESPACE/NAME. */
function ofAccounts(values: readonly string[], namespace: string): Test {
  const wanted = new Set(values.map((value) => (value.includes("/") ? value : `${namespace}/${value}`)));
  return ({ source: { identity } }) =>
    identity !== undefined && wanted.has(`${identity.namespace}/${identity.serviceAccount}`);
}

function ofTexts(values: readonly string[], text: (asked: Asked) => string, isFolded = false): Test {
  const tests = values.map((value) => textTest(value, isFolded));
  return (asked) => {
    const seen = text(asked);
    return tests.some((test) => test(seen));
  };
}

function ofPorts(values: readonly string[]): Test {
  const wanted = new Set(values.map(Number));
  return ({ destination }) => wanted.has(destination.port);
}

function ofBlocks(values: readonly string[], address: (asked: Asked) => Asked["source"]["ip"]): Test {
  const blocks = values.map(blockOf);
  return (asked) => {
    const ip = address(asked);
    return blocks.some((block) => block.family === ip.family && contains(block, ip));
  };
}

/** A range, or one address. */
function blockOf(text: string): Cidr {
  const one = parseIp(text);
  const block = one === null ? parseCidr(text) : network(one, one.family === 4 ? 32 : 128);
  if (block === null) throw new UnservedPolicy(`${JSON.stringify(text)} is neither an address nor a range`);
  return block;
}

function not(test: Test): Test {
  return (asked) => !test(asked);
}

function allOf(tests: readonly Test[]): Test {
  return (asked) => tests.every((test) => test(asked));
}

function anyOf(tests: readonly Test[]): Test {
  return (asked) => tests.some((test) => test(asked));
}
