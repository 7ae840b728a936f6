// CustomResourceDefinitions: names that nobody else of their group has are accepted, and with all of them a definition is
// established: its objects are served. Whoever has a name keeps it; others get it when it is free again.
import { deepEqual } from "../../base/deep-equal.ts";
import type { CustomDefinition, DefinedNames, DefinitionCondition } from "../../kube/custom-definition.ts";
import { type KubeObject, keyOf } from "../../kube/objects.ts";
import type { Store, StoreEvent } from "../store.ts";

const KIND = "CustomResourceDefinition";
const NOTHING: DefinedNames = { plural: "", kind: "" };

interface Judged {
  readonly names: DefinedNames;
  readonly accepted: Omit<DefinitionCondition, "lastTransitionTime">;
}

export class CustomDefinitionController {
  readonly #store: Store;
  readonly #now: () => string;
  /** Groups in which names are to be looked at. */
  readonly #dirty = new Set<string>();

  constructor(store: Store, now: () => string) {
    this.#store = store;
    this.#now = now;
  }

  onEvent({ object }: StoreEvent): void {
    if (object.kind === KIND) this.#dirty.add((object as CustomDefinition).spec.group);
  }

  settle(): void {
    this.#dirty.clear();
  }

  reconcile(): boolean {
    const groups = [...this.#dirty];
    this.#dirty.clear();
    for (const group of groups) {
      // The keys of now: each is looked at as those before it have left the names.
      const keys = this.#definitions(group).map(keyOf);
      for (const key of keys) {
        const definition = this.#store.get<CustomDefinition>(KIND, key);
        if (definition !== undefined) this.#store.put(this.#judged(definition));
      }
    }
    return groups.length > 0;
  }

  #definitions(group: string): CustomDefinition[] {
    return this.#store.list<CustomDefinition>(KIND).filter(({ spec }) => spec.group === group);
  }

  #judged(definition: CustomDefinition): KubeObject {
    const { spec, status = {} } = definition;
    const names = {
      singular: spec.names.kind.toLowerCase(),
      listKind: `${spec.names.kind}List`,
      ...spec.names,
    };
    const judged = judge(names, status.acceptedNames ?? NOTHING, this.#taken(definition));
    const old = status.conditions ?? [];
    const accepted = this.#condition(judged.accepted, old);
    const before = old.find(({ type }) => type === "Established");
    const isEstablished = before?.status === "True" || accepted.status === "True";
    const ready = ["True", "InitialNamesAccepted", "the initial names have been accepted"] as const;
    const [is, reason, message] = isEstablished
      ? ready
      : (["False", "NotAccepted", "not all names are accepted"] as const);
    const established = this.#condition({ type: "Established", status: is, reason, message }, old);
    const others = old.filter(({ type }) => type !== "NamesAccepted" && type !== "Established");
    const stored = spec.versions.find(({ storage }) => storage === true)?.name ?? "";
    const next = {
      acceptedNames: judged.names,
      conditions: [accepted, established, ...others],
      storedVersions: [...new Set([...(status.storedVersions ?? []), stored])],
    };
    return { ...definition, spec: { ...spec, names }, status: next } as CustomDefinition;
  }

  /** What the others of the group have. */
  #taken({ spec, metadata }: CustomDefinition): { words: Set<string>; kinds: Set<string> } {
    const words = new Set<string>();
    const kinds = new Set<string>();
    for (const each of this.#definitions(spec.group)) {
      const names = each.status?.acceptedNames;
      if (names === undefined || each.metadata.name === metadata.name) continue;
      for (const word of [names.plural, names.singular ?? "", ...(names.shortNames ?? [])]) words.add(word);
      for (const kind of [names.kind, names.listKind ?? ""]) kinds.add(kind);
    }
    return { words, kinds };
  }

  #condition(
    made: Omit<DefinitionCondition, "lastTransitionTime">,
    old: readonly DefinitionCondition[],
  ): DefinitionCondition {
    const before = old.find(({ type }) => type === made.type);
    const since = before?.status === made.status ? before.lastTransitionTime : undefined;
    return { ...made, lastTransitionTime: since ?? this.#now() };
  }
}

/** Of what is asked for, what may be had; what it has already it keeps. The last conflict is told. */
function judge(
  asked: DefinedNames,
  had: DefinedNames,
  taken: { words: Set<string>; kinds: Set<string> },
): Judged {
  const names = { ...had } as { -readonly [K in keyof DefinedNames]: DefinedNames[K] };
  let accepted = {
    ...{ type: "NamesAccepted", status: "True" },
    ...{ reason: "NoConflicts", message: "no conflicts found" },
  };
  const conflict = (reason: string, message: string): void => {
    accepted = { type: "NamesAccepted", status: "False", reason, message };
  };
  const inUse = (name: string): string => `${JSON.stringify(name)} is already in use`;
  const one = (
    field: "plural" | "singular" | "kind" | "listKind",
    among: Set<string>,
    reason: string,
  ): void => {
    const name = asked[field] ?? "";
    if (name !== had[field] && among.has(name)) conflict(reason, inUse(name));
    else names[field] = name;
  };
  one("plural", taken.words, "PluralConflict");
  one("singular", taken.words, "SingularConflict");
  if (!deepEqual(asked.shortNames, had.shortNames)) {
    const own = new Set(had.shortNames ?? []);
    const wrong = (asked.shortNames ?? [])
      .filter((name) => !own.has(name) && taken.words.has(name))
      .map(inUse);
    if (wrong.length > 0)
      conflict("ShortNamesConflict", wrong.length === 1 ? wrong[0] : `[${wrong.join(", ")}]`);
    else if (asked.shortNames === undefined) delete names.shortNames;
    else names.shortNames = asked.shortNames;
  }
  one("kind", taken.kinds, "KindConflict");
  one("listKind", taken.kinds, "ListKindConflict");
  if (asked.categories === undefined) delete names.categories;
  else names.categories = asked.categories;
  return { names, accepted };
}
