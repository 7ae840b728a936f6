// podwire diff -f FILE…: what `podwire apply` of these manifests would change of what is there.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { KubeObject } from "../../../kube/objects.ts";
import type { ApiClient } from "../../api/api-client.ts";
import { openApi } from "../../api/open-api.ts";
import { globals, note, yamlText } from "../../context.ts";
import { CliError, Exit } from "../../errors.ts";
import { applyOptions, rehearsedManifests } from "../apply-manifests.ts";
import { masked } from "./masked-secrets.ts";

interface Flags {
  filename?: string[];
  namespace?: string;
  showSecrets?: boolean;
}

const SAME = 0;
const DIFFERENT = 1;

export function register(program: Command): void {
  applyOptions(
    program
      .command("diff")
      .description("what applying manifests would change; exit status 3 when it would change something")
      .usage("-f FILE… [-n NAMESPACE] [--show-secrets]")
      .option("--show-secrets", "values of Secrets, too (default: which of them change, as ***)")
      .addHelpText("after", "\nBy diff -u -N, or the program of $KUBECTL_EXTERNAL_DIFF."),
    false,
  ).action(async (flags: Flags, command: Command) => {
    globals(command); // output forms: none of diff's own
    const { items, notes } = await rehearsedManifests("diff", flags, command);
    for (const line of notes) note(line);
    const api = await openApi(command);
    const made = items.flatMap(({ object }) => object ?? []);
    const pairs = await Promise.all(made.map(async (object) => [await liveOf(api, object), object] as const));
    const status = await compare(flags.showSecrets === true ? pairs : pairs.map(masked));
    if (status === DIFFERENT) process.exitCode = Exit.NO;
    else if (status !== SAME) throw new CliError(`diff: the program ended with status ${status}`);
  });
}

async function liveOf(
  api: ApiClient,
  { apiVersion, kind, metadata }: KubeObject,
): Promise<KubeObject | undefined> {
  const resource = await api.finder.byKind(apiVersion, kind);
  if (resource === undefined) return undefined;
  return api.find({ resource, namespace: metadata.namespace, name: metadata.name });
}

/** Status of the program that compares: two folders, a file an object. */
async function compare(pairs: readonly (readonly [KubeObject | undefined, KubeObject])[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "podwire-diff-"));
  try {
    const [live, merged] = ["LIVE", "MERGED"].map((name) => join(folder, name));
    for (const each of [live, merged]) mkdirSync(each, { mode: 0o700 });
    for (const [before, after] of pairs) {
      const { apiVersion, kind, metadata } = after;
      const file = [apiVersion.replace("/", "."), kind, metadata.namespace ?? "", metadata.name].join(".");
      if (before !== undefined) writeFileSync(join(live, file), await shown(before));
      writeFileSync(join(merged, file), await shown(after));
    }
    const program = process.env.KUBECTL_EXTERNAL_DIFF || "diff -u -N";
    return await run(["sh", "-c", `${program} "$1" "$2"`, "sh", "LIVE", "MERGED"], folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Without what every write changes. */
function shown(object: KubeObject): Promise<string> {
  const { managedFields: _, resourceVersion: __, generation: ___, ...metadata } = object.metadata;
  return yamlText(sorted({ ...object, metadata }));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted((value as Record<string, unknown>)[key])]));
}

function run([file, ...args]: string[], cwd: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", reject).on("close", (code) => resolve(code ?? 2));
  });
}
