/**
 * Keeps idle cores awake while the data plane is woken often. A core that a hypervisor's guest gives back is running
 * again up to milliseconds later, and each packet wakes threads several times. Asked of the kernel as latency of the CPU
 * (Linux Documentation/power/pm_qos_interface.rst): idle cores then poll. The request stands while the file is open, so
 * it cannot outlive the agent.
 */

import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";

const LATENCY_FILE = "/dev/cpu_dma_latency";
const DRIVER_FILE = "/sys/devices/system/cpu/cpuidle/current_driver";
/** Turns of the data plane in a second from which it counts as loaded. */
const BUSY_TURNS_PER_SEC = 1000;
/** The request is kept so long after the load, ms. */
const LINGER_MS = 1000;

export class CpuLatency {
  /** µs; negative: never asked. */
  readonly limitUs: number;
  readonly file: string;
  /** Of the open request; -1: none. */
  fd = -1;
  /** Why the last request failed. It is not tried again. */
  problem = "";
  lastBusyMs = 0;

  /** limitUs: the longest that a core may take to run again, µs; negative: do not ask. */
  constructor(limitUs: number, file: string = LATENCY_FILE) {
    this.limitUs = limitUs;
    this.file = file;
  }
}

/** What to ask for where nothing is configured, µs: 0 in a guest whose idle cores stop, else nothing (-1). */
export function defaultCpuLatencyUs(driverFile: string = DRIVER_FILE): number {
  try {
    return readFileSync(driverFile, "utf8").trim() === "haltpoll" ? 0 : -1;
  } catch {
    return -1; // no cpuidle in this kernel
  }
}

/** Asks or releases, by the turns of the data plane in a second. */
export function follow(c: CpuLatency, turnsPerSec: number, nowMs: number): void {
  if (turnsPerSec >= BUSY_TURNS_PER_SEC) {
    c.lastBusyMs = nowMs;
    if (c.fd < 0 && c.limitUs >= 0 && c.problem === "") request(c);
  } else if (nowMs - c.lastBusyMs >= LINGER_MS) {
    release(c);
  }
}

function request(c: CpuLatency): void {
  const limit = new Int32Array([c.limitUs]); // native byte order
  try {
    c.fd = openSync(c.file, constants.O_WRONLY); // "w" would make a file where there is no such device
    writeSync(c.fd, new Uint8Array(limit.buffer));
  } catch (error) {
    release(c);
    c.problem = (error as Error).message;
  }
}

/** Idle cores may sleep again. */
export function release(c: CpuLatency): void {
  if (c.fd < 0) return;
  closeSync(c.fd);
  c.fd = -1;
}
