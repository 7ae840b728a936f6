// Problems of one object, in the words of Kubernetes' field errors (apimachinery, util/validation/field): people
// know these sentences, and search engines do too.

export type FieldPath = readonly (string | number)[];

export interface FieldProblem {
  /** Where to point: the path of the offending value, for line and column. */
  readonly path: FieldPath;
  /** The whole sentence, field path included. */
  readonly message: string;
  /** Point at the key rather than at the value (unknown fields). */
  readonly atKey: boolean;
}

/** "spec.ports[0].port". */
export function formatPath(path: FieldPath): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else text += text === "" ? part : `.${part}`;
  }
  return text;
}

export class FieldProblems {
  readonly list: FieldProblem[] = [];

  get any(): boolean {
    return this.list.length > 0;
  }

  add(path: FieldPath, message: string, atKey = false): void {
    this.list.push({ path, message, atKey });
  }

  required(path: FieldPath, detail = ""): void {
    this.add(path, `${formatPath(path)}: Required value${detail === "" ? "" : `: ${detail}`}`);
  }

  invalid(path: FieldPath, value: unknown, detail: string): void {
    this.add(path, `${formatPath(path)}: Invalid value: ${JSON.stringify(value)}: ${detail}`);
  }

  /** An invalid value that is too large to be told. */
  invalidWhole(path: FieldPath, detail: string): void {
    this.add(path, `${formatPath(path)}: Invalid value: ${detail}`);
  }

  /** A problem of one key of a map, reported on the map as Kubernetes does: metadata.labels. */
  invalidKey(path: FieldPath, key: string, detail: string): void {
    this.add([...path, key], `${formatPath(path)}: Invalid value: ${JSON.stringify(key)}: ${detail}`, true);
  }

  /** A value out of a closed list; an absent one is a missing one. */
  oneOf(path: FieldPath, value: string | undefined, supported: readonly string[]): void {
    if (value === undefined || value === "") this.required(path);
    else if (!supported.includes(value)) this.unsupported(path, value, supported);
  }

  unsupported(path: FieldPath, value: unknown, supported: readonly string[]): void {
    this.unsupportedOf(path, value, [...supported].sort());
  }

  /** The same where the API server tells the list in an order of its own. */
  unsupportedOf(path: FieldPath, value: unknown, supported: readonly string[]): void {
    const list = supported.map((s) => JSON.stringify(s));
    const text = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list.join(", ")}`;
    this.add(path, `${formatPath(path)}: ${text}`);
  }

  forbidden(path: FieldPath, detail: string): void {
    this.add(path, `${formatPath(path)}: Forbidden: ${detail}`);
  }

  duplicate(path: FieldPath, value: unknown): void {
    this.add(path, `${formatPath(path)}: Duplicate value: ${JSON.stringify(value)}`);
  }

  notFound(path: FieldPath, value: unknown): void {
    this.add(path, `${formatPath(path)}: Not found: ${JSON.stringify(value)}`);
  }

  tooMany(path: FieldPath, actual: number, max: number): void {
    const items = max === 1 ? "item" : "items";
    this.add(path, `${formatPath(path)}: Too many: ${actual}: must have at most ${max} ${items}`);
  }
}
