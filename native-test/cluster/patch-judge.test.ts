// Random patches of every kind, sent to a real API server and worked out here: the object, who has which of its fields,
// and what is refused in which words have to be the same.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t, { type Test } from "tap";
import { APPLY, applyPatch } from "../../src/apiserver/patch/apply-patch.ts";
import { afterUpdate, bare, type Change, ignoredBy } from "../../src/apiserver/patch/field-manager.ts";
import type { Refused } from "../../src/apiserver/patch/refused.ts";
import { builtIn } from "../../src/apiserver/schema/definitions.ts";
import { isObject, type Json, type JsonObject, type Typed } from "../../src/apiserver/schema/schema.ts";
import type { Client } from "./support/client.ts";
import { ControlPlane, noCluster } from "./support/control-plane.ts";
import { type Kind, PATCHED_KINDS, type Step } from "./support/random-patches.ts";

const SCENARIOS = 25;
const SEED = Number(process.env.PODWIRE_SEED ?? Math.floor(Math.random() * 1e9));
const SERVERS = ["uid", "resourceVersion", "generation", "creationTimestamp"];
const NOW = "2026-01-01T00:00:00Z";

t.test("patches as a real API server takes them", { skip: noCluster() }, async (t) => {
  t.comment(`PODWIRE_SEED=${SEED}`);
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-patch-"));
  const control = await ControlPlane.start(folder);
  t.teardown(async () => {
    await control.stop();
    await rm(folder, { recursive: true, force: true });
  });
  for (const kind of PATCHED_KINDS) {
    await t.test(`${kind.kind}s`, async (t) => {
      const judged = { taken: 0, refused: 0, skipped: 0 };
      const scenarios = fc.sample(kind.scenario, { seed: SEED, numRuns: SCENARIOS });
      for (const [i, steps] of scenarios.entries()) await run(t, control.admin, kind, `x${i}`, steps, judged);
      t.comment(JSON.stringify(judged));
      t.ok(judged.taken > SCENARIOS / 2 && judged.refused > 0, "both were seen");
    });
  }
});

async function run(
  t: Test,
  client: Client,
  kind: Kind,
  name: string,
  steps: readonly Step[],
  judged: { taken: number; refused: number; skipped: number },
): Promise<void> {
  const typed = builtIn(kind.apiVersion, kind.kind) as Typed;
  const group = kind.apiVersion.includes("/") ? `apis/${kind.apiVersion}` : `api/${kind.apiVersion}`;
  const path = `/${group}/namespaces/default/${kind.plural}/${name}`;
  let live: JsonObject | undefined;
  for (const step of steps) {
    const { type, manager, isForced } = step;
    const body = named(step.body(live ?? {}), name, type);
    if (live === undefined && type !== APPLY) continue;
    const query = `fieldManager=${manager}&fieldValidation=Warn${type === APPLY ? `&force=${isForced}` : ""}`;
    const answer = await client.ask("PATCH", `${path}?${query}`, body as object, type);
    const change: Change = {
      ...{ manager, operation: type === APPLY ? "Apply" : "Update", apiVersion: kind.apiVersion },
      ...{ subresource: "", typed, now: NOW, ignored: ignoredBy("", kind.hasStatus) },
    };
    const text = JSON.stringify(body);
    const which = `${name} ${type} ${manager} ${text}`;
    let mine: JsonObject | undefined;
    let refused: Refused | undefined;
    try {
      const request = {
        type,
        body: text,
        live,
        isCustom: false,
        isForced,
        validation: "Warn",
        change,
      } as const;
      mine = applyPatch(request).object;
    } catch (error) {
      refused = error as Refused;
      if (refused.status === undefined) throw error;
    }
    if (answer.status === 422 && / is invalid: /.test(answer.body.message) && refused === undefined) {
      judged.skipped++; // by checks of the object, which are not those of patches
      continue;
    }
    if (answer.status >= 300 || refused !== undefined) {
      judged.refused++;
      t.same(
        told(refused),
        { ...told(answer.body), status: answer.status },
        `${which}\n${JSON.stringify(live)}`,
      );
      continue;
    }
    judged.taken++;
    const after = answer.body as JsonObject;
    const wanted = comparable(bare(after));
    const got = comparable(bare(kind.withDefaults(structuredClone(mine as JsonObject))));
    t.same(got, wanted, `${which}\n${JSON.stringify(live)}`);
    const managed =
      type === APPLY ? (mine as JsonObject) : afterUpdate(live, withManagersOf(after, mine), change);
    t.same(managersOf(managed), managersOf(after), `${which}\n${JSON.stringify(live)}`);
    live = after;
  }
}

/**
 * A refusal, causes in any order: Go goes through managers as they come. Of a patch that does not apply we say why, and
 * Go writes a whole object in its own order.
 */
function told(
  of: { status?: unknown; message?: string; causes?: unknown; details?: JsonObject } | undefined,
) {
  const { status, message = "" } = of ?? {};
  if (message.startsWith(' "" is invalid: patch: ')) return { status };
  // Of two lists whose order is wrong, the one that Go comes to first.
  if (message.startsWith("The order in patch list:")) return { status };
  const causes = ((of?.causes ?? of?.details?.causes ?? []) as JsonObject[])
    .filter(({ reason }) => reason !== "UnexpectedServerResponse")
    .map(({ reason, message, field }) => `${reason} ${message} ${field}`);
  return { status, message, causes: causes.sort() };
}

/** What the server made of it, but for who has what, which is asked about. */
const withManagersOf = (after: JsonObject, mine: JsonObject | undefined): JsonObject => {
  const { managedFields } = (mine?.metadata ?? {}) as JsonObject;
  const plain = bare(after);
  const metadata = {
    ...(plain.metadata as JsonObject),
    ...(managedFields === undefined ? {} : { managedFields }),
  };
  return { ...plain, metadata };
};

const managersOf = (object: JsonObject): Json[] =>
  (((object.metadata as JsonObject).managedFields ?? []) as JsonObject[])
    .map(({ time: _time, ...rest }) => rest)
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

function named(body: Json, name: string, type: string): Json {
  if (type !== APPLY || !isObject(body)) return body;
  return { ...body, metadata: { ...(body.metadata as JsonObject), name } };
}

/** Without what the server alone says, and without what is empty. */
function comparable(object: JsonObject): Json {
  const { status: _status, ...rest } = object;
  const metadata = { ...(rest.metadata as JsonObject), namespace: "default" } as JsonObject;
  for (const field of SERVERS) delete metadata[field];
  return withoutEmpty({ ...rest, metadata });
}

function withoutEmpty(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (!isObject(value)) return value;
  const kept = Object.entries(value)
    .map(([name, one]) => [name, withoutEmpty(one)] as const)
    .filter(([, one]) => one !== null && JSON.stringify(one) !== "{}" && JSON.stringify(one) !== "[]");
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}
