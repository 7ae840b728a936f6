// The control group that holds a container's programs to limits.memory: of cgroup v2, or of v1 where the machine has the
// memory controller there. Groups lie below podwire/LAB, so that their names alone say whose they are.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const ROOT = "/sys/fs/cgroup";
const OURS = "podwire";
const REMOVAL_TRIES = 20;
const AGAIN_MS = 50;

interface Hierarchy {
  readonly root: string;
  readonly isV2: boolean;
}

/** Undefined: nobody may be held to a limit here. `root`: where control groups are mounted. */
export function memoryHierarchy(root = ROOT): Hierarchy | undefined {
  const controllers = textOf(`${root}/cgroup.subtree_control`).split(/\s+/);
  if (controllers.includes("memory")) return { root, isV2: true };
  const ofV1 = `${root}/memory`;
  return existsSync(`${ofV1}/memory.limit_in_bytes`) ? { root: ofV1, isV2: false } : undefined;
}

export class MemoryGroup {
  readonly #hierarchy: Hierarchy;
  readonly #folder: string;
  readonly #lab: string;
  readonly #bytes: number;
  #killedBefore = 0;

  /** `name`: of the container, among all of the lab. */
  constructor(hierarchy: Hierarchy, lab: string, name: string, bytes: number) {
    this.#hierarchy = hierarchy;
    this.#lab = lab;
    this.#folder = `${hierarchy.root}/${OURS}/${lab}/${name}`;
    this.#bytes = bytes;
  }

  /** Before each start. Whoever writes his process id into the file of this path is held. Throws what the kernel says. */
  prepare(): string {
    const { root, isV2 } = this.#hierarchy;
    mkdirSync(this.#folder, { recursive: true });
    if (isV2) {
      for (const above of [OURS, `${OURS}/${this.#lab}`])
        writeFileSync(`${root}/${above}/cgroup.subtree_control`, "+memory");
      this.#write("memory.max", this.#bytes);
      this.#writeIfThere("memory.swap.max", 0);
      this.#writeIfThere("memory.oom.group", 1); // all of the container ends, as with kubelet
    } else {
      // The one that counts swap may not be below the other.
      this.#writeIfThere("memory.memsw.limit_in_bytes", -1);
      this.#write("memory.limit_in_bytes", this.#bytes);
      this.#writeIfThere("memory.memsw.limit_in_bytes", this.#bytes);
    }
    this.#killedBefore = this.#kills();
    return `${this.#folder}/cgroup.procs`;
  }

  /** Since it was prepared last. */
  get hasKilled(): boolean {
    return this.#kills() > this.#killedBefore;
  }

  remove(): void {
    remove(this.#folder);
  }

  #kills(): number {
    const file = this.#hierarchy.isV2 ? "memory.events" : "memory.oom_control";
    return killsOf(textOf(`${this.#folder}/${file}`));
  }

  #write(file: string, value: number): void {
    writeFileSync(`${this.#folder}/${file}`, String(value));
  }

  #writeIfThere(file: string, value: number): void {
    try {
      this.#write(file, value);
    } catch {
      // swap is not counted here, or the kernel is older
    }
  }
}

/** Programs that the kernel has ended for want of memory, as both versions count them. */
export function killsOf(text: string): number {
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** Those of a lab, when its programs are gone; the kernel lets go of a group a moment later. */
export async function removeMemoryGroups(lab: string): Promise<void> {
  const root = memoryHierarchy()?.root;
  if (root === undefined) return;
  const folder = `${root}/${OURS}/${lab}`;
  for (let i = 0; i < REMOVAL_TRIES && existsSync(folder); i++) {
    if (i > 0) await sleep(AGAIN_MS);
    for (const name of readdirSync(folder, { withFileTypes: true }))
      if (name.isDirectory()) remove(`${folder}/${name.name}`);
    remove(folder);
  }
  remove(`${root}/${OURS}`); // where no other lab has one
}

function remove(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // somebody is in it
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
