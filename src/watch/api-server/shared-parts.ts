/**
 * Parts that many objects have alike (labels and ports of a Deployment's pods, conditions of endpoints, names of nodes)
 * are kept once. Stored objects are never changed, so nobody notices. Bounded: what comes after too many different ones
 * is shared anew.
 */
const MOST = 8192;

export class SharedParts {
  readonly #texts = new Map<string, string>();
  readonly #values = new Map<string, unknown>();

  text(value: string): string {
    const known = this.#texts.get(value);
    if (known !== undefined) return known;
    if (this.#texts.size >= MOST) this.#texts.clear();
    this.#texts.set(value, value);
    return value;
  }

  /** This value, or one that was given before and says the same. */
  value<T>(value: T): T {
    if (typeof value === "string") return this.text(value) as T & string;
    if (typeof value !== "object" || value === null) return value;
    const key = JSON.stringify(value);
    const known = this.#values.get(key);
    if (known !== undefined) return known as T;
    if (this.#values.size >= MOST) this.#values.clear();
    this.#values.set(key, value);
    return value;
  }

  /** The same for these fields of an object. */
  fields(object: object | undefined, names: readonly string[]): void {
    if (object === undefined) return;
    const fields = object as Record<string, unknown>;
    for (const name of names) if (fields[name] !== undefined) fields[name] = this.value(fields[name]);
  }
}

/** A resourceVersion as it is kept: nearly all are numbers as texts, and a number is no object of its own. */
export type KeptVersion = number | string | undefined;

export function keptVersion(text: string | undefined): KeptVersion {
  const number = Number(text);
  return String(number) === text ? number : text;
}

export function versionText(kept: KeptVersion): string | undefined {
  return typeof kept === "number" ? String(kept) : kept;
}
