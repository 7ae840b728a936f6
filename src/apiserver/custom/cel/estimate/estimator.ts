// What an expression costs at most, whatever object it is asked of: cel-go's way of counting, step for step, since
// definitions are accepted or refused by the number that comes out.
import type { CelType } from "../type.ts";
import { exactly, plus, type Size, times, UNKNOWN, unionOf } from "./amount.ts";
import { type Asked, bothOf, estimateOf, type Given } from "./call-costs.ts";
import type { Declared } from "./declared.ts";
import { type Call, type Expr, type Fold, type ListMade, MADE, type MapMade } from "./expression.ts";
import { appended, type Path } from "./path.ts";

const LIST = 10;
const MAP = 30;

/** Of what is in a list or map: of keys or indices, and of values. */
interface Entries {
  readonly container: string;
  readonly key: Size;
  readonly value: Size;
}

/** What is known of a variable that a macro brings. */
interface Local {
  readonly path: Path | undefined;
  readonly size: Size | undefined;
  readonly entries: Entries | undefined;
}

const SCALARS = new Set(["bool", "double", "duration", "int", "timestamp", "uint"]);

/** `root`: what self and oldSelf are. */
export function costAtMost(expression: Expr, root: Declared): number {
  return new Estimator(root).cost(expression);
}

class Estimator {
  readonly #root: Declared;
  readonly #paths = new Map<Expr, Path | undefined>();
  readonly #sizes = new Map<Expr, Size>();
  readonly #entries = new Map<Expr, Entries>();
  readonly #locals = new Map<string, Local[]>();

  constructor(root: Declared) {
    this.#root = root;
  }

  cost(e: Expr): number {
    switch (e.kind) {
      case "literal":
        return 0;
      case "ident": {
        const local = this.#local(e.name);
        this.#paths.set(e, local === undefined ? appended(undefined, e.name) : local.path);
        return 1;
      }
      case "has":
        return this.cost(e.operand);
      case "select": {
        const cost = this.cost(e.operand);
        const { kind } = e.operand.type;
        this.#paths.set(e, appended(this.#path(e.operand), e.field));
        return kind === "map" || kind === "object" ? plus(cost, 1) : cost;
      }
      case "call":
        return this.#call(e);
      case "list":
        return this.#list(e);
      case "map":
        return this.#map(e);
      case "fold":
        return this.#fold(e);
      case "bind": {
        const cost = plus(LIST, this.cost(e.value));
        const local = {
          path: this.#path(e.value),
          size: this.#size(e.value),
          entries: this.#entriesOf(e.value),
        };
        const whole = plus(
          cost,
          this.#with([[e.name, local]], () => this.cost(e.result)),
        );
        this.#copySizes(e, e.result);
        return whole;
      }
    }
  }

  #list(e: ListMade): number {
    let cost = LIST;
    let value: Size | undefined;
    for (const item of e.items) {
      cost = plus(cost, this.cost(item));
      value = bothOf(value, this.#sizeOrUnknown(item));
    }
    this.#entries.set(e, { container: "list", key: exactly(1), value: value ?? exactly(0) });
    return cost;
  }

  #map(e: MapMade): number {
    let cost = MAP;
    let [key, value]: (Size | undefined)[] = [];
    for (const [name, each] of e.entries) {
      cost = plus(plus(cost, this.cost(name)), this.cost(each));
      key = bothOf(key, this.#sizeOrUnknown(name));
      value = bothOf(value, this.#sizeOrUnknown(each));
    }
    this.#entries.set(e, { container: "map", key: key ?? exactly(0), value: value ?? exactly(0) });
    return cost;
  }

  #fold(e: Fold): number {
    let cost = plus(this.cost(e.range), this.cost(e.made));
    const made: Local = {
      path: this.#path(e.made),
      size: this.#size(e.made),
      entries: this.#entriesOf(e.made),
    };
    const result = this.#with([[MADE, made]], () => {
      const loop = this.#with(this.#variables(e), () => plus(this.cost(e.condition), this.cost(e.step)));
      return { loop, cost: this.cost(e.result) };
    });
    const count = this.#sizeOrUnknown(e.range);
    cost = plus(plus(cost, result.cost), times(count.max, result.loop));
    if (e.made.kind === "literal") this.#setSize(e, this.#size(e.made));
    else {
      this.#setSize(e, count);
      this.#setEntries(e, this.#entriesOf(e.step));
    }
    return cost;
  }

  /** Of a list the items, of a map the keys; with two variables the index or key, and what is there. */
  #variables({ range, variables }: Fold): [string, Local][] {
    const entries = this.#entriesOf(range);
    const isList = (entries?.container ?? range.type.kind) === "list";
    const local = (step: string, size: Size | undefined): Local => ({
      ...{ path: appended(this.#path(range), step), size, entries: undefined },
    });
    const items = isList ? "@items" : "@values";
    if (variables.length === 1) {
      const one = isList ? local("@items", entries?.value) : local("@keys", entries?.key);
      return [[variables[0], one]];
    }
    const key = local(isList ? "@indices" : "@keys", entries?.key);
    return [
      [variables[0], key],
      [variables[1], local(items, entries?.value)],
    ];
  }

  #with<T>(locals: readonly (readonly [string, Local])[], run: () => T): T {
    for (const [name, local] of locals) {
      const known = this.#locals.get(name);
      if (known === undefined) this.#locals.set(name, [local]);
      else known.push(local);
    }
    const made = run();
    for (const [name] of locals) this.#locals.get(name)?.pop();
    return made;
  }

  #local(name: string): Local | undefined {
    return this.#locals.get(name)?.at(-1);
  }

  #call(e: Call): number {
    if (e.name === "dyn") {
      const cost = plus(1, this.cost(e.args[0]));
      this.#copySizes(e, e.args[0]);
      return cost;
    }
    const args: Given[] = [];
    const costs: number[] = [];
    for (const arg of e.args) {
      costs.push(this.cost(arg));
      args.push(this.#given(arg));
    }
    const own = e.target === undefined ? 0 : this.cost(e.target);
    const target = e.target === undefined ? undefined : this.#given(e.target);
    let most = 0;
    let size: Size | undefined;
    for (const signature of e.overloads) {
      const asked: Asked = { signature, target, args, sizeOf: this.#sizeOf, itemOf: this.#itemOf };
      const made = this.#estimate(e, asked, costs);
      most = Math.max(most, made.cost);
      size = bothOf(size, made.size);
      size = this.#index(e, signature.args[0]?.kind, size) ?? this.#size(e);
    }
    this.#setSize(e, size);
    return plus(own, most);
  }

  /** Of a[b] it is known where that lies. */
  #index(e: Call, kind: string | undefined, size: Size | undefined): Size | undefined {
    if (e.name !== "_[_]" || (kind !== "list" && kind !== "map")) return size;
    const [of] = e.args;
    this.#paths.set(e, appended(this.#path(of), kind === "list" ? "@items" : "@values"));
    return this.#entriesOf(of)?.value;
  }

  #estimate(e: Call, asked: Asked, costs: readonly number[]): { cost: number; size?: Size | undefined } {
    const { name, args } = e;
    if (name === "_&&_" || name === "_||_") return { cost: plus(costs[0], costs[1]) };
    if (name === "_?_:_") {
      const [, yes, no] = args;
      this.#setEntries(e, this.#bothEntries(yes, no));
      const size = unionOf(this.#sizeOf(asked.args[1]), this.#sizeOf(asked.args[2]));
      return { cost: plus(costs[0], Math.max(costs[1], costs[2])), size };
    }
    const made = estimateOf(name, asked);
    if (name === "_+_" && made.size !== undefined) this.#setEntries(e, this.#bothEntries(args[0], args[1]));
    return { cost: costs.reduce(plus, made.cost), size: made.size };
  }

  #bothEntries(a: Expr, b: Expr): Entries | undefined {
    const [one, other] = [this.#entriesOf(a), this.#entriesOf(b)];
    if (one === undefined || other === undefined) return undefined;
    const { container } = one;
    return { container, key: unionOf(one.key, other.key), value: unionOf(one.value, other.value) };
  }

  #given(expr: Expr): Given {
    return { path: this.#path(expr), type: expr.type, expr, size: this.#size(expr) };
  }

  readonly #sizeOf = (given: Given): Size => given.size ?? this.#declared(given.path) ?? UNKNOWN;

  readonly #itemOf = ({ type, path }: Given): Given | undefined => {
    const [item] = type.args;
    if (item === undefined) return undefined;
    return { path: path?.copied("@items"), type: item, expr: undefined, size: undefined };
  };

  #path(e: Expr): Path | undefined {
    const local = e.kind === "ident" ? this.#local(e.name) : undefined;
    return local === undefined ? this.#paths.get(e) : local.path;
  }

  /** What the schema says of what lies there. */
  #declared(path: Path | undefined): Size | undefined {
    if (path === undefined) return undefined;
    let at: Declared | undefined = this.#root;
    for (const step of path.steps) {
      if (step === "@items" || step === "@values") at = at.items;
      else at = step === "@keys" ? at.keys : at.fields?.get(step);
      if (at === undefined) return undefined;
    }
    return { min: 0, max: at.most };
  }

  #size(e: Expr): Size | undefined {
    const known = this.#sizes.get(e) ?? written(e);
    if (known !== undefined) return known;
    const declared = this.#declared(this.#path(e));
    if (declared !== undefined) {
      this.#sizes.set(e, declared);
      return declared;
    }
    if (isScalar(e.type)) return exactly(1);
    return e.kind === "ident" ? this.#local(e.name)?.size : undefined;
  }

  #sizeOrUnknown(e: Expr): Size {
    return this.#size(e) ?? UNKNOWN;
  }

  #setSize(e: Expr, size: Size | undefined): void {
    if (size !== undefined) this.#sizes.set(e, size);
  }

  #entriesOf(e: Expr): Entries | undefined {
    const known = this.#entries.get(e);
    if (known !== undefined) return known;
    return e.kind === "ident" ? this.#local(e.name)?.entries : undefined;
  }

  #setEntries(e: Expr, entries: Entries | undefined): void {
    if (entries !== undefined) this.#entries.set(e, entries);
  }

  #copySizes(to: Expr, from: Expr): void {
    this.#setSize(to, this.#size(from));
    this.#setEntries(to, this.#entriesOf(from));
  }
}

/** Of what stands in the expression itself. */
function written(e: Expr): Size | undefined {
  if (e.kind === "literal") return exactly(e.size);
  if (e.kind === "list") return exactly(e.items.length);
  return e.kind === "map" ? exactly(e.entries.length) : undefined;
}

function isScalar({ kind, args }: CelType): boolean {
  return SCALARS.has(kind) || (kind === "optional" && isScalar(args[0]));
}
