// A CronJob's schedule: five fields or a macro, in a time zone (UTC where none is given). What croner takes beyond
// Kubernetes' own parser (seconds, L, W, #) is refused.
import { Cron } from "croner";

const MISSED_MAX = 100;
const BEYOND = /[LW#+]/;

/** Why the schedule cannot be read; undefined: it can. */
export function scheduleProblem(schedule: string): string | undefined {
  const [first = ""] = schedule.trim().split(/\s+/);
  const isMacro = first.startsWith("@");
  if (!isMacro && BEYOND.test(schedule.replaceAll(/[a-z]{3}/gi, "")))
    return "must be five fields of numbers, names, *, ?, commas, - and /";
  try {
    cronOf(schedule, "UTC");
    return undefined;
  } catch (error) {
    return (error as Error).message.replace(/^CronPattern: /, "");
  }
}

export function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

/** The last time of the schedule up to now that is after `sinceMs`; undefined: there was none. */
export function lastTime(
  schedule: string,
  zone: string | undefined,
  { sinceMs, nowMs }: { sinceMs: number; nowMs: number },
): { atMs: number; isTooMany: boolean } | undefined {
  const cron = cronOf(schedule, zone);
  const [last] = cron.previousRuns(1, new Date(nowMs + 1));
  if (last === undefined || last.getTime() <= sinceMs) return undefined;
  const times = cron.nextRuns(MISSED_MAX + 1, new Date(sinceMs));
  const at = times[MISSED_MAX];
  return { atMs: last.getTime(), isTooMany: at !== undefined && at.getTime() <= nowMs };
}

/** Undefined: never, as of the 31st of February. */
export function nextTime(schedule: string, zone: string | undefined, afterMs: number): number | undefined {
  return cronOf(schedule, zone).nextRun(new Date(afterMs))?.getTime();
}

function cronOf(schedule: string, zone: string | undefined): Cron {
  return new Cron(schedule, { timezone: zone ?? "UTC", mode: "5-part", sloppyRanges: true, paused: true });
}
