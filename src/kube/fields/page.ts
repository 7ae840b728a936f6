// docs/fields.md, made from the rows: what is said to a reader and what the program does cannot drift apart.
import { KINDS } from "../kinds.ts";
import type { FieldRow } from "./field-table.ts";
import { ROWS, TYPES } from "./fields.ts";
import { LAB_FIELDS } from "./lab-fields.ts";

const WIDTH = 120;

const HEAD = `# Fields

What podwire does with every field of the objects it takes. A field that no version of Kubernetes up to 1.35 has
is refused as \`kubectl apply\` refuses it: \`unknown field "spec.foo"\`. Every other one is in one of these groups:

| group | means |
|---|---|
| served | it does what it does in a cluster |
| kept | it is stored and shown as it is given; nothing in a cluster's network acts on it either |
| refused | an object that has it is refused |
| not done | the object is taken, and one line on standard error says that the field does nothing here |

The line comes once for each kind and field of a call, from \`apply\` and \`lab up\`, and from kubectl, as a warning of
the API; what is marked "everywhere" is about packets, and \`rules\`, \`explain\`, \`replay\` and an agent that reads
files say it too. Values that the API server fills in itself, and those in brackets, are as good as leaving the field
out: a dump of ordinary objects says nothing.

This page is made from the program's own table (\`scripts/fields-page\`).
`;

/** Types that are reached through fields that are served, in order, with the first path to each. */
export function servedTypes(): Map<string, string> {
  const found = new Map<string, string>();
  const kinds = [...KINDS.filter((info) => info.stored).map((info) => info.kind), "KubeProxyConfiguration"];
  const queue = kinds.map((type) => ({ type, path: "" }));
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { type, path } = next;
    if (found.has(type)) continue;
    found.set(type, path);
    for (const [field, fieldType] of TYPES.get(type) ?? []) {
      if (ROWS.get(type)?.get(field)?.class !== "served") continue;
      const inner = fieldType.replaceAll(/[[\]{}]/g, "");
      if (!TYPES.has(inner)) continue;
      const items = fieldType.startsWith("[") ? "[*]" : "";
      queue.push({ type: inner, path: `${path === "" ? type : path}.${field}${items}` });
    }
  }
  return found;
}

export function fieldsPage(): string {
  const parts = [HEAD];
  const types = [...servedTypes()];
  const kinds = types.filter(([, path]) => path === "").map(([type]) => type);
  for (const kind of kinds) {
    parts.push(`## ${kind}\n`);
    for (const [type, path] of types) {
      if (type !== kind && path.split(".")[0] !== kind) continue;
      parts.push(typePart([...(ROWS.get(type)?.values() ?? [])], type, path));
    }
  }
  parts.push("## lab.yaml\n", typePart([...(LAB_FIELDS.get("Lab")?.values() ?? [])], "Lab", ""));
  return parts.join("\n");
}

function typePart(rows: readonly FieldRow[], type: string, path: string): string {
  const place = path === "" ? "" : `### ${type}: \`${path.slice(path.indexOf(".") + 1)}\`\n\n`;
  const plainOnes = (name: string): FieldRow[] =>
    rows.filter((row) => row.class === name && row.remark === "");
  const lists = ["served", "kept"].flatMap((name) => {
    const fields = plainOnes(name).map((row) => row.field);
    return fields.length === 0 ? [] : [`${wrap(`${capital(name)}: ${fields.join(", ")}.`)}\n`];
  });
  const others = rows.filter((row) => row.remark !== "" || !["served", "kept"].includes(row.class));
  if (others.length === 0) return `${place}${lists.join("\n")}`;
  const table = merged(others).map(([fields, row]) => `| ${fields} | ${groupOf(row)} | ${row.remark} |`);
  return `${place}${[...lists, `| field | group | |\n|---|---|---|\n${table.join("\n")}\n`].join("\n")}`;
}

/** Neighbours that are told the same of, in one line. */
function merged(rows: readonly FieldRow[]): [fields: string, row: FieldRow][] {
  const lines: [string, FieldRow][] = [];
  for (const row of rows) {
    const last = lines.at(-1);
    const text = `${row.field}${plain(row)}`;
    if (last?.[1].class === row.class && last[1].remark === row.remark) last[0] += `, ${text}`;
    else lines.push([text, row]);
  }
  return lines;
}

function plain(row: FieldRow): string {
  return row.plain.length === 0 ? "" : ` [${row.plain.join(", ")}]`;
}

function groupOf(row: FieldRow): string {
  if (row.class === "lab") return "not done";
  return row.class === "node" ? "not done, everywhere" : row.class;
}

function capital(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}

function wrap(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1];
    if (last !== "" && last.length + word.length + 1 > WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines.join("\n");
}
