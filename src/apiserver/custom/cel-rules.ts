// Rules of a definition's schema (x-kubernetes-validations): compiled once, and told where they cannot be, in the words
// of an API server.
import { isObject, type JsonObject, type Schema } from "../schema/schema.ts";
import { type Counted, compile, type Expression } from "./cel/compile.ts";
import { times as amountOf } from "./cel/estimate/amount.ts";
import { type Declared, declaredBy, mostOften } from "./cel/estimate/declared.ts";
import { typeOf } from "./cel/schema-value.ts";
import { CompileError } from "./cel/syntax.ts";
import { type CelType, optionalOf } from "./cel/type.ts";
import { RuleCosts } from "./rule-costs.ts";
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

/** What is wrong with rules, each as "PATH: Word value: why". `isKept`: an update leaves the schema as it was. */
export function ruleProblems(schema: JsonObject, path: string, isKept = false): string[] {
  const check = new RuleCheck(isKept);
  check.walk(schema as unknown as Schema, { path, isRoot: true, list: undefined, times: 1 });
  // Where rules are malformed, nobody compiles them.
  return check.malformed.length > 0 ? check.malformed : [...check.uncompiled, ...check.costs.problems(path)];
}

interface Place {
  readonly path: string;
  readonly isRoot: boolean;
  /** The list whose items nobody knows again after an update. */
  readonly list: string | undefined;
  /** How many of them an object can have; undefined: nobody says. */
  readonly times: number | undefined;
}

interface Bounds {
  readonly maxItems?: number;
  readonly maxProperties?: number;
}

/** How many children a value can have of one schema. */
function childrenMost({ type, additionalProperties, ...schema }: Schema): number | undefined {
  const { maxItems, maxProperties } = schema as Bounds;
  const most =
    type === "array" ? maxItems : type === "object" && additionalProperties !== undefined ? maxProperties : 1;
  return most === undefined ? undefined : Math.max(0, most);
}

class RuleCheck {
  readonly malformed: string[] = [];
  readonly uncompiled: string[] = [];
  readonly costs = new RuleCosts();
  readonly #isKept: boolean;

  constructor(isKept: boolean) {
    this.#isKept = isKept;
  }

  walk(schema: Schema, place: Place): void {
    const { path, list } = place;
    const rules = rulesIn(schema);
    const wrong = rules.flatMap((rule, i) => malformedIn(rule, schema, `${path}.${NAME}[${i}]`));
    this.malformed.push(...wrong);
    if (rules.length > 0 && wrong.length === 0) this.#compile(rules, schema, place);
    const { items, properties = {}, additionalProperties: more } = schema;
    const isKnown = schema["x-kubernetes-list-type"] === "map";
    const most = childrenMost(schema);
    const times = most === undefined || place.times === undefined ? undefined : amountOf(place.times, most);
    const child = { isRoot: false, list, times };
    if (items !== undefined)
      this.walk(items, { ...child, path: `${path}.items`, list: isKnown ? list : (list ?? path) });
    for (const [name, field] of Object.entries(properties))
      this.walk(field, { ...child, path: `${path}.properties[${name}]` });
    if (typeof more === "object") this.walk(more, { ...child, path: `${path}.additionalProperties` });
  }

  #compile(rules: readonly Rule[], schema: Schema, { path, isRoot, list, times }: Place): void {
    const type = typeOf(schema, isRoot || undefined);
    const sizes = declaredBy(schema, isRoot || undefined);
    for (const [i, rule] of rules.entries()) {
      const at = `${path}.${NAME}[${i}]`;
      const told = (field: string, value: unknown, why: string): void => {
        this.uncompiled.push(`${at}.${field}: Invalid value: ${shown(value)}: ${why}`);
      };
      const isSpeakable = type !== undefined && sizes !== undefined;
      const made = isSpeakable
        ? compiledTest(rule, { type, sizes })
        : "values of this type cannot be spoken of";
      if (typeof made === "string") told("rule", rule, made);
      else {
        this.#cost(
          `${at}.rule`,
          "estimated rule cost",
          amountOf(made.cost, times ?? mostOften(sizes as Declared)),
        );
        if (made.used.has("oldSelf")) {
          const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${list}`;
          if (list !== undefined) told("rule", rule.rule, why);
        } else if (rule.optionalOldSelf !== undefined) {
          told("optionalOldSelf", rule.optionalOldSelf, "may not be set if oldSelf is not used in rule");
        }
      }
      const message = isSpeakable ? compiledMessage(rule, { type, sizes }) : undefined;
      if (typeof message === "string") told("messageExpression", rule, message);
      else if (message !== undefined && typeof made !== "string")
        this.#cost(`${at}.messageExpression`, "estimated messageExpression cost", message.cost);
    }
  }

  #cost(path: string, what: string, cost: number): void {
    const problem = this.costs.add(path, what, cost);
    if (problem !== undefined && !this.#isKept) this.uncompiled.push(problem);
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

/** What a rule is about. */
interface Subject {
  readonly type: CelType;
  readonly sizes: Declared;
}

/** A text says why not. */
function compiledTest({ rule = "", optionalOldSelf = false }: Rule, self: Subject): Counted | string {
  const made = compiled(rule, self, optionalOldSelf, "compilation failed: ");
  if (typeof made === "string") return made;
  return made.type.kind === "bool" ? made : "cel expression must evaluate to a bool";
}

function compiledMessage(
  { messageExpression = "", optionalOldSelf = false }: Rule,
  self: Subject,
): Counted | string | undefined {
  if (messageExpression === "") return undefined;
  const made = compiled(messageExpression, self, optionalOldSelf, "messageExpression compilation failed: ");
  if (typeof made === "string") return made;
  return made.type.kind === "string" ? made : "messageExpression must evaluate to a string";
}

function compiled(
  text: string,
  { type, sizes }: Subject,
  isOptional: boolean,
  what: string,
): Counted | string {
  try {
    return compile(text, { self: type, oldSelf: isOptional ? optionalOf(type) : type }, sizes);
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
    const sizes = declaredBy(schema, isRoot || undefined);
    made =
      type === undefined || sizes === undefined
        ? []
        : rulesIn(schema).map((rule) => compiledRule(rule, schema, { type, sizes }));
    known.set(schema, made);
  }
  return made;
}

function compiledRule(given: Rule, schema: Schema, self: Subject): CompiledRule | string {
  const test = compiledTest(given, self);
  if (typeof test === "string") return test;
  const message = compiledMessage(given, self);
  return {
    ...{ given, test, usesOld: test.used.has("oldSelf") },
    message: typeof message === "string" ? undefined : message,
    path: given.fieldPath === undefined ? "" : (rulePath(given.fieldPath, schema) ?? ""),
  };
}
