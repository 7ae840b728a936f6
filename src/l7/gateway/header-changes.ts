// Header modifiers of filters, as single changes in their order.
import type { HeaderModifier, RouteFilter } from "../../kube/gateway/gateway-objects.ts";
import type { HeaderChange } from "../decision.ts";

export function changesOf({ set = [], add = [], remove = [] }: HeaderModifier = {}): HeaderChange[] {
  return [
    ...set.map(({ name, value }) => ({ what: "set", name, value }) as const),
    ...add.map(({ name, value }) => ({ what: "add", name, value }) as const),
    ...remove.map((name) => ({ what: "remove", name, value: "" }) as const),
  ];
}

/** Of the answer. */
export function answerChanges(filters: readonly RouteFilter[]): HeaderChange[] {
  return filters.flatMap(({ responseHeaderModifier }) => changesOf(responseHeaderModifier));
}
