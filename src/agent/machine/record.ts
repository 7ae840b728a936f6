/**
 * What agents have changed of a machine, beside the socket: written before it is done, so that whoever takes it back
 * knows what there was, however the agent ended. It lies under /run as a rule, and is gone with what it tells of after
 * a reboot.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export interface MachineRecord {
  /** The device that the agent made for the node's own programs; "": it was there. */
  host: string;
  /** The device that carries the node's address. */
  uplink: string;
  /** Added to net.ipv4.ip_local_reserved_ports. */
  reserved: string;
  /** rp_filter of devices as it was, where the strict check of all devices was made each one's own. */
  rpFilter: Record<string, string>;
}

const NOTHING: MachineRecord = { host: "", uplink: "", reserved: "", rpFilter: {} };

function recordFile(socket: string): string {
  return `${socket.replace(/\.sock$/, "")}.machine.json`;
}

/** What is not readable counts as not there: nothing depends on it but taking back. */
export function readRecord(socket: string): MachineRecord {
  try {
    return {
      ...NOTHING,
      ...(JSON.parse(readFileSync(recordFile(socket), "utf8")) as Partial<MachineRecord>),
    };
  } catch {
    return { ...NOTHING };
  }
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
