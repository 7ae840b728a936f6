/** Columns of services as names and lists: for their next change, and for people. */
import { Scheduler } from "../spec/services.ts";
import { CLASSES, type Services } from "../table/service/services.ts";

/** Slots of the endpoints that a new connection of this class may get. */
export function setOf(t: Services, f: number, sourceClass: number): number[] {
  const c = f * CLASSES + sourceClass;
  return Array.from({ length: t.setCount[c] }, (_, i) => t.member[t.setAt[c] + i]);
}

/** Those of them that the scheduler gives any: with a weight of 0 an endpoint gets none. */
export function choiceOf(t: Services, f: number, sourceClass: number): number[] {
  const set = setOf(t, f, sourceClass);
  return t.schedule.kind[f] === Scheduler.RANDOM ? set : set.filter((slot) => t.schedule.weight[slot] > 0);
}
