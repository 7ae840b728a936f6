// What a run was made on: without it a figure says nothing.
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

export interface Machine {
  cpu: string;
  cores: number;
  memoryMb: number;
  kernel: string;
  distribution: string;
  node: string;
  /** A virtual machine, by the processor's own word. */
  isVirtual: boolean;
  /** What idle cores do; with haltpoll they are the hypervisor's. */
  idleDriver: string;
  /** Of the whole run: load average as it began, cores that other programs took, time that the hypervisor kept. */
  load: number;
  othersCores: number;
  stealPercent: number;
}

const read = (file: string): string => {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return ""; // another kernel, another distribution
  }
};

export function describeMachine(meanwhile: Pick<Machine, "load" | "othersCores" | "stealPercent">): Machine {
  const { load, othersCores, stealPercent } = meanwhile;
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(read("/etc/os-release"))?.[1] ?? "unknown",
    node: process.version,
    isVirtual: /^flags\s*:.*\bhypervisor\b/m.test(read("/proc/cpuinfo")),
    idleDriver: read("/sys/devices/system/cpu/cpuidle/current_driver") || "none",
    ...{ load, othersCores, stealPercent },
  };
}

/** One line. */
export function formatMachine(m: Machine): string {
  const kind = m.isVirtual ? "virtual machine" : "machine";
  const what = `${kind}, ${m.cores} cores (${m.cpu}), ${Math.round(m.memoryMb / 1024)} GiB, ${m.distribution}`;
  const programs = `Linux ${m.kernel}, idle driver ${m.idleDriver}, Node.js ${m.node}`;
  const [load, others, steal] = [m.load.toFixed(1), m.othersCores.toFixed(2), m.stealPercent.toFixed(1)];
  const meanwhile = `load ${load}, others ${others} cores, steal ${steal} %`;
  return `${what}; ${programs}; ${meanwhile}`;
}
