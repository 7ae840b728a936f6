// What is said of containers whose image nobody here knows, once a call: podwire/echo answers for them.

import type { FieldNote } from "../../../kube/fields/fields.ts";
import type { KindInfo } from "../../../kube/kinds.ts";
import type { Container, KubeObject, PodSpec } from "../../../kube/objects.ts";
import { isSidecar } from "../pod-status.ts";
import type { ImageRule } from "./built-in.ts";
import { imageProgram, lacksCommand, type Role } from "./image-program.ts";

interface Made {
  readonly object: KubeObject;
  readonly info: KindInfo;
}

interface WithPods {
  spec?: PodSpec & {
    template?: { spec?: PodSpec };
    jobTemplate?: { spec?: { template?: { spec?: PodSpec } } };
  };
}

const HELP = "use command, or images of lab.yaml (docs/lab.md)";
/** What is said of a container, by what runs for it. */
const TEXTS = {
  "stand-in": `this image is not run: podwire/echo stands in on its ports: ${HELP}`,
  done: `this image is not run: what it is to do and end counts as done: ${HELP}`,
  none: `its command is not on this machine, so nothing runs: ${HELP}`,
};

/** To be said beside what else there is to say of the objects. */
export function imageNotes<T extends Made>(made: readonly T[], rules: readonly ImageRule[]) {
  return made.flatMap(({ object, info }) => {
    const notes = imageNotesOf(object, rules);
    return notes.length === 0 ? [] : [{ object, info, notes }];
  });
}

export function imageNotesOf(object: KubeObject, rules: readonly ImageRule[]): FieldNote[] {
  const { spec } = object as WithPods;
  const ofJob: Role = object.kind === "Job" ? "job" : "stays";
  const places: [string, PodSpec | undefined, Role][] = [
    ["spec", spec, "stays"],
    ["spec.template.spec", spec?.template?.spec, ofJob],
    ["spec.jobTemplate.spec.template.spec", spec?.jobTemplate?.spec?.template?.spec, "job"],
  ];
  return places.flatMap(([at, pods, role]) => [
    ...notesOf(`${at}.initContainers`, pods?.initContainers, "init", rules),
    ...notesOf(`${at}.containers`, pods?.containers, role, rules),
  ]);
}

function notesOf(
  at: string,
  containers: readonly Container[] | undefined,
  role: Role,
  rules: readonly ImageRule[],
): FieldNote[] {
  if (!Array.isArray(containers)) return [];
  const said = containers.flatMap((container: Container): FieldNote[] => {
    const { use } = imageProgram(container, rules, role === "init" && isSidecar(container) ? "stays" : role);
    if (use !== "stand-in" && use !== "done" && !(use === "none" && lacksCommand(container))) return [];
    return [{ field: `${at}[*].image`, text: TEXTS[use], scope: "lab" }];
  });
  return said.filter(({ text }, i) => said.findIndex((other) => other.text === text) === i);
}
