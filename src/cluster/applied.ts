// What came of a manifest that was applied, and of a dry run the object itself.
import type { Manifest } from "../kube/manifest/manifest.ts";
import { keyOf } from "../kube/objects.ts";
import { type Action, type Outcome, outcome } from "./outcome.ts";
import type { Store } from "./store.ts";

/** `rehearsed` holds what a dry run came to, until it ends. */
export function applied(
  { info, object }: Manifest,
  action: Action = "unchanged",
  rehearsed?: Pick<Store, "get">,
): Outcome {
  const made = rehearsed?.get(info.kind, keyOf(object));
  return { ...outcome(info, object, action), ...(made !== undefined && { object: made }) };
}
