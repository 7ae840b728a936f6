// What calls of functions cost at most, by the sizes of what they are given: cel-go's own functions, its extensions of
// lists and sets, and those of Kubernetes. What is not named here costs one.
import type { CelType } from "../type.ts";
import { exactly, plus, productOf, type Size, share, sumOf, times, unionOf, wrapped } from "./amount.ts";
import type { Expr, Signature } from "./expression.ts";
import type { Path } from "./path.ts";

/** Of what a call is given. */
export interface Given {
  readonly path: Path | undefined;
  readonly type: CelType;
  /** Undefined: of an item, which nobody has written down. */
  readonly expr: Expr | undefined;
  /** Undefined: nobody knows. */
  readonly size: Size | undefined;
}

export interface Asked {
  readonly signature: Signature;
  readonly target: Given | undefined;
  readonly args: readonly Given[];
  /** From none to endless where nobody knows. */
  sizeOf(given: Given): Size;
  /** The items of a list, or of whatever else is made of others. */
  itemOf(given: Given): Given | undefined;
}

export interface Estimated {
  /** Without that of its arguments. */
  readonly cost: number;
  readonly size?: Size;
}

type Estimate = (asked: Asked) => Estimated | undefined;

const SCAN = 0.1;
const PATTERN = 0.25;
const LIST = 10;
const ONE = exactly(1);

const scan = ({ max }: Size, factor = SCAN): number => share(max, factor);
const isText = (type: CelType | undefined): boolean => type?.kind === "string" || type?.kind === "bytes";

/** As 64 bits have it. */
const bits = (amount: number): bigint => (amount >= 2 ** 64 ? 2n ** 64n - 1n : BigInt(amount));

function numberIn(given: Given | undefined): bigint | undefined {
  return given?.expr?.kind === "literal" ? given.expr.number : undefined;
}

/** Of a number that is written down; of another one what it may be. */
function limit(given: Given, otherwise: number): number {
  const number = numberIn(given);
  return number === undefined ? otherwise : Number(number < 0n ? 0n : number);
}

const listCall = (factor: number, size: Size): Estimated => ({
  cost: plus(share(size.max, factor), 1 + LIST),
  size,
});

/** Each item is held against each. */
function comparedItems(asked: Asked, list: Given, items: CelType | undefined): Estimated {
  const size = asked.sizeOf(list);
  const factor = isText(items) || items?.kind === "dyn" ? 2 + SCAN : 2;
  return listCall(factor, productOf(size, size));
}

const sets =
  (factor: number): Estimate =>
  (asked) => {
    const [a, b] = asked.args.map(asked.sizeOf);
    return { cost: plus(share(times(a.max, b.max), factor), 1) };
  };

/** An item costs one, and what has to be read of a text. */
const throughItems =
  (isAlways: boolean): Estimate =>
  (asked) => {
    const { target } = asked;
    if (target === undefined) return undefined;
    const { max } = asked.sizeOf(target);
    const item = asked.itemOf(target);
    if (item === undefined) return { cost: isAlways ? max : share(max, SCAN) };
    return { cost: times(max, isText(item.type) ? plus(1, scan(asked.sizeOf(item))) : 1) };
  };

/** Reads its first argument, or the value that it is a function of. */
const reads =
  (how: { of: "target" | "arg"; factor?: number; makes?: boolean }): Estimate =>
  (asked) => {
    const given = how.of === "target" ? asked.target : asked.args[0];
    if (given === undefined || (how.of === "arg" && asked.target !== undefined)) return undefined;
    const size = asked.sizeOf(given);
    const cost = scan(size, how.factor);
    return how.makes === true ? { cost, size } : { cost };
  };

const replace: Estimate = (asked) => {
  const [from, to] = asked.args.map(asked.sizeOf);
  if (asked.target === undefined) return undefined;
  const size = asked.sizeOf(asked.target);
  const longest = replaced(size.max, from.min, to.max <= from.min);
  const shortest = replaced(size.min, from.max, from.max <= to.min);
  const made: Size = {
    min: plus(times(shortest.count, to.min), shortest.kept),
    max: plus(times(longest.count, to.max), longest.kept),
  };
  return { cost: scan(size, 2 * SCAN), size: made };
};

/** How often something as long is replaced, and how much of the text stays. */
function replaced(length: number, from: number, isKept: boolean): { count: number; kept: number } {
  if (from === 0) return { count: plus(length, 1), kept: length };
  return isKept ? { count: 0, kept: length } : { count: share(length / from, 1), kept: 0 };
}

const split: Estimate = (asked) => {
  if (asked.target === undefined) return undefined;
  const size = asked.sizeOf(asked.target);
  const most = numberIn(asked.args[1]);
  return {
    cost: scan(size, 2 * SCAN),
    size: { min: 0, max: most === undefined ? size.max : wrapped(most) },
  };
};

const join: Estimate = (asked) => {
  const { target, args } = asked;
  if (target === undefined) return undefined;
  const list = asked.sizeOf(target);
  const item = asked.itemOf(target);
  let size = item === undefined ? exactly(0) : productOf(list, asked.sizeOf(item));
  if (args.length > 0) {
    const between: Size = { min: Math.max(0, list.min - 1), max: Math.max(0, list.max - 1) };
    size = sumOf(size, productOf(asked.sizeOf(args[0]), between));
  }
  return { cost: scan(size), size };
};

function matched(asked: Asked, text: Given, pattern: Given): number {
  const length = scan(sumOf(asked.sizeOf(text), ONE));
  return times(length, share(asked.sizeOf(pattern).max, PATTERN));
}

const find: Estimate = (asked) => {
  const { target, args } = asked;
  if (target === undefined || args.length === 0) return undefined;
  return { cost: matched(asked, target, args[0]), size: { min: 0, max: asked.sizeOf(target).max } };
};

const matches: Estimate = (asked) => {
  const [text, pattern] = asked.target === undefined ? asked.args : [asked.target, asked.args[0]];
  return { cost: matched(asked, text, pattern) };
};

/** Addresses are held against each other byte by byte: 16 at most, of each. */
const ADDRESSES = 32 * SCAN;

const contained =
  (masks: boolean): Estimate =>
  (asked) => {
    const [other] = asked.args;
    const base = share(ADDRESSES, 1) + (masks ? share(16, SCAN) + 1 : 0);
    const isRead = asked.signature.args[1]?.kind === "string";
    return { cost: isRead ? plus(base, scan(asked.sizeOf(other))) : base };
  };

const EQUAL_KINDS: Readonly<Record<string, (asked: Asked) => number>> = {
  ...{ ip: () => 1, cidr: () => 1, quantity: () => 1, semver: () => 1 },
  format: () => share(64, SCAN),
  url: ({ args }) => share(args[1].size?.max ?? 1, SCAN),
};

const equality: Estimate = (asked) => {
  const [a, b] = asked.args;
  const own = a.type.kind === b.type.kind ? EQUAL_KINDS[a.type.kind] : undefined;
  return own === undefined ? compared(asked) : { cost: own(asked) };
};

const compared: Estimate = (asked) => {
  const [a, b] = asked.args.map(asked.sizeOf);
  return { cost: share(Math.min(a.max, b.max), SCAN) };
};

const order: Estimate = (asked) => (isText(asked.signature.args[0]) ? compared(asked) : undefined);

const added: Estimate = (asked) => {
  const [kind] = asked.signature.args;
  if (kind.kind !== "list" && !isText(kind)) return undefined;
  const [a, b] = asked.args.map(asked.sizeOf);
  const size = sumOf(a, b);
  return { cost: kind.kind === "list" ? 1 : scan(size), size };
};

/** Only where the argument is of this type is it read. */
const converts =
  (kind: string, size: (given: Size) => Size): Estimate =>
  (asked) => {
    if (asked.signature.args[0]?.kind !== kind) return undefined;
    const given = asked.sizeOf(asked.args[0]);
    return { cost: scan(given), size: size(given) };
  };

const ofList = (estimate: Estimate): Estimate => {
  return (asked) => (asked.signature.args[0]?.kind === "list" ? estimate(asked) : undefined);
};
const itemsOf = (type: CelType | undefined): CelType | undefined => type?.args[0];

const ESTIMATES: Readonly<Record<string, Estimate>> = {
  slice: ofList((asked) => {
    const [from, to] = [asked.args[0], asked.args[1]];
    const end = limit(to, asked.sizeOf(asked.target as Given).max);
    return listCall(1, exactly(wrapped(bits(end) - bits(limit(from, 0)))));
  }),
  "lists.range": (asked) => listCall(1, exactly(limit(asked.args[0], 2 ** 64))),
  reverse: ofList((asked) => listCall(1, asked.sizeOf(asked.target as Given))),
  flatten: ofList((asked) => {
    const depth = asked.args.length === 0 ? 1 : limit(asked.args[0], 2 ** 64);
    return listCall(depth, asked.sizeOf(asked.target as Given));
  }),
  distinct: ofList((asked) => comparedItems(asked, asked.target as Given, undefined)),
  sort: (asked) => comparedItems(asked, asked.target as Given, itemsOf(asked.signature.args[0])),
  "@sortByAssociatedKeys": (asked) => comparedItems(asked, asked.args[0], itemsOf(asked.signature.args[1])),
  "sets.contains": sets(1),
  "sets.intersects": sets(1),
  "sets.equivalent": sets(2),
  ...Object.fromEntries(
    ["isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"].map((name) => [name, throughItems(false)]),
  ),
  url: reads({ of: "arg", makes: true }),
  ...Object.fromEntries(
    ["lowerAscii", "upperAscii", "substring", "trim"].map((name) => [
      name,
      reads({ of: "target", makes: true }),
    ]),
  ),
  ...{ replace, split, join, find, findAll: find, matches },
  ...Object.fromEntries(
    ["cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity", "semver", "isSemver"].map((name) => [
      name,
      reads({ of: "arg" }),
    ]),
  ),
  "ip.isCanonical": reads({ of: "arg", factor: 2 * SCAN }),
  ...{ containsIP: contained(false), containsCIDR: contained(true) },
  validate: (asked) => ({ cost: share(scan(asked.sizeOf(asked.args[0])), 128 * PATTERN) }),
  format: reads({ of: "target" }),
  bytes: converts("string", ({ min, max }) => ({ min, max: wrapped(bits(max) * 4n) })),
  string: converts("bytes", ({ min, max }) => ({ min: Math.floor(min / 4), max })),
  "strings.quote": converts("string", ({ min, max }) => ({
    min: plus(min, 2),
    max: wrapped(bits(max) * 2n + 2n),
  })),
  startsWith: (asked) => ({ cost: scan(asked.sizeOf(asked.args[0])) }),
  endsWith: (asked) => ({ cost: scan(asked.sizeOf(asked.args[0])) }),
  contains: (asked) => {
    const [text, part] = [asked.target as Given, asked.args[0]].map(asked.sizeOf);
    return { cost: times(scan(text), scan(part)) };
  },
  "@in": (asked) =>
    asked.signature.args[1]?.kind === "list" ? { cost: asked.sizeOf(asked.args[1]).max } : undefined,
  "_==_": equality,
  "_!=_": compared,
  ...{ "_<_": order, "_<=_": order, "_>_": order, "_>=_": order, "_+_": added },
};

/** Of what is given to it, without what that costs itself. */
export function estimateOf(name: string, asked: Asked): Estimated {
  const estimate = Object.hasOwn(ESTIMATES, name) ? ESTIMATES[name] : undefined;
  return estimate?.(asked) ?? { cost: 1 };
}

/** Of two that may be either. */
export const bothOf = (a: Size | undefined, b: Size | undefined): Size | undefined =>
  a === undefined || b === undefined ? (a ?? b) : unionOf(a, b);
