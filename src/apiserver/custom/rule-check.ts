// Objects held to the rules of their definition: errors in an API server's words. An update is held to transition rules
// as well; what was wrong before and was not changed is only warned of. What the rules of one object cost is bounded.
import { deepEqual } from "../../base/deep-equal.ts";
import { isObject, type Json, type JsonObject, member, type Schema } from "../schema/schema.ts";
import type { Frame } from "./cel/code.ts";
import { celValue } from "./cel/schema-value.ts";
import { Exhausted, Fault, NONE, Optional, type Value } from "./cel/value.ts";
import { type CompiledRule, compiledRules, hasRules, type Rule } from "./cel-rules.ts";

/** What the rules of an object may cost, and one of them. */
const BUDGET = 10_000_000;
const CALL_MAX = 1_000_000;
const MESSAGE_MAX = 5120;
const OUT_OF_BUDGET =
  "validation failed due to running out of cost budget, no further validation rules will be run";

export interface RuleFindings {
  /** Each as "PATH: Word value: why". */
  readonly problems: string[];
  readonly warnings: string[];
}

const having = new WeakMap<Schema, boolean>();

/** `old`: what the object replaces. */
export function checkRules(object: JsonObject, old: JsonObject | undefined, schema: Schema): RuleFindings {
  let has = having.get(schema);
  if (has === undefined) having.set(schema, (has = hasRules(schema)));
  const check = new RuleRun();
  if (has) check.value(object, old, schema, "", true, old !== undefined);
  return check;
}

class RuleRun implements RuleFindings {
  readonly problems: string[] = [];
  readonly warnings: string[] = [];
  #left = BUDGET;
  #isOver = false;

  /** `isKnown`: an update whose old value is that of the same place. */
  value(
    value: Json,
    old: Json | undefined,
    schema: Schema,
    path: string,
    isRoot: boolean,
    isKnown: boolean,
  ): void {
    if (value === null || this.#isOver) return;
    this.#rules(value, old, schema, path, isRoot, isKnown);
    const { allOf } = schema as unknown as { readonly allOf?: readonly Schema[] };
    for (const one of allOf ?? [])
      this.value(value, old, { ...one, type: schema.type } as Schema, path, false, false);
    if (Array.isArray(value)) this.#list(value, old, schema, path, isKnown);
    else if (isObject(value)) this.#fields(value, old, schema, path, isKnown);
  }

  #list(list: readonly Json[], old: Json | undefined, schema: Schema, path: string, isKnown: boolean): void {
    const { items } = schema;
    if (items === undefined) return;
    const before = correlated(old, schema);
    for (const [i, item] of list.entries()) {
      const was = before?.(item);
      this.value(item, was, items, `${path}[${i}]`, false, isKnown && was !== undefined);
    }
  }

  #fields(object: JsonObject, old: Json | undefined, schema: Schema, path: string, isKnown: boolean): void {
    const { properties, additionalProperties: more } = schema;
    const before = isObject(old) ? old : undefined;
    for (const [name, child] of Object.entries(object)) {
      const field = member(properties, name);
      const inner = field ?? (typeof more === "object" ? more : undefined);
      if (inner === undefined) continue;
      const was = member(before, name);
      const at = field === undefined ? `${path}[${name}]` : path === "" ? name : `${path}.${name}`;
      this.value(child, was, inner, at, false, isKnown && was !== undefined);
    }
  }

  #rules(
    value: Json,
    old: Json | undefined,
    schema: Schema,
    path: string,
    isRoot: boolean,
    isKnown: boolean,
  ): void {
    const rules = compiledRules(schema, isRoot);
    if (rules.length === 0) return;
    const asked = { path, schema, value, isSame: isKnown && deepEqual(value, old) };
    let variables: Record<string, Value>;
    const hasOld = old !== undefined && old !== null;
    try {
      const self = celValue(value, schema, isRoot || undefined);
      variables = hasOld ? { self, oldSelf: celValue(old, schema, isRoot || undefined) } : { self };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#invalid(asked, path, `${error.message} evaluating rule`);
      return;
    }
    for (const rule of rules) {
      if (this.#isOver) return;
      if (typeof rule === "string") this.#invalid(asked, path, `rule compile error: ${rule}`);
      else this.#rule(rule, asked, variables, hasOld);
    }
  }

  #rule(rule: CompiledRule, asked: Asked, variables: Record<string, Value>, hasOld: boolean): void {
    const { given, test } = rule;
    const isOptional = given.optionalOldSelf === true;
    if (rule.usesOld && !hasOld && !isOptional) return;
    const all = isOptional
      ? { ...variables, oldSelf: hasOld ? new Optional(variables.oldSelf) : NONE }
      : variables;
    const { path } = asked;
    const answer = this.#evaluated(() => test.run(this.#frame(all)));
    if (answer instanceof Exhausted) {
      const why = `'${answer.message}': no further validation rules will be run due to call cost exceeds limit for rule`;
      const isBudget = this.#left < 0;
      this.#invalid(asked, path, isBudget ? OUT_OF_BUDGET : `${why}: ${named(given)}`);
      this.#isOver = true;
    } else if (answer instanceof Fault) {
      const text = answer.message;
      const isOverload = text.startsWith("no such overload");
      const why = `'${text}': call arguments did not match a supported operator, function or macro signature for rule`;
      this.#invalid(
        asked,
        path,
        isOverload ? `${why}: ${named(given)}` : `${text} evaluating rule: ${named(given)}`,
      );
    } else if (answer !== true) this.#broken(rule, asked, variables);
  }

  #broken(rule: CompiledRule, asked: Asked, variables: Record<string, Value>): void {
    const { given } = rule;
    const at = [asked.path, rule.path].filter((part) => part !== "").join(".") || "<nil>";
    const text = this.#message(rule, variables) ?? ordinary(given);
    const { type } = asked.schema;
    const isWhole = type === "object" || type === "array";
    const value = isWhole ? "" : `${JSON.stringify(asked.value)}: `;
    const problem = {
      FieldValueForbidden: `${at}: Forbidden: ${text}`,
      FieldValueRequired: `${at}: Required value: ${text}`,
      FieldValueDuplicate: `${at}: Duplicate value${isWhole ? "" : `: ${JSON.stringify(asked.value)}`}`,
    }[given.reason ?? ""];
    const told = problem ?? `${at}: Invalid value: ${value}${text}`;
    if (asked.isSame && !rule.usesOld) this.warnings.push(told);
    else this.problems.push(told);
  }

  /** Undefined: its expression says nothing that could be told. */
  #message({ message }: CompiledRule, variables: Record<string, Value>): string | undefined {
    if (message === undefined) return undefined;
    const made = this.#evaluated(() => message.run(this.#frame(variables)));
    if (typeof made !== "string") return undefined;
    const text = made.trim();
    return text === "" || text.includes("\n") || Buffer.byteLength(text) > MESSAGE_MAX ? undefined : text;
  }

  #invalid({ schema }: Asked, path: string, why: string): void {
    this.problems.push(`${path || "<nil>"}: Invalid value: ${JSON.stringify(schema.type ?? "")}: ${why}`);
  }

  #evaluated(run: () => Value): Value {
    try {
      return run();
    } catch (error) {
      if (error instanceof Fault || error instanceof Exhausted) return error;
      if (error instanceof RangeError)
        return new Exhausted("operation cancelled: actual cost limit exceeded");
      throw error;
    }
  }

  #frame(variables: Record<string, Value>): Frame {
    let spent = 0;
    const spend = (cost: number): void => {
      spent += cost;
      this.#left -= cost;
      if (spent > CALL_MAX || this.#left < 0)
        throw new Exhausted("operation cancelled: actual cost limit exceeded");
    };
    return { variables, slots: [], meter: { spend } };
  }
}

interface Asked {
  readonly path: string;
  readonly schema: Schema;
  readonly value: Json;
  /** Nothing of it is changed. */
  readonly isSame: boolean;
}

function named({ message = "", rule = "" }: Rule): string {
  return (message === "" ? rule : message).trim();
}

function ordinary(rule: Rule): string {
  return (rule.message ?? "") === "" ? `failed rule: ${named(rule)}` : named(rule);
}

/** Items of a keyed list by their keys; others nobody knows again. */
function correlated(old: Json | undefined, schema: Schema): ((item: Json) => Json | undefined) | undefined {
  if (!Array.isArray(old) || schema["x-kubernetes-list-type"] !== "map") return undefined;
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const keyOf = (item: Json): string =>
    JSON.stringify(keys.map((key) => (isObject(item) ? (member(item, key) ?? null) : null)));
  const byKey = new Map(old.map((item) => [keyOf(item), item]));
  return (item) => byKey.get(keyOf(item));
}
