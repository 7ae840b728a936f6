// What the Nodes of a lab say of their machine, read where a kubelet reads it. All nodes of a lab are this one machine,
// and each has the whole of it: nothing is reserved.
import { readdirSync, readFileSync, statfsSync } from "node:fs";
import { availableParallelism, release, totalmem } from "node:os";
import type { NodeCondition, NodeSystemInfo } from "kubernetes-types/core/v1.js";
import { VERSION } from "../../apiserver/discovery.ts";
import { goArchitecture } from "../../kube/kubelet-labels.ts";

/** Where pods' volumes and logs are: what kubelet calls nodefs. */
const FILES = "/run";
const HUGE_PAGES = "/sys/kernel/mm/hugepages";
const PODS_MAX = "110"; // kubelet's
/** kubelet's defaults (evictionHard). */
const MEMORY_LEAST_KIB = 100 * 1024;
const FILES_LEAST = 0.1; // of all bytes
const INODES_LEAST = 0.05;

/** Of one node; resources of containers that ask for what their node has (downward API). Quantities. */
export const CAPACITY = {
  cpu: String(availableParallelism()),
  memory: `${Math.floor(totalmem() / 1024)}Ki`,
  ephemeralStorage: `${filesKiB()}Ki`,
} as const;

function filesKiB(): number {
  const { blocks, bsize } = statfsSync(FILES);
  return Math.floor((blocks * bsize) / 1024);
}

/** As a Node's status has it, huge pages of every size too. */
export function nodeCapacity(): Record<string, string> {
  const { cpu, memory, ephemeralStorage } = CAPACITY;
  return { cpu, "ephemeral-storage": ephemeralStorage, ...hugePages(), memory, pods: PODS_MAX };
}

function hugePages(): Record<string, string> {
  const sizes = folderOf(HUGE_PAGES).flatMap((name) => {
    const kib = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]);
    return Number.isNaN(kib) ? [] : [{ name, kib }];
  });
  return Object.fromEntries(
    sizes.map(({ name, kib }) => {
      const pages = Number(textOf(`${HUGE_PAGES}/${name}/nr_hugepages`)) || 0;
      return [`hugepages-${quantity(kib)}`, pages === 0 ? "0" : quantity(pages * kib)];
    }),
  );
}

/** In the largest binary unit that it is a whole number of. */
function quantity(kib: number): string {
  const units = ["Ki", "Mi", "Gi"];
  let [value, unit] = [kib, 0];
  for (; value % 1024 === 0 && unit + 1 < units.length; unit++) value /= 1024;
  return `${value}${units[unit]}`;
}

/** Read once: it stays as long as the machine runs. `podwire`: the version that runs the pods. */
export function systemInfo(podwire: string): NodeSystemInfo {
  const machineID = textOf("/etc/machine-id") || textOf("/var/lib/dbus/machine-id");
  return {
    architecture: goArchitecture(process.arch),
    bootID: textOf("/proc/sys/kernel/random/boot_id"),
    containerRuntimeVersion: `podwire://${podwire}`,
    kernelVersion: release(),
    kubeProxyVersion: "", // kubelets of today leave it empty, too
    kubeletVersion: VERSION.gitVersion,
    machineID,
    operatingSystem: "linux",
    osImage: osName(textOf("/etc/os-release") || textOf("/usr/lib/os-release")),
    systemUUID: textOf("/sys/class/dmi/id/product_uuid") || machineID,
  };
}

export function osName(osRelease: string): string {
  const value = /^PRETTY_NAME=(.*)$/m.exec(osRelease)?.[1] ?? "";
  return value.replace(/^(["'])(.*)\1$/, "$2") || "Linux";
}

/** What is short on this machine, by kubelet's own limits. Nobody is evicted. */
export interface Pressure {
  readonly memory: boolean;
  readonly disk: boolean;
  readonly pids: boolean;
}

export const NO_PRESSURE: Pressure = { memory: false, disk: false, pids: false };

export function readPressure(): Pressure {
  const { blocks, bavail, files, ffree } = statfsSync(FILES);
  return {
    memory: isMemoryShort(textOf("/proc/meminfo")),
    disk: bavail < blocks * FILES_LEAST || (files > 0 && ffree < files * INODES_LEAST),
    pids: false, // kubelet has no limit of its own
  };
}

export function isMemoryShort(meminfo: string): boolean {
  const kib = /^MemAvailable: +(\d+) kB$/m.exec(meminfo)?.[1];
  return kib !== undefined && Number(kib) < MEMORY_LEAST_KIB;
}

interface Words {
  readonly type: string;
  readonly key: keyof Pressure;
  /** Reason and message where there is no pressure, and where there is. */
  readonly no: readonly [string, string];
  readonly yes: readonly [string, string];
}

const PRESSURES: readonly Words[] = [
  {
    ...{ type: "MemoryPressure", key: "memory" },
    no: ["KubeletHasSufficientMemory", "kubelet has sufficient memory available"],
    yes: ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available"],
  },
  {
    ...{ type: "DiskPressure", key: "disk" },
    no: ["KubeletHasNoDiskPressure", "kubelet has no disk pressure"],
    yes: ["KubeletHasDiskPressure", "kubelet has disk pressure"],
  },
  {
    ...{ type: "PIDPressure", key: "pids" },
    no: ["KubeletHasSufficientPID", "kubelet has sufficient PID available"],
    yes: ["KubeletHasInsufficientPID", "kubelet has insufficient PID available"],
  },
];

/** In kubelet's words, without times. */
export function pressureConditions(
  pressure: Pressure,
): Pick<NodeCondition, "type" | "status" | "reason" | "message">[] {
  return PRESSURES.map(({ type, key, no, yes }) => {
    const [reason, message] = pressure[key] ? yes : no;
    return { type, status: pressure[key] ? "True" : "False", reason, message };
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function folderOf(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}
