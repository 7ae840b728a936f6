// Rules of a definition's schema (x-kubernetes-validations): compiled once, and told where they cannot be, in the words
// of an API server.
import { isObject, type JsonObject, type Schema } from "../schema/schema.ts";
import { compile, type Expression } from "./cel/compile.ts";
import { typeOf } from "./cel/schema-value.ts";
import { CompileError } from "./cel/syntax.ts";
import { type CelType, optionalOf } from "./cel/type.ts";
import { rulePath } from "./rule-path.ts";

/** As the definition has it. */
export interface Rule {
  readonly rule?: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

export interface CompiledRule {
  readonly given: Rule;
  readonly test: Expression;
  readonly message: Expression | undefined;
  readonly usesOld: boolean;
  /** Behind the path of what the rule is about. */
  readonly path: string;
}

const REASONS = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
const NAME = "x-kubernetes-validations";

const rulesIn = (schema: Schema): readonly Rule[] => {
  const given = (schema as unknown as JsonObject)[NAME];
  return Array.isArray(given) ? (given.filter(isObject) as unknown as Rule[]) : [];
};

/** Whether a schema has rules somewhere. */
export function hasRules(schema: Schema): boolean {
  if (rulesIn(schema).length > 0) return true;
  const { items, properties = {}, additionalProperties: more } = schema;
  const inner = [...Object.values(properties), ...(items === undefined ? [] : [items])];
  const { allOf } = schema as unknown as { readonly allOf?: readonly Schema[] };
  return [...inner, ...(typeof more === "object" ? [more] : []), ...(allOf ?? [])].some(hasRules);
}

const shown = (value: unknown): string => JSON.stringify(value);

/** What is wrong with rules, each as "PATH: Word value: why". */
export function ruleProblems(schema: JsonObject, path: string): string[] {
  const check = new RuleCheck();
  check.walk(schema as unknown as Schema, path, true, undefined);
  // Where rules are malformed, nobody compiles them.
  return check.malformed.length > 0 ? check.malformed : check.uncompiled;
}

class RuleCheck {
  readonly malformed: string[] = [];
  readonly uncompiled: string[] = [];

  /** `uncorrelatable`: the list whose items nobody knows again after an update. */
  walk(schema: Schema, path: string, isRoot: boolean, uncorrelatable: string | undefined): void {
    const rules = rulesIn(schema);
    const wrong = rules.flatMap((rule, i) => malformedIn(rule, schema, `${path}.${NAME}[${i}]`));
    this.malformed.push(...wrong);
    if (rules.length > 0 && wrong.length === 0) this.#compile(rules, schema, path, isRoot, uncorrelatable);
    const { items, properties = {}, additionalProperties: more } = schema;
    const isKnown = schema["x-kubernetes-list-type"] === "map";
    if (items !== undefined)
      this.walk(items, `${path}.items`, false, isKnown ? uncorrelatable : (uncorrelatable ?? path));
    for (const [name, field] of Object.entries(properties))
      this.walk(field, `${path}.properties[${name}]`, false, uncorrelatable);
    if (typeof more === "object") this.walk(more, `${path}.additionalProperties`, false, uncorrelatable);
  }

  #compile(
    rules: readonly Rule[],
    schema: Schema,
    path: string,
    isRoot: boolean,
    list: string | undefined,
  ): void {
    const type = typeOf(schema, isRoot || undefined);
    for (const [i, rule] of rules.entries()) {
      const at = `${path}.${NAME}[${i}]`;
      const told = (field: string, value: unknown, why: string): void => {
        this.uncompiled.push(`${at}.${field}: Invalid value: ${shown(value)}: ${why}`);
      };
      const made = type === undefined ? "values of this type cannot be spoken of" : compiledTest(rule, type);
      if (typeof made === "string") told("rule", rule, made);
      else if (made.used.has("oldSelf")) {
        const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${list}`;
        if (list !== undefined) told("rule", rule.rule, why);
      } else if (rule.optionalOldSelf !== undefined) {
        told("optionalOldSelf", rule.optionalOldSelf, "may not be set if oldSelf is not used in rule");
      }
      const message = type === undefined ? undefined : compiledMessage(rule, type);
      if (typeof message === "string") told("messageExpression", rule, message);
    }
  }
}

function malformedIn(rule: Rule, schema: Schema, path: string): string[] {
  const { message = "", messageExpression = "", reason, fieldPath = "" } = rule;
  const text = rule.rule?.trim() ?? "";
  const found: string[] = [];
  const invalid = (field: string, value: unknown, why: string): void => {
    found.push(`${path}.${field}: Invalid value: ${shown(value)}: ${why}`);
  };
  if (text === "") found.push(`${path}.rule: Required value: rule is not specified`);
  else if (message !== "" && message.trim() === "")
    invalid("message", message, "must be non-empty if specified");
  else if (message.trim().includes("\n")) invalid("message", message, "must not contain line breaks");
  else if (text.includes("\n") && message.trim() === "")
    found.push(`${path}.message: Required value: message must be specified if rule contains line breaks`);
  if (messageExpression !== "" && messageExpression.trim() === "")
    found.push(`${path}.messageExpression: Required value: messageExpression must be non-empty if specified`);
  if (reason !== undefined && !REASONS.includes(reason)) {
    const list = REASONS.map(shown).join(", ");
    found.push(`${path}.reason: Unsupported value: ${shown(reason)}: supported values: ${list}`);
  }
  if (fieldPath === "") return found;
  if (fieldPath.trim() === "") invalid("fieldPath", fieldPath, "must be non-empty if specified");
  if (fieldPath.includes("\n")) invalid("fieldPath", fieldPath, "must not contain line breaks");
  if (rulePath(fieldPath, schema) === undefined) invalid("fieldPath", fieldPath, "must be a valid path");
  return found;
}

/** A text says why not. */
function compiledTest({ rule = "", optionalOldSelf = false }: Rule, type: CelType): Expression | string {
  const made = compiled(rule, type, optionalOldSelf, "compilation failed: ");
  if (typeof made === "string") return made;
  return made.type.kind === "bool" ? made : "cel expression must evaluate to a bool";
}

function compiledMessage(
  { messageExpression = "", optionalOldSelf = false }: Rule,
  type: CelType,
): Expression | string | undefined {
  if (messageExpression === "") return undefined;
  const made = compiled(messageExpression, type, optionalOldSelf, "messageExpression compilation failed: ");
  if (typeof made === "string") return made;
  return made.type.kind === "string" ? made : "messageExpression must evaluate to a string";
}

function compiled(text: string, self: CelType, isOptional: boolean, what: string): Expression | string {
  try {
    return compile(text, { self, oldSelf: isOptional ? optionalOf(self) : self });
  } catch (error) {
    if (error instanceof CompileError) return `${what}${error.message}`;
    if (error instanceof RangeError) return `${what}the expression is nested too deep`;
    throw error;
  }
}

const known = new WeakMap<Schema, readonly (CompiledRule | string)[]>();

/** A text says why a rule is none: what came otherwise than by the API may be anything. */
export function compiledRules(schema: Schema, isRoot: boolean): readonly (CompiledRule | string)[] {
  let made = known.get(schema);
  if (made === undefined) {
    const type = typeOf(schema, isRoot || undefined);
    made = type === undefined ? [] : rulesIn(schema).map((rule) => compiledRule(rule, schema, type));
    known.set(schema, made);
  }
  return made;
}

function compiledRule(given: Rule, schema: Schema, type: CelType): CompiledRule | string {
  const test = compiledTest(given, type);
  if (typeof test === "string") return test;
  const message = compiledMessage(given, type);
  return {
    ...{ given, test, usesOld: test.used.has("oldSelf") },
    message: typeof message === "string" ? undefined : message,
    path: given.fieldPath === undefined ? "" : (rulePath(given.fieldPath, schema) ?? ""),
  };
}
