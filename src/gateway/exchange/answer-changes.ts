// Headers of an answer as rules change them.
import type { HeaderChange } from "../../l7/decision.ts";
import type { Header } from "../../l7/request.ts";

export function changedHeaders(
  headers: readonly Header[],
  changes: readonly HeaderChange[],
): readonly Header[] {
  let list = headers;
  for (const { what, name, value } of changes) {
    const small = name.toLowerCase();
    if (what !== "add") list = list.filter((each) => each.name.toLowerCase() !== small);
    if (what !== "remove") list = [...list, { name, value }];
  }
  return list;
}
