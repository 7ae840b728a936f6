// Values as Go prints them: what kubectl makes of a number, a map, a list.

/** A number that Go would take for another kind than its value tells: a float without a fraction, a byte of a text. */
export class GoNumber {
  readonly kind: "float" | "uint";
  readonly value: number;

  constructor(kind: "float" | "uint", value: number) {
    this.kind = kind;
    this.value = value;
  }
}

/** Lists and maps as JSON, as Go's encoder writes it; everything else as %v. */
export function printedText(value: unknown): string {
  return isComposite(value) ? goJson(value) : value === null ? "null" : goText(value);
}

/** Keys in order, and what HTML could take for markup escaped. `indent`: spaces a level; 0: one line. */
export function goJson(value: unknown, indent = 0): string {
  return JSON.stringify(sorted(value), null, indent).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** %v: map[a:1 b:[x y]]. */
export function goText(value: unknown): string {
  if (value === null || value === undefined) return "<nil>";
  if (value instanceof GoNumber) return value.kind === "uint" ? String(value.value) : floatText(value.value);
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : floatText(value);
  if (Array.isArray(value)) return `[${value.map(goText).join(" ")}]`;
  if (typeof value !== "object") return String(value);
  const pairs = Object.entries(value).sort(byKey);
  return `map[${pairs.map(([key, each]) => `${key}:${goText(each)}`).join(" ")}]`;
}

/** Go turns to exponents below 1e-04 and from 1e+06 on, and gives them two digits. */
function floatText(value: number): string {
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e6) ? value.toExponential() : String(value);
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

export function isComposite(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof GoNumber);
}

function sorted(value: unknown): unknown {
  if (value instanceof GoNumber) return value.value;
  if (Array.isArray(value)) return value.map(sorted);
  if (!isComposite(value)) return value;
  const pairs = Object.entries(value).sort(byKey);
  return Object.fromEntries(pairs.map(([key, each]) => [key, sorted(each)]));
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}
