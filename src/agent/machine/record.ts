/**
 * What agents have changed of a machine, beside the socket: written before it is done, so that whoever takes it back
 * knows what there was, however the agent ended. It lies under /run as a rule, and is gone with what it tells of after
 * a reboot.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { PodwireError } from "../../base/errors.ts";
import type { IpFamily } from "../../base/ip.ts";
import { unitedRanges } from "./sysctls.ts";

export interface MachineRecord {
  /** The device that the agent made for the node's own programs; "": it was there. */
  host: string;
  /** The device that carries the node's address. */
  uplink: string;
  /** Added to net.ipv4.ip_local_reserved_ports. */
  reserved: string;
  /** rp_filter of devices as it was, where the strict check of all devices was made each one's own. */
  rpFilter: Record<string, string>;
  /** Where the rule for the local table was moved to, by family; 0: it was not. */
  local: Record<IpFamily, number>;
}

const NOTHING: MachineRecord = { host: "", uplink: "", reserved: "", rpFilter: {}, local: { 4: 0, 6: 0 } };

function recordFile(socket: string): string {
  return `${socket.replace(/\.sock$/, "")}.machine.json`;
}

const DEVICE = /^[^\s/]{1,15}$/;
const RANGES = /^\d+(-\d+)?(,\d+(-\d+)?)*$/;

const isPriority = (value: unknown): boolean =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 100;

/** undefined: the text is no record. */
export function recordOf(text: string): MachineRecord | undefined {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof read !== "object" || read === null || Array.isArray(read)) return undefined;
  const record = { ...NOTHING, ...(read as Partial<Record<keyof MachineRecord, unknown>>) };
  const { host, uplink, reserved, rpFilter, local } = record;
  const is = (value: unknown, what: RegExp): boolean => typeof value === "string" && what.test(value);
  const areObjects = [rpFilter, local].every((value) => typeof value === "object" && value !== null);
  const isRecord =
    [host, uplink].every((name) => name === "" || is(name, DEVICE)) &&
    (reserved === "" || is(reserved, RANGES)) &&
    areObjects &&
    Object.entries(rpFilter as object).every(([name, value]) => is(name, DEVICE) && is(value, /^\d$/)) &&
    ([4, 6] as const).every((family) => isPriority((local as Record<number, unknown>)[family]));
  return isRecord ? (record as MachineRecord) : undefined;
}

function textOf(socket: string): string | undefined {
  try {
    return readFileSync(recordFile(socket), "utf8");
  } catch {
    return undefined;
  }
}

/** What is not readable counts as not there: nothing depends on it but taking back. */
export function readRecord(socket: string): MachineRecord {
  return recordOf(textOf(socket) ?? "") ?? { ...NOTHING };
}

/** For taking back: what is there has to be readable. */
export function recordToTakeBack(socket: string): MachineRecord {
  const text = textOf(socket);
  const record = text === undefined ? { ...NOTHING } : recordOf(text);
  if (record !== undefined) return record;
  const sysctls = "net.ipv4.conf.*.rp_filter and net.ipv4.ip_local_reserved_ports";
  const what = `${recordFile(socket)} does not tell what an agent has changed: it is damaged`;
  const message = `${what}: set ${sysctls} by hand, remove the file, and clean up again`;
  throw new PodwireError(message, { code: "CLEANUP_RECORD" });
}

/** What is about to be changed. */
interface Changing {
  readonly uplink: string;
  /** "": it is there. */
  readonly host: string;
  readonly reserved: string;
  readonly rpFilter: Record<string, string>;
}

/** What an agent before this one has changed, and this one is about to: what was there before both is kept. */
export function recordWith(
  record: MachineRecord,
  { uplink, host, reserved, rpFilter }: Changing,
): MachineRecord {
  return {
    ...record,
    uplink,
    host: host || record.host,
    reserved: unitedRanges(record.reserved, reserved),
    rpFilter: { ...rpFilter, ...record.rpFilter },
  };
}

export function writeRecord(socket: string, record: MachineRecord): void {
  const file = recordFile(socket);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function removeRecord(socket: string): void {
  rmSync(recordFile(socket), { force: true });
}
