// format.dns1123Label() and its like: whether a text has a form, and what is wrong with it.
import {
  dns1035Label,
  dns1123Label,
  dns1123Subdomain,
  labelValue,
  qualifiedName,
} from "../../../../kube/validate/names.ts";
import { FORMATS as OPENAPI } from "../../formats.ts";
import type { Run } from "../run.ts";
import { NONE, Optional, type Own } from "../value.ts";

class Format implements Own {
  readonly celKind = "format";
  readonly name: string;
  readonly check: (text: string) => string[];
  constructor(name: string, check: (text: string) => string[]) {
    this.name = name;
    this.check = check;
  }
  isEqual(other: Own): boolean {
    return other === this;
  }
}

/** Of a name that something is put behind: it may end with a dash. */
const prefix = (check: (text: string) => string[]) => (text: string) =>
  check(text.length > 1 && text.endsWith("-") ? `${text.slice(0, -2)}a` : text);

function openApi(name: string, why: string): (text: string) => string[] {
  const test = OPENAPI[name];
  return (text) => ((typeof test === "function" ? test(text) : test.test(text)) ? [] : [why]);
}

const ALL: Readonly<Record<string, Format>> = Object.fromEntries(
  Object.entries({
    dns1123Label,
    dns1123Subdomain: (text: string) => dns1123Subdomain(text),
    dns1035Label,
    qualifiedName,
    dns1123LabelPrefix: prefix(dns1123Label),
    dns1123SubdomainPrefix: prefix((text) => dns1123Subdomain(text)),
    dns1035LabelPrefix: prefix(dns1035Label),
    labelValue,
    uri: openApi("uri", "invalid URI for request"),
    uuid: openApi("uuid", "does not match the UUID format"),
    byte: openApi("byte", "invalid base64"),
    date: openApi("date", "invalid date"),
    datetime: openApi("date-time", "invalid datetime"),
  }).map(([name, check]) => [name, new Format(name, check)]),
);

export const FORMATS: Readonly<Record<string, Run>> = {
  ...Object.fromEntries(
    Object.entries(ALL).map(([name, format]) => [`'format.${name}'(): format`, () => format]),
  ),
  "'format.named'(string): optional<format>": (name: string) =>
    Object.hasOwn(ALL, name) ? new Optional(ALL[name]) : NONE,
  "format.validate(string): optional<list<string>>": (format: Format, text: string) => {
    const found = format.check(text);
    return found.length === 0 ? NONE : new Optional(found);
  },
};
