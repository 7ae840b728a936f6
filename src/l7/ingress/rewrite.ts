// rewrite-target: the whole path becomes the target, with what the groups of the path's pattern caught as $1 to $9.
import { encodedPath, plainTarget } from "../match/normal-path.ts";
import type { Seen } from "../request.ts";
import type { Location } from "./site.ts";

/** Path and query as the backend gets them; an address where the target is one. */
export function rewritten(
  { settings, pattern, path }: Location,
  { request, path: given = "", query }: Seen,
): string {
  const { rewrite } = settings;
  if (rewrite === "" || rewrite === path || pattern === undefined) return request.target;
  const matcher = pattern.matcher(given);
  if (!matcher.find()) return request.target;
  const groups = matcher.groupCount();
  const target = plainTarget(rewrite).replace(/\$(\d)/g, (_, digit: string) => {
    const group = Number(digit);
    return group <= groups ? encodedPath(matcher.group(group) ?? "") : "";
  });
  const rooted = /^(?:\/|https?:\/\/)/.test(target) ? target : `/${target}`;
  if (query.length <= 1) return rooted.endsWith("?") ? rooted.slice(0, -1) : rooted;
  if (rooted.endsWith("?")) return rooted.slice(0, -1); // nginx: without the arguments that came
  return rooted.includes("?") ? `${rooted}&${query.slice(1)}` : `${rooted}${query}`;
}
