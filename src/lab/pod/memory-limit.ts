// limits.memory of a container: held by a control group, where the machine has what it takes, else told.
import { createHash } from "node:crypto";
import type { Container } from "../../kube/objects.ts";
import { nanosOf } from "../../kube/validate/resources.ts";
import { MemoryGroup, memoryHierarchy } from "../process/memory-group.ts";
import type { ContainerHost } from "./container-setup.ts";

const NAME_MAX = 255; // of a folder
const NANOS = 1_000_000_000n;

/** Undefined: it has no limit, or nobody can hold it to one here, which its events say. */
export function memoryGroupOf(host: ContainerHost, container: Container): MemoryGroup | undefined {
  const bytes = memoryLimit(container);
  if (bytes === undefined) return undefined;
  const hierarchy = memoryHierarchy();
  if (hierarchy === undefined) {
    host.events.unlimited(host.pod(), container);
    return undefined;
  }
  const { namespace = "default", name } = host.pod().metadata;
  return new MemoryGroup(hierarchy, host.lab, groupName(`${namespace}_${name}_${container.name}`), bytes);
}

/** Bytes. */
function memoryLimit({ resources }: Container): number | undefined {
  const text = resources?.limits?.memory;
  return text === undefined ? undefined : Number(nanosOf(String(text)) / NANOS);
}

function groupName(whole: string): string {
  if (whole.length <= NAME_MAX) return whole;
  const hash = createHash("sha256").update(whole).digest("hex").slice(0, 16);
  return `${whole.slice(0, NAME_MAX - hash.length - 1)}_${hash}`;
}
