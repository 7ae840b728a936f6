// podwire scale KIND NAME… | KIND/NAME… --replicas=N
import type { Command } from "commander";
import { notFound } from "../../cluster/outcome.ts";
import type { ApiClient } from "../api/api-client.ts";
import type { ApiError } from "../api/api-error.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { globals, print } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { nameOf } from "./get/output.ts";

interface Flags {
  namespace: string;
  replicas: string;
  currentReplicas?: string;
}

const REPLICAS_MAX = 10_000;

export function register(program: Command): void {
  const command = program
    .command("scale <words...>")
    .description("set how many pods a deployment (or another kind with replicas) has")
    .usage("KIND NAME… | KIND/NAME… --replicas=N [--current-replicas=N] [-n NAMESPACE]")
    .requiredOption("--replicas <n>", "pods wanted")
    .option("--current-replicas <n>", "only if so many are wanted now")
    .option("-n, --namespace <namespace>", "namespace of the objects", "default")
    .addHelpText("after", "\nExample:\n  podwire scale deploy/web --replicas=3");
  addCluster(command).action(async (words: string[], flags: Flags, self: Command) => {
    const replicas = numberOf("replicas", flags.replicas);
    const current =
      flags.currentReplicas === undefined ? undefined : numberOf("current-replicas", flags.currentReplicas);
    const targets = targetsOf(words);
    globals(self); // output forms: none of scale's own
    const api = await openApi(self);
    for (const { kind, name } of targets)
      await print(
        `${await scale(api, kind, { namespace: flags.namespace, name }, replicas, current)} scaled`,
      );
  });
}

interface Scale {
  readonly metadata: object;
  readonly spec?: { readonly replicas?: number };
}

/** The object's name, as it is printed. `current`: so many must be wanted now. */
async function scale(
  api: ApiClient,
  word: string,
  where: { namespace: string; name: string },
  replicas: number,
  current: number | undefined,
): Promise<string> {
  const resource = await api.resource(word);
  const place = { resource, ...where, subresource: "scale" };
  const now = (await api.get(place).catch((error: ApiError) => {
    const what = `scale ${resource.singular}/${where.name}: a ${resource.kind} has no replicas`;
    if (error.isNoPath) throw new CliError(what, 1, "NOT_SCALABLE");
    if (error.code === "NOT_FOUND") throw new CliError(notFound(resource, where.name), 1, "NOT_FOUND");
    throw error;
  })) as object as Scale;
  const wanted = now.spec?.replicas ?? 0;
  if (current !== undefined && current !== wanted) {
    const why = `expected replicas to be ${current}, it has ${wanted}`;
    throw new CliError(`scale ${resource.singular}/${where.name}: ${why}`, 1, "CONFLICT");
  }
  // With the version that was looked at, where it matters what is wanted now.
  if (current !== undefined) await api.replace(place, { ...now, spec: { ...now.spec, replicas } });
  else await api.patch(place, "merge", { spec: { replicas } });
  const { apiVersion, kind } = resource;
  return nameOf({ apiVersion, kind, metadata: { name: where.name } });
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > REPLICAS_MAX)
    throw usageError(`--${option} ${text}: use a number from 0 to ${REPLICAS_MAX}`);
  return value;
}

function targetsOf(words: string[]): { kind: string; name: string }[] {
  if (words[0].includes("/")) {
    return words.map((word) => {
      const [kind, name] = word.split("/", 2);
      if (!kind || !name) throw usageError(`scale ${word}: write KIND/NAME`);
      return { kind, name };
    });
  }
  const [kind, ...names] = words;
  if (names.length === 0)
    throw usageError(`scale ${kind}: which one? podwire scale ${kind} NAME --replicas=N`);
  return names.map((name) => ({ kind, name }));
}
