// A pod as admission sees it: an API server has read AppArmor's annotations into the fields by then (since 1.30), where a
// container has no profile of its own. What is stored here stays as it was given.
import type { Container, Pod } from "../objects.ts";
import { APPARMOR_ANNOTATION } from "./profiles.ts";

type Profile = NonNullable<NonNullable<Container["securityContext"]>["appArmorProfile"]>;

const LOCALHOST = "localhost/";

export function seenPod(pod: Pod): Pod {
  const annotations = pod.metadata.annotations ?? {};
  const isAsked = Object.keys(annotations).some((key) => key.startsWith(APPARMOR_ANNOTATION));
  if (!isAsked || pod.spec.os?.name === "windows") return pod;
  const own = pod.spec.securityContext?.appArmorProfile;
  const seen = <T extends Pick<Container, "name" | "securityContext">>(container: T): T => {
    const profile = profileOf(annotations[`${APPARMOR_ANNOTATION}${container.name}`]);
    const isGiven = container.securityContext?.appArmorProfile !== undefined;
    if (profile === undefined || isGiven || isSame(profile, own)) return container;
    return { ...container, securityContext: { ...container.securityContext, appArmorProfile: profile } };
  };
  const { initContainers, ephemeralContainers } = pod.spec;
  const spec: Pod["spec"] = {
    ...pod.spec,
    containers: pod.spec.containers.map(seen),
    ...(initContainers === undefined ? {} : { initContainers: initContainers.map(seen) }),
    ...(ephemeralContainers === undefined ? {} : { ephemeralContainers: ephemeralContainers.map(seen) }),
  };
  return { ...pod, spec };
}

function profileOf(annotation = ""): Profile | undefined {
  if (annotation === "unconfined") return { type: "Unconfined" };
  if (annotation === "runtime/default") return { type: "RuntimeDefault" };
  const name = annotation.startsWith(LOCALHOST) ? annotation.slice(LOCALHOST.length) : "";
  return name === "" || name.trim() !== name ? undefined : { type: "Localhost", localhostProfile: name };
}

function isSame(a: Profile, b: Profile | undefined): boolean {
  return a.type === b?.type && a.localhostProfile === b.localhostProfile;
}
