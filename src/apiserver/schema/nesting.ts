// How a request's object may be nested. What reads objects calls itself for each level, and names a field by its whole
// path: without bounds one request could exhaust the stack, of which V8 ends the process where it compiles a regular
// expression just then, or the memory.

/** Levels of lists and maps; custom resources of today have 50. */
export const DEPTH_MAX = 500;
/** Characters of all names on the way to a field. */
export const PATH_MAX = 16_384;
/** Lists, maps and what is in them: more than a body that is not too large can bring, unless it names things twice. */
const VALUES_MAX = 2_000_000;

/** Why a value is not taken; undefined: it is. Calls itself never, and ends for what holds itself, too. */
export function nestingProblem(root: unknown): string | undefined {
  const waiting: unknown[] = [root];
  const depths = [1];
  const lengths = [0];
  let count = 0;
  while (waiting.length > 0) {
    const value = waiting.pop();
    const [depth, length] = [depths.pop() as number, lengths.pop() as number];
    if (typeof value !== "object" || value === null) continue;
    if (depth > DEPTH_MAX) return `it is nested deeper than ${DEPTH_MAX} levels`;
    const names = Array.isArray(value) ? undefined : Object.keys(value);
    const children: unknown[] = Array.isArray(value) ? value : Object.values(value);
    count += children.length;
    if (count > VALUES_MAX) return `it has more than ${VALUES_MAX} values`;
    for (let i = 0; i < children.length; i++) {
      const child = children[i];
      const at = length + (names?.[i].length ?? 0);
      if (at > PATH_MAX) return `the path of a field is longer than ${PATH_MAX} characters`;
      if (typeof child !== "object" || child === null) continue;
      waiting.push(child);
      depths.push(depth + 1);
      lengths.push(at);
    }
  }
  return undefined;
}
