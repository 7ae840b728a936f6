// dataplane.workers: threads over which a node's ports are spread.
import type { FieldPath, FieldProblems } from "../kube/manifest/field-problems.ts";

const WORKERS_MAX = 64;

/** How many there are to be; "auto": half as many as there are cores. */
export type Workers = number | "auto";

/** What they depend on. */
interface Surroundings {
  /** Of the proxy; undefined: it is wrong itself. */
  readonly mode: string | undefined;
  readonly drivers: readonly (string | undefined)[];
}

/** Reports what cannot be. A field that is left out is one worker. */
export function readWorkers(
  value: unknown,
  { mode, drivers }: Surroundings,
  at: FieldPath,
  problems: FieldProblems,
): Workers {
  if (value === undefined) return 1;
  const isNumber = typeof value === "number" && Number.isInteger(value);
  if (value !== "auto" && !(isNumber && value >= 1 && value <= WORKERS_MAX)) {
    problems.invalid(at, value, `must be a whole number from 1 to ${WORKERS_MAX}, or "auto"`);
    return 1;
  }
  const isSingle = value === "auto" || value === 1;
  if (!isSingle && mode === "userspace")
    problems.forbidden(at, "may only be 1 when the mode of `proxy` is 'userspace'");
  if (!isSingle && drivers.includes("pcap"))
    problems.forbidden(at, "may only be 1 when `uplink.driver` is 'pcap'");
  return value as Workers;
}

/** How many of them this is on a machine with so many cores. */
export function countWorkers(workers: Workers, { mode, drivers }: Surroundings, cores: number): number {
  if (workers !== "auto") return workers;
  if (mode === "userspace" || drivers.includes("pcap")) return 1;
  return Math.min(WORKERS_MAX, Math.max(1, Math.floor(cores / 2)));
}
