// Points in time and durations: their texts, as Go reads and writes them, and their parts.
import type { Run } from "../run.ts";
import { Duration, Fault, NS, Timestamp } from "../value.ts";

const UNITS: Readonly<Record<string, bigint>> = {
  ...{ ns: 1n, us: 1000n, µs: 1000n, μs: 1000n, ms: 1_000_000n },
  ...{ s: NS, m: 60n * NS, h: 3600n * NS },
};
const PART = /(\d+)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)|\.(\d+)(ns|us|µs|μs|ms|s|m|h)/g;

export function parseDuration(text: string): Duration {
  const [, sign, rest] = /^([+-]?)(.*)$/s.exec(text) ?? ["", "", ""];
  if (rest === "0") return new Duration(0n);
  let ns = 0n;
  let read = 0;
  for (const [part, whole = "0", tail = "", unit, only = "", other] of rest.matchAll(PART)) {
    const digits = tail + only;
    const size = UNITS[unit ?? other];
    ns +=
      BigInt(whole) * size + (digits === "" ? 0n : (BigInt(digits) * size) / 10n ** BigInt(digits.length));
    read += part.length;
  }
  if (rest === "" || read !== rest.length)
    throw new Fault("type conversion error from 'string' to 'google.protobuf.Duration'");
  return new Duration(sign === "-" ? -ns : ns);
}

const STAMP = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/;

export function parseTimestamp(text: string): Timestamp {
  const [, date, time, part = "", zone] = STAMP.exec(text) ?? [];
  const ms = date === undefined ? Number.NaN : Date.parse(`${date}T${time}${zone}`);
  if (Number.isNaN(ms) || !sameDay(date))
    throw new Fault("type conversion error from 'string' to 'google.protobuf.Timestamp'");
  return new Timestamp(BigInt(ms) * 1_000_000n + BigInt(part.slice(0, 9).padEnd(9, "0")));
}

/** Not the 30th of February. */
function sameDay(date: string): boolean {
  const day = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date);
}

export function timestampText(ns: bigint): string {
  const part = ((ns % NS) + NS) % NS;
  const text = new Date(Number((ns - part) / 1_000_000n)).toISOString().slice(0, 19);
  return `${text}${part === 0n ? "" : `.${String(part).padStart(9, "0").replace(/0+$/, "")}`}Z`;
}

/** In seconds, as CEL writes them. */
export function durationText(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const part = size % NS;
  const tail = part === 0n ? "" : `.${String(part).padStart(9, "0").replace(/0+$/, "")}`;
  return `${ns < 0n ? "-" : ""}${size / NS}${tail}s`;
}

/** The clock's face at a place: "UTC", "Europe/Berlin", "+02:00". */
function shifted({ ns }: Timestamp, zone: string): Date {
  const ms = Number(ns / 1_000_000n);
  const [, sign, hours, minutes] = /^([+-]?)(\d\d):(\d\d)$/.exec(zone) ?? [];
  if (hours !== undefined) {
    const by = (Number(hours) * 60 + Number(minutes)) * 60_000;
    return new Date(sign === "-" ? ms - by : ms + by);
  }
  if (zone === "UTC" || zone === "") return new Date(ms);
  try {
    const options = { timeZone: zone, hourCycle: "h23", dateStyle: "short", timeStyle: "medium" } as const;
    const face = new Intl.DateTimeFormat("sv-SE", options).format(new Date(ms));
    return new Date(`${face.replace(" ", "T")}.${String(((ms % 1000) + 1000) % 1000).padStart(3, "0")}Z`);
  } catch {
    throw new Fault(`unknown time zone ${zone}`);
  }
}

const DAY_MS = 86_400_000;
const GETTERS: Readonly<Record<string, (at: Date) => number>> = {
  getFullYear: (at) => at.getUTCFullYear(),
  getMonth: (at) => at.getUTCMonth(),
  getDate: (at) => at.getUTCDate(),
  getDayOfMonth: (at) => at.getUTCDate() - 1,
  getDayOfWeek: (at) => at.getUTCDay(),
  getDayOfYear: (at) => Math.floor((at.getTime() - Date.UTC(at.getUTCFullYear(), 0, 1)) / DAY_MS),
  getHours: (at) => at.getUTCHours(),
  getMinutes: (at) => at.getUTCMinutes(),
  getSeconds: (at) => at.getUTCSeconds(),
  getMilliseconds: (at) => at.getUTCMilliseconds(),
};

const PARTS: Readonly<Record<string, bigint>> = {
  ...{ getHours: 3600n * NS, getMinutes: 60n * NS, getSeconds: NS },
};

export const TIMES: Readonly<Record<string, Run>> = {
  ...Object.fromEntries(
    Object.entries(GETTERS).flatMap(([name, get]): [string, Run][] => [
      [`timestamp.${name}(): int`, (at: Timestamp) => BigInt(get(shifted(at, "UTC")))],
      [`timestamp.${name}(string): int`, (at: Timestamp, zone: string) => BigInt(get(shifted(at, zone)))],
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(PARTS).map(([name, size]): [string, Run] => [
      `duration.${name}(): int`,
      ({ ns }: Duration) => ns / size,
    ]),
  ),
  "duration.getMilliseconds(): int": ({ ns }: Duration) => ns / 1_000_000n,
};
