// podwire wait --for=CONDITION KIND NAME… : until it holds, for each of the objects.
import type { Command } from "commander";
import { parsePath, valueText } from "../../kube/json-path.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { ApiClient } from "../api/api-client.ts";
import { addCluster, openApi } from "../api/open-api.ts";
import { type Watch, watchKinds } from "../api/watch-objects.ts";
import { globals, print } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { durationMs } from "../lab/duration.ts";
import { nameOf } from "./get/output.ts";
import { type ChoiceFlags, choiceOf, choose, followedBy, type Named } from "./named-objects.ts";

interface Flags extends ChoiceFlags {
  for?: string;
  timeout: string;
}

/** Whether it holds of an object; undefined: the object is gone. */
export type Wanted = (object: KubeObject | undefined) => boolean;

export function register(program: Command): void {
  const command = program
    .command("wait <words...>")
    .description("wait until a condition holds of objects; status 1 when it does not in time")
    .usage(
      "KIND NAME… | KIND/NAME… | KIND (-l LABELS | --all) --for=delete|condition=TYPE|jsonpath=PATH=VALUE",
    )
    .option("--for <condition>", "delete, condition=TYPE[=STATUS], jsonpath=PATH[=VALUE]")
    .option("--timeout <duration>", "how long to wait; 0: look once; negative: a week", "30s")
    .option("-n, --namespace <namespace>", "namespace of the objects", "default")
    .option("-A, --all-namespaces", "of all namespaces, with -l or --all")
    .option("-l, --selector <labels>", "all of the kind with these labels")
    .option("--field-selector <fields>", "all of the kind with these fields")
    .option("--all", "all of the kind in the namespace")
    .addHelpText(
      "after",
      "\nExamples:\n  podwire wait pod/web-1 --for=condition=Ready" +
        "\n  podwire wait pods -l app=web --for=delete --timeout=60s" +
        "\n  podwire wait pod/web-1 --for=jsonpath='{.status.phase}'=Running",
    );
  addCluster(command).action(async (words: string[], flags: Flags, self: Command) => {
    if (flags.for === undefined) throw usageError("wait: for what? --for=condition=Ready, --for=delete, …");
    const wanted = wantedOf(flags.for);
    const timeoutMs = durationMs("--timeout", flags.timeout);
    const targets = choiceOf("wait", words, flags);
    globals(self); // output forms: none of wait's own
    const api = await openApi(self);
    const { objects, missing } = await choose(api, targets, flags);
    const isDelete = flags.for.toLowerCase() === "delete";
    if (objects.length + missing.length === 0 && !isDelete) throw new CliError("no matching resources found");
    await waitFor(api, objects, wanted, timeoutMs < 0 ? WEEK_MS : timeoutMs);
    if (missing.length > 0 && !isDelete) throw new CliError(missing.join("\n"), 1, "NOT_FOUND");
  });
}

const WEEK_MS = 7 * 24 * 3_600_000;

export function wantedOf(text: string): Wanted {
  if (text.toLowerCase() === "delete") return (object) => object === undefined;
  const [form] = text.split("=", 1);
  const rest = text.slice(form.length + 1);
  if (form === "condition" && rest !== "") return conditionHolds(rest);
  if (form === "jsonpath" && rest !== "") return pathHolds(rest);
  throw usageError(`--for=${text}: use delete, condition=TYPE[=STATUS] or jsonpath=PATH[=VALUE]`);
}

function conditionHolds(text: string): Wanted {
  const [type, value = "true"] = text.toLowerCase().split("=", 2);
  return (object) => {
    const { conditions = [] } =
      (object as { status?: { conditions?: { type: string; status: string }[] } })?.status ?? {};
    return conditions.some((each) => each.type.toLowerCase() === type && each.status.toLowerCase() === value);
  };
}

/** {.status.phase}=Running; without a value: that there is something. */
function pathHolds(text: string): Wanted {
  const match = /^(\{.*\}|[^=]+)(?:=(.*))?$/.exec(text.replace(/^(['"])(.*)\1$/, "$2"));
  if (match === null) throw usageError(`--for=jsonpath=${text}: write jsonpath='{.status.phase}'=Running`);
  const find = parsePath(match[1].replace(/^(['"])(.*)\1$/, "$2"));
  const value = match[2]?.replace(/^(['"])(.*)\1$/, "$2");
  return (object) => {
    const found = object === undefined ? [] : find(object);
    if (value === undefined) return found.some((each) => each !== undefined && each !== null);
    return found.length === 1 && valueText(found[0]) === value;
  };
}

async function waitFor(
  api: ApiClient,
  objects: readonly Named[],
  wanted: Wanted,
  timeoutMs: number,
): Promise<void> {
  const left = new Map(objects.map((each) => [each.object.metadata.uid ?? "", each]));
  if (left.size === 0) return;
  const watch = await watchKinds(api, followedBy(objects));
  const now = new Map(watch.first.map((object) => [object.metadata.uid ?? "", object]));
  for (const [uid, { object }] of left) if (wanted(now.get(uid))) await met(left, uid, object);
  let isLate = timeoutMs === 0;
  const timer = setTimeout(() => {
    isLate = true;
    watch.close();
  }, timeoutMs);
  try {
    if (left.size > 0 && !isLate) await follow(watch, left, wanted);
  } finally {
    clearTimeout(timer);
    watch.close();
  }
  if (left.size === 0) return;
  const lines = [...left.values()].map((each) => `timed out waiting for the condition on ${title(each)}`);
  throw new CliError(lines.join("\nerror: "), 1, "TIMEOUT");
}

async function follow(watch: Watch, left: Map<string, Named>, wanted: Wanted): Promise<void> {
  for await (const { type, object } of watch.changes) {
    const uid = object.metadata.uid ?? "";
    if (left.has(uid) && wanted(type === "DELETED" ? undefined : object)) await met(left, uid, object);
    if (left.size === 0) return;
  }
}

async function met(left: Map<string, Named>, uid: string, object: KubeObject): Promise<void> {
  left.delete(uid);
  await print(`${nameOf(object)} condition met`);
}

/** pods/web, deployments/web: kubectl names no group here. */
function title({ object, resource }: Named): string {
  return `${resource.plural}/${object.metadata.name}`;
}
