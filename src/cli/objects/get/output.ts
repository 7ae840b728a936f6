// The forms of `podwire get -o`: kubectl's, beside those every command has.
import { readFileSync } from "node:fs";
import { goText } from "../../../kube/json-path/go-text.ts";
import { execute, executeAsJson, parsePath, parseTemplate, type Template } from "../../../kube/json-path.ts";
import { groupOf, WORKLOAD_ENDPOINT } from "../../../kube/kinds.ts";
import type { KubeObject } from "../../../kube/objects.ts";
import { print, printData } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { type Column, formatTable } from "../../table.ts";

/** Prints what was asked for: one object when one was named, else a List. */
export type Printer = (items: KubeObject[], single: boolean) => Promise<void>;

const FORMS =
  "wide, json, yaml, name, jsonpath=…, jsonpath-file=…, jsonpath-as-json=…, custom-columns=…, custom-columns-file=…";

/** undefined: a table, wide or not. Checked before anybody is asked. */
export function printerOf(
  output: string | undefined,
  headers: boolean,
  showManagers = false,
): Printer | undefined {
  if (output === undefined || output === "table" || output === "wide") return undefined;
  const at = output.indexOf("=");
  const form = at < 0 ? output : output.slice(0, at);
  const value = at < 0 ? undefined : output.slice(at + 1);
  const given = (): string => {
    if (value === undefined || value === "") throw usageError(`-o ${form}: write -o ${form}=…`);
    return value;
  };
  switch (form) {
    case "json":
    case "yaml":
      return (items, single) => {
        const shown = showManagers ? items : items.map(withoutManagers);
        return printData(form, document(shown, single), [], []);
      };
    case "name":
      return (items) => (items.length === 0 ? Promise.resolve() : print(items.map(nameOf).join("\n")));
    case "jsonpath":
    case "jsonpath-file":
      return jsonpathPrinter(form === "jsonpath" ? given() : fileText(form, given()), execute);
    case "jsonpath-as-json":
      return jsonpathPrinter(given(), executeAsJson);
    case "custom-columns":
      return columnsPrinter(customColumns(given()), headers);
    case "custom-columns-file":
      return columnsPrinter(columnsOfFile(fileText(form, given())), headers);
    case "go-template":
    case "go-template-file":
    case "template":
    case "templatefile":
      throw usageError(`-o ${form}: podwire has no Go templates: use -o jsonpath=… or -o json`);
    default:
      throw usageError(`-o ${output}: unknown output form: use one of ${FORMS}`);
  }
}

/** Who has which field is nothing that one reads. */
export function withoutManagers(object: KubeObject): KubeObject {
  if (object.metadata?.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

export function document(items: KubeObject[], single: boolean): unknown {
  if (single && items.length === 1) return items[0];
  if (items.length > 0 && items.every(({ kind }) => kind === WORKLOAD_ENDPOINT.kind)) {
    const { apiVersion, kind } = WORKLOAD_ENDPOINT; // Calico's lists have a kind of their own
    return { apiVersion, kind: `${kind}List`, metadata: { resourceVersion: "" }, items };
  }
  return { apiVersion: "v1", kind: "List", metadata: { resourceVersion: "" }, items };
}

/** pod/web, deployment.apps/web: as kubectl, which asks nobody for a kind's name in the singular. */
export function nameOf({ apiVersion, kind, metadata }: KubeObject): string {
  const group = groupOf({ apiVersion });
  return `${kind.toLowerCase()}${group === "" ? "" : `.${group}`}/${metadata.name}`;
}

function fileText(form: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw usageError(`-o ${form}=${path}: ${(error as NodeJS.ErrnoException).code ?? "cannot be read"}`);
  }
}

/** Nothing is added at the end: scripts take the text as it is. */
function jsonpathPrinter(text: string, write: (template: Template, root: unknown) => string): Printer {
  const template = parseTemplate(text);
  return async (items, single) => {
    const printed = write(template, document(items, single));
    if (printed !== "") await new Promise((resolve) => process.stdout.write(printed, resolve));
  };
}

function customColumns(text: string): Column<KubeObject>[] {
  return text.split(/,(?=[^,:]+:)/).map((word) => {
    const colon = word.indexOf(":");
    if (colon < 1 || colon === word.length - 1)
      throw usageError(`-o custom-columns=${text}: write HEADER:PATH,… such as NAME:.metadata.name`);
    return columnOf(word.slice(0, colon), word.slice(colon + 1));
  });
}

function columnsOfFile(text: string): Column<KubeObject>[] {
  const [headers = "", paths = ""] = text.split("\n");
  const [names, specs] = [headers, paths].map((line) => line.trim().split(/\s+/));
  if (names.length !== specs.length || names[0] === "")
    throw usageError("-o custom-columns-file: write one line of headers and one of as many paths");
  return names.map((name, i) => columnOf(name, specs[i]));
}

/** Lists and maps as Go prints them, as kubectl does here: map[app:web]. */
function columnOf(header: string, path: string): Column<KubeObject> {
  const find = parsePath(path);
  return { header, value: (object) => find(object).map(goText).join(",") };
}

function columnsPrinter(columns: Column<KubeObject>[], headers: boolean): Printer {
  return async (items) => {
    const table = formatTable(columns, items).split("\n");
    const lines = headers ? table : table.slice(1);
    if (lines.length > 0) await print(lines.join("\n"));
  };
}
