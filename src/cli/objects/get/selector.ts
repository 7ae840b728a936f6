// -l and --field-selector, as kubectl reads them.

import { parsePath, valueText } from "../../../kube/json-path.ts";
import type { KubeObject } from "../../../kube/objects.ts";
import { usageError } from "../../errors.ts";

export type Matcher = (object: KubeObject) => boolean;
type Labels = Readonly<Record<string, string>>;

const KEY = String.raw`[A-Za-z0-9](?:[\w./-]*[A-Za-z0-9])?`;
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const EQUAL = new RegExp(`^(${KEY})\\s*(==|=|!=)\\s*([\\w.-]*)$`);
const EXISTS = new RegExp(`^(!?)\\s*(${KEY})$`);

/** a=b, a==b, a!=b, a, !a, a in (b,c), a notin (b,c); all that stand between commas must hold. */
export function labelMatcher(selector: string | undefined, flag = "-l"): Matcher {
  const tests = splitSelector(selector ?? "").map((text) => labelTest(text, flag));
  return (object) => tests.every((test) => test(object.metadata.labels ?? {}));
}

/** At commas outside of parentheses. */
function splitSelector(text: string): string[] {
  const words = text.split(/,(?![^(]*\))/).map((word) => word.trim());
  return words.length === 1 && words[0] === "" ? [] : words;
}

function labelTest(text: string, flag: string): (labels: Labels) => boolean {
  const set = SET.exec(text);
  if (set !== null) {
    const values = set[3].split(",").map((value) => value.trim());
    const isIn = (labels: Labels): boolean =>
      Object.hasOwn(labels, set[1]) && values.includes(labels[set[1]]);
    return set[2] === "in" ? isIn : (labels) => !isIn(labels);
  }
  const equal = EQUAL.exec(text);
  if (equal !== null) {
    const [, key, operator, value] = equal;
    return operator === "!=" ? (labels) => labels[key] !== value : (labels) => labels[key] === value;
  }
  const exists = EXISTS.exec(text);
  if (exists === null)
    throw usageError(`${flag} ${text}: not a label requirement such as app=web or app in (a,b)`);
  return (labels) => Object.hasOwn(labels, exists[2]) === (exists[1] === "");
}

/** metadata.name=web,status.phase!=Running: any field of the object by its path. */
export function fieldMatcher(selector: string | undefined): Matcher {
  const tests = splitSelector(selector ?? "").map((text): Matcher => {
    const match = /^([A-Za-z][\w.]*)\s*(==|=|!=)\s*(.*)$/.exec(text);
    if (match === null)
      throw usageError(`--field-selector ${text}: not a requirement such as spec.nodeName=node1`);
    const find = parsePath(match[1]);
    return (object) => (valueText(find(object)[0]) === match[3]) === (match[2] !== "!=");
  });
  return (object) => tests.every((test) => test(object));
}
