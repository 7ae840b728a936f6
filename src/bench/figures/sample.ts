// One measured figure, and what is derived from many of them. Pure: tested without a kernel.
import type { Path, SubjectName, Target } from "../subject/subject.ts";

export type Measure = "tcp" | "udp" | "pps" | "udp-socket" | "burst" | "loss-free" | "rr" | "crr";

export interface Sample {
  measure: Measure;
  path: Path;
  target: Target;
  /** What distinguishes figures of one measure: direction, number of flows, who reads. */
  variant: string;
  subject: SubjectName;
  value: number;
  unit: "Gbit/s" | "kpps" | "1/s";
  /** Every round's value, in the order measured; `value` is their median. */
  rounds: number[];
  retransmitPercent?: number;
  stalls?: number; // intervals in which nothing arrived
  lossPercent?: number;
  /** What the device took in, where a socket's datagrams are counted. */
  deviceKpps?: number;
  p50Us?: number;
  p99Us?: number;
  /** How late this machine woke a thread just before. */
  wakeP50Us?: number;
  wakeP99Us?: number;
  /** Processor time of all that carries the packets, µs for each of them (or each request), ms for 10⁹ bytes. */
  cpuUsEach?: number;
  cpuMsPerGb?: number;
  /** What else the machine did meanwhile: cores that other programs took, time that the hypervisor kept, load average. */
  othersCores?: number;
  stealPercent?: number;
  load?: number;
}

export interface Row {
  measure: Measure;
  path: Path;
  target: Target;
  variant: string;
  unit: string;
  bySubject: Partial<Record<SubjectName, Sample>>;
  /** What podwire does of what each of the others does. */
  ratioTo: Partial<Record<SubjectName, number>>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * How `a` stands to `b`: the median of the ratios of rounds that were measured one after the other. Minutes apart, a
 * shared machine differs from itself by more than two versions do.
 */
export function ratioOf(a: Sample, b: Sample | undefined): number | undefined {
  const ratios = roundRatios(a, b);
  return ratios.length === 0 ? undefined : median(ratios);
}

/** Round by round; where rounds do not match, one of the values; none where `b` did nothing. */
export function roundRatios(a: Sample, b: Sample | undefined): number[] {
  if (b === undefined || b.value <= 0) return [];
  const isPaired = a.rounds.length === b.rounds.length && b.rounds.every((value) => value > 0);
  return isPaired ? a.rounds.map((value, i) => value / b.rounds[i]) : [a.value / b.value];
}

/** The order of a round: turned by one each time, so that nobody always comes first. */
export function turned<T>(subjects: readonly T[], round: number): T[] {
  const by = subjects.length === 0 ? 0 : round % subjects.length;
  return [...subjects.slice(by), ...subjects.slice(0, by)];
}

/** Brings samples of one thing by different subjects together, in the order in which they first appear. */
export function toRows(samples: readonly Sample[]): Row[] {
  const rows = new Map<string, Row>();
  for (const sample of samples) {
    const { measure, path, target, variant, unit } = sample;
    const key = [measure, path, target, variant].join("|");
    let row = rows.get(key);
    if (row === undefined)
      rows.set(key, (row = { measure, path, target, variant, unit, bySubject: {}, ratioTo: {} }));
    row.bySubject[sample.subject] = sample;
  }
  for (const row of rows.values()) {
    const { podwire, ...others } = row.bySubject;
    if (podwire === undefined) continue;
    for (const other of Object.values(others)) {
      const ratio = ratioOf(podwire, other);
      if (ratio !== undefined) row.ratioTo[other.subject] = ratio;
    }
  }
  return [...rows.values()];
}

/** The least that podwire promises, as fractions of what is measured beside it in the same run. */
const FLOORS = {
  sameNodeToKernel: 0.8,
  overlayToKernel: 0.5,
  ppsToCopyLoop: 0.7,
  retransmitPercent: 0.1,
};

/** What is measured to be seen, not promised: two senders leave no core to podwire where there are two. */
const NOT_PROMISED: readonly string[] = ["cold", "2-senders"];

/** One sentence for every promise that these rows break. */
export function brokenFloors(rows: readonly Row[]): string[] {
  const broken: string[] = [];
  for (const row of rows) {
    if (NOT_PROMISED.includes(row.variant)) continue;
    const what = `${row.measure} ${row.path} ${row.target} ${row.variant}`;
    const below = (ratio: number | undefined, floor: number, peer: string) => {
      if (ratio !== undefined && ratio < floor)
        broken.push(`${what}: ${ratio.toFixed(2)} of ${peer}, promised ${floor}`);
    };
    if (row.measure === "tcp") {
      below(
        row.ratioTo.kernel,
        row.path === "overlay" ? FLOORS.overlayToKernel : FLOORS.sameNodeToKernel,
        "kernel",
      );
      const sample = row.bySubject.podwire;
      if ((sample?.stalls ?? 0) > 0) broken.push(`${what}: ${sample?.stalls} intervals without a byte`);
      if ((sample?.retransmitPercent ?? 0) >= FLOORS.retransmitPercent)
        broken.push(`${what}: ${sample?.retransmitPercent?.toFixed(3)} % retransmitted`);
    }
    if (row.measure === "pps" && row.path === "same-node")
      below(row.ratioTo["c-loop"], FLOORS.ppsToCopyLoop, "the C copy loop");
  }
  return broken;
}
