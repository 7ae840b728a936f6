// Annotations of one prefix, read by type. What cannot be read is told and counts as left out. A list of addresses that
// cannot be read lets nobody in: see `allowed` and `denied`.
import { type Cidr, network, parseCidr, parseIp } from "../../base/ip.ts";
import { isValue } from "../header-form.ts";

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
const TRUE = /^(?:1|t|T|TRUE|true|True)$/; // as Go reads them
const FALSE = /^(?:0|f|F|FALSE|false|False)$/;
/** In no network: a list that holds it alone lets nobody in. */
const NOBODY: Cidr = { family: 4, w0: 0, w1: 0, w2: 0xffff, w3: -1, prefixLen: 32 };
const EVERYBODY = ["0.0.0.0/0", "::/0"].flatMap((text) => parseCidr(text) ?? []);

export class AnnotationReader {
  readonly #values: ReadonlyMap<string, string>;
  readonly #prefix: string;
  readonly #asked = new Set<string>();
  readonly #tell: (annotation: string, problem: string) => void;

  constructor(
    annotations: Readonly<Record<string, string>>,
    prefix: string,
    tell: (annotation: string, problem: string) => void,
  ) {
    const own = Object.entries(annotations).filter(([name]) => name.startsWith(prefix));
    this.#values = new Map(own.map(([name, value]) => [name.slice(prefix.length), value.trim()]));
    this.#prefix = prefix;
    this.#tell = tell;
  }

  problem(name: string, text: string): void {
    this.#tell(this.#prefix + name, text);
  }

  text(name: string, otherwise = ""): string {
    const text = this.#text(name);
    if (isValue.test(text)) return text || otherwise;
    this.problem(name, `${JSON.stringify(text)} has more than one line, or control characters`);
    return otherwise;
  }

  isGiven(name: string): boolean {
    return this.#text(name) !== "";
  }

  #text(name: string): string {
    this.#asked.add(name);
    return this.#values.get(name) ?? "";
  }

  matching(name: string, form: RegExp, what: string): string {
    const text = this.text(name);
    if (text === "" || form.test(text)) return text;
    this.problem(name, `${JSON.stringify(text)} is not ${what}`);
    return "";
  }

  flag(name: string, otherwise: boolean): boolean {
    const text = this.text(name);
    if (TRUE.test(text)) return true;
    if (FALSE.test(text)) return false;
    if (text !== "") this.problem(name, `${JSON.stringify(text)}: use true or false`);
    return otherwise;
  }

  /** Set, and set to no. */
  isOff(name: string): boolean {
    return FALSE.test(this.#values.get(name) ?? "");
  }

  /** Whole numbers from 0. */
  number(name: string, otherwise: number): number {
    const text = this.text(name);
    if (/^\d{1,9}$/.test(text)) return Number(text);
    if (text !== "") this.problem(name, `${JSON.stringify(text)} is not a whole number`);
    return otherwise;
  }

  /** Of a redirect. */
  status(name: string, otherwise: number): number {
    const code = this.number(name, otherwise);
    if (code >= 300 && code <= 308) return code;
    this.problem(name, `${code} is not a redirect's status: use one from 300 to 308`);
    return otherwise;
  }

  /** As nginx writes sizes: 8m, 512k. */
  bytes(name: string, otherwise: number): number {
    const text = this.text(name).toLowerCase();
    const match = /^(\d{1,12})([kmg]?)$/.exec(text);
    if (match !== null) return Number(match[1]) * UNITS[match[2]];
    if (text !== "")
      this.problem(name, `${JSON.stringify(text)} is not a size: use a number of bytes, 512k, 8m`);
    return otherwise;
  }

  list(name: string, otherwise = ""): string[] {
    return (this.#text(name) || otherwise)
      .split(",")
      .map((each) => each.trim())
      .filter((each) => each !== "");
  }

  /** One of the values that a word may have; in whatever case. */
  oneOf<T>(name: string, words: Readonly<Record<string, T>>, otherwise: T): T {
    const text = this.text(name);
    const word = Object.keys(words).find((each) => each.toLowerCase() === text.toLowerCase());
    if (word !== undefined) return words[word];
    if (text !== "") this.problem(name, `${JSON.stringify(text)}: use ${Object.keys(words).join(", ")}`);
    return otherwise;
  }

  /** CIDRs and addresses of those who are let in. What is no range is told, and lets nobody in. */
  allowed(...names: readonly string[]): Cidr[] {
    return this.#ranges(names, [NOBODY]);
  }

  /** Of those who are kept out. What is no range is told, and keeps everybody out. */
  denied(...names: readonly string[]): Cidr[] {
    return this.#ranges(names, EVERYBODY);
  }

  #ranges(names: readonly string[], unread: readonly Cidr[]): Cidr[] {
    const ranges: Cidr[] = [];
    for (const name of names) {
      for (const text of this.list(name)) {
        const range = rangeOf(text);
        if (range === null) this.problem(name, `${JSON.stringify(text)} is not a range of addresses`);
        ranges.push(...(range === null ? unread : [range]));
      }
    }
    return ranges;
  }

  /** Those that nobody asked for. */
  rest(): string[] {
    return [...this.#values.keys()].filter((name) => !this.#asked.has(name)).sort();
  }
}

function rangeOf(text: string): Cidr | null {
  const address = parseIp(text);
  return address === null ? parseCidr(text) : network(address, address.family === 4 ? 32 : 128);
}
