// podwire edit KIND NAME…: an object in an editor, and back. Somebody else's change in between is a conflict, not lost.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { parse } from "yaml";
import type { KubeObject } from "../../kube/objects.ts";
import type { ApiClient } from "../api/api-client.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { globals, note, print, yamlText } from "../context.ts";
import { CliError } from "../errors.ts";
import { nameOf } from "./get/output.ts";
import { choiceOf, choose, type Named, placeOf } from "./named-objects.ts";

const HEAD = `# Edit the object below. Lines that begin with '#' are ignored, and an empty file ends the edit.
#
`;

export function register(program: Command): void {
  const command = program
    .command("edit <words...>")
    .description("change objects in an editor ($KUBE_EDITOR, $EDITOR, or vi)")
    .usage("KIND NAME… | KIND/NAME… [-n NAMESPACE]")
    .option("-n, --namespace <namespace>", "namespace of the objects", "default");
  addCluster(command).action(async (words: string[], flags: { namespace: string }, self: Command) => {
    globals(self);
    const targets = choiceOf("edit", words, flags);
    const api = await openApi(self);
    const { objects, missing } = await choose(api, targets, flags);
    for (const named of objects) await edit(api, named);
    if (missing.length > 0) throw new CliError(missing.join("\n"), 1, "NOT_FOUND");
  });
}

async function edit(api: ApiClient, named: Named): Promise<void> {
  const { managedFields: _, ...metadata } = named.object.metadata;
  const before = `${HEAD}${await yamlText({ ...named.object, metadata })}`;
  const folder = mkdtempSync(join(tmpdir(), "podwire-edit-"));
  const file = join(folder, `${encodeURIComponent(named.object.metadata.name)}.yaml`);
  writeFileSync(file, before, { mode: 0o600 });
  let isKept = false;
  try {
    await runEditor(file);
    const text = readFileSync(file, "utf8");
    const edited = text.replace(/^#.*\n?/gm, "");
    if (text === before || edited.trim() === "") return note("Edit cancelled, no changes made.");
    isKept = true;
    const made = await api.replace(placeOf(named), objectOf(edited, named.object));
    isKept = false;
    await print(`${nameOf(made)} edited`);
  } catch (error) {
    if (isKept) note(`A copy of your changes has been stored to "${file}"`);
    throw error;
  } finally {
    if (!isKept) rmSync(folder, { recursive: true });
  }
}

function objectOf(text: string, before: KubeObject): KubeObject {
  let object: Partial<KubeObject> | null;
  try {
    object = parse(text) as Partial<KubeObject> | null;
  } catch (error) {
    throw new CliError(`edit: it is no YAML any more: ${(error as Error).message.split("\n", 1)[0]}`);
  }
  const { name, namespace } = object?.metadata ?? {};
  const isSame =
    object?.kind === before.kind &&
    object.apiVersion === before.apiVersion &&
    name === before.metadata.name &&
    namespace === before.metadata.namespace;
  if (!isSame)
    throw new CliError(`edit: apiVersion, kind, name and namespace of ${nameOf(before)} cannot change`);
  return object as KubeObject;
}

/** By a shell, since the variable may have arguments. */
async function runEditor(file: string): Promise<void> {
  const editor = process.env.KUBE_EDITOR || process.env.EDITOR || "vi";
  const child = spawn("sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit" });
  const status = await new Promise<number>((resolve, reject) => {
    child.on("error", reject).on("close", (code) => resolve(code ?? 1));
  });
  if (status !== 0)
    throw new CliError(`edit: there was a problem with the editor "${editor}": status ${status}`);
}
