// What is said of containers whose image nobody here knows, once a call: podwire/echo answers for them.

import type { FieldNote } from "../../../kube/fields/fields.ts";
import type { KindInfo } from "../../../kube/kinds.ts";
import type { Container, KubeObject, PodSpec } from "../../../kube/objects.ts";
import type { ImageRule } from "./built-in.ts";
import { imageProgram } from "./image-program.ts";

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

const TEXT =
  "this image is not run: podwire/echo stands in on its containerPorts: use command, or images of lab.yaml (docs/lab.md)";

/** To be said beside what else there is to say of the objects. */
export function imageNotes<T extends Made>(made: readonly T[], rules: readonly ImageRule[]) {
  return made.flatMap(({ object, info }) => {
    const notes = imageNotesOf(object, rules);
    return notes.length === 0 ? [] : [{ object, info, notes }];
  });
}

export function imageNotesOf(object: KubeObject, rules: readonly ImageRule[]): FieldNote[] {
  const { spec } = object as WithPods;
  const places: [string, PodSpec | undefined][] = [
    ["spec", spec],
    ["spec.template.spec", spec?.template?.spec],
    ["spec.jobTemplate.spec.template.spec", spec?.jobTemplate?.spec?.template?.spec],
  ];
  return places.flatMap(([at, pods]) => {
    const isStood = (container: Container): boolean => imageProgram(container, rules).use === "stand-in";
    const some = Array.isArray(pods?.containers) && pods.containers.some(isStood);
    return some ? [{ field: `${at}.containers[*].image`, text: TEXT, scope: "lab" as const }] : [];
  });
}
