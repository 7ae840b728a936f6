/**
 * The lines for ip(8) that make of the policy routing that there is the one that is wanted. Rules of the agent's stand
 * before the one for the local table, which Linux has at 0, so that it has to move; where others have rules, it stays
 * before those, too, as it was. Pure: text as ip(8) shows it.
 */
import { HOST_PRIORITY, HOST_TABLE } from "../../compile/host-rules.ts";

/** Where the rule for the local table stands once others have to come before it. */
const LOCAL_PRIORITY = 100;
const LOCAL = "from all lookup local";

export interface ShownRule {
  readonly priority: number;
  /** "from all iif lo ipproto tcp dport 30000-32767 lookup 30000" */
  readonly selector: string;
}

/** "50:\tfrom all …" */
export function rulesShown(lines: readonly string[]): ShownRule[] {
  return lines.map((line) => {
    const [priority, ...rest] = line.split(":");
    return { priority: Number(priority), selector: rest.join(":").trim() };
  });
}

/** What an agent made, at whatever priority; the table may be somebody else's, too. */
export function isOwn({ selector }: ShownRule): boolean {
  return selector.endsWith(` lookup ${HOST_TABLE}`) && selector.includes(" iif lo ");
}

export function isLocal({ selector }: ShownRule): boolean {
  return selector === LOCAL;
}

export interface Places {
  readonly own: number;
  /** Where the rule for the local table has to be. */
  readonly local: number;
}

/**
 * undefined: there is no room before somebody else's first rule. `moved`: where an agent has put the rule for the local
 * table; 0: nowhere. `isPrepared`: somebody made rules that are to stand before the local table's.
 */
export function placesOf(
  shown: readonly ShownRule[],
  moved: number,
  isPrepared: boolean,
): Places | undefined {
  const local = shown.find(isLocal)?.priority ?? (moved || LOCAL_PRIORITY);
  if (local > 0) return { own: Math.min(HOST_PRIORITY, local - 1), local };
  const others = shown.filter((rule) => !isOwn(rule) && !isLocal(rule));
  const first = isPrepared ? LOCAL_PRIORITY + 1 : Math.min(...others.map(({ priority }) => priority));
  const place = Math.min(LOCAL_PRIORITY, first - 1);
  return place < 1 ? undefined : { own: Math.min(HOST_PRIORITY, place - 1), local: place };
}

/** Makes `rules` of what there is. */
export function linesToHave(shown: readonly ShownRule[], rules: readonly string[], places: Places): string[] {
  const isRight = (rule: ShownRule): boolean => rule.priority === places.own && rules.includes(rule.selector);
  const there = new Set(shown.filter(isRight).map(({ selector }) => selector));
  const local = shown.filter(isLocal).map(({ priority }) => priority);
  return [
    ...(local.includes(places.local) ? [] : [`rule add pref ${places.local} ${LOCAL}`]),
    ...(local.includes(0) ? [`rule del pref 0 ${LOCAL}`] : []),
    ...rules.filter((rule) => !there.has(rule)).map((rule) => `rule add pref ${places.own} ${rule}`),
    ...shown.filter((rule) => isOwn(rule) && !isRight(rule)).map(removal),
  ];
}

/** Takes all of the agent's away. `moved`, `isPrepared`: as above; what is prepared stays before the local table. */
export function linesToLeave(shown: readonly ShownRule[], moved: number, isPrepared: boolean): string[] {
  const others = shown.filter((rule) => !isOwn(rule));
  const local = others.filter(isLocal).map(({ priority }) => priority);
  const own = shown.filter(isOwn).map(removal);
  const place = isPrepared && others.length > 0 && isLocal(others[0]) ? LOCAL_PRIORITY : moved;
  const isMoved = place > 0 && local.includes(place);
  const isGone = moved > 0 && local.length === 0; // flushed by somebody
  return [
    ...own,
    ...((isMoved || isGone) && !local.includes(0) ? [`rule add pref 0 ${LOCAL}`] : []),
    ...(isMoved ? [`rule del pref ${place} ${LOCAL}`] : []),
  ];
}

function removal({ priority, selector }: ShownRule): string {
  return `rule del pref ${priority} ${selector}`;
}

/** How many of the wanted rules are not where they work. */
export function missing(shown: readonly ShownRule[], rules: readonly string[]): number {
  const local = shown.find(isLocal)?.priority ?? Number.POSITIVE_INFINITY;
  const works = shown.filter((rule) => isOwn(rule) && rule.priority < local);
  const there = new Set(works.map(({ selector }) => selector));
  const gone = rules.filter((rule) => !there.has(rule)).length;
  return local === Number.POSITIVE_INFINITY && rules.length > 0 ? gone + 1 : gone;
}
