// fieldPath of a rule: ".spec.ports['http-80']", fields and entries that the schema has.
import type { Schema } from "../schema/schema.ts";

const STEP = /\.([^.[\]]+)|\['((?:[^'\\]|\\.)*)'\]/y;
const ESCAPES: Readonly<Record<string, string>> = {
  ...{ a: "\u0007", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "'": "'", "\\": "\\" },
};

/** As a field's path is told, "spec.ports[http-80]"; undefined: it leads nowhere. */
export function rulePath(text: string, schema: Schema): string | undefined {
  let at: Schema = schema;
  let path = "";
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const [, plain, quoted] = STEP.exec(text) ?? [];
    const name = plain ?? unescaped(quoted);
    if (name === undefined) return undefined;
    const { properties, additionalProperties: more } = at;
    if (properties !== undefined) {
      if (!Object.hasOwn(properties, name)) return undefined;
      at = properties[name];
      path += path === "" ? name : `.${name}`;
    } else if (typeof more === "object") {
      at = more;
      path += `[${name}]`;
    } else return undefined;
  }
  return path;
}

function unescaped(text: string | undefined): string | undefined {
  const odd = text?.match(/\\./g)?.some((one) => ESCAPES[one[1]] === undefined);
  return odd === true ? undefined : text?.replace(/\\(.)/g, (_, one: string) => ESCAPES[one]);
}
