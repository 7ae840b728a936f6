// Checks of the profiles that confine a program: AppArmor, SELinux, seccomp; by field, and by the annotations of before.
import {
  type Check,
  containersOf,
  type Finding,
  goQuoted,
  named,
  type PodShape,
  plural,
  quoted,
  settersText,
  sortedSet,
} from "./finding.ts";

export const APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_POD_ANNOTATION = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_ANNOTATION = "container.seccomp.security.alpha.kubernetes.io/";

const isConfined = (type: string | undefined): boolean => type === "RuntimeDefault" || type === "Localhost";

type ProfileField = "appArmorProfile" | "seccompProfile";

/** Who sets this profile to a type that does not confine, and to which ones. */
function unconfined(pod: PodShape, field: ProfileField) {
  const own = pod.spec.securityContext?.[field];
  const isPod = own !== undefined && !isConfined(own.type);
  const bad = containersOf(pod).flatMap(({ name, securityContext }) => {
    const profile = securityContext?.[field];
    return profile === undefined || isConfined(profile.type) ? [] : [{ name, type: profile.type ?? "" }];
  });
  const types = sortedSet([...(isPod ? [own.type ?? ""] : []), ...bad.map(({ type }) => type)]);
  const setters = settersText(
    isPod,
    bad.map(({ name }) => name),
  );
  return { setters, types };
}

export function confinedByAppArmor(pod: PodShape): Finding | undefined {
  const { setters, types } = unconfined(pod, "appArmorProfile");
  const isFine = (value: string): boolean =>
    value === "" || value === "runtime/default" || value.startsWith("localhost/");
  const annotations = Object.entries(pod.metadata?.annotations ?? {})
    .filter(([key, value]) => key.startsWith(APPARMOR_ANNOTATION) && !isFine(value))
    .map(([key, value]) => `${key}=${goQuoted(value)}`);
  const who = [
    ...(setters === "" ? [] : [setters]),
    ...(annotations.length === 0 ? [] : [plural("annotation", annotations.length)]),
  ];
  if (who.length === 0) return undefined;
  const values = [...types, ...sortedSet(annotations)];
  return {
    reason: plural("forbidden AppArmor profile", values.length),
    detail: `${who.join(" and ")} must not set AppArmor profile type to ${quoted(values)}`,
  };
}

/** `types`: those that may be set. */
export function ordinarySeLinux(types: readonly string[]): Check {
  return (pod) => {
    const own = pod.spec.securityContext?.seLinuxOptions;
    const given = [
      { name: "", options: own },
      ...containersOf(pod).map(({ name, securityContext }) => ({
        name,
        options: securityContext?.seLinuxOptions,
      })),
    ].map(({ name, options: { type = "", user = "", role = "" } = {} }) => {
      const badType = type === "" || types.includes(type) ? [] : [type];
      return { name, badType, user: user !== "", role: role !== "" };
    });
    const bad = given.map(({ badType, user, role }) => badType.length > 0 || user || role);
    const names = given.filter((_, i) => i > 0 && bad[i]).map(({ name }) => name);
    const who = settersText(bad[0], names);
    if (who === "") return undefined;
    const badTypes = sortedSet(given.flatMap(({ badType }) => badType));
    const what = [
      ...(badTypes.length === 0 ? [] : [named("type", badTypes)]),
      ...(given.some(({ user }) => user) ? ["user may not be set"] : []),
      ...(given.some(({ role }) => role) ? ["role may not be set"] : []),
    ];
    const detail = `${who} set forbidden securityContext.seLinuxOptions: ${what.join("; ")}`;
    return { reason: "seLinuxOptions", detail };
  };
}

/** Before 1.19 seccomp was asked for by annotations. */
export function seccompAnnotations(pod: PodShape): Finding | undefined {
  const annotations = pod.metadata?.annotations ?? {};
  const isFine = (value: string): boolean =>
    value === "runtime/default" || value === "docker/default" || value.startsWith("localhost/");
  const keys = [
    SECCOMP_POD_ANNOTATION,
    ...containersOf(pod).map(({ name }) => `${SECCOMP_ANNOTATION}${name}`),
  ];
  const bad = sortedSet(
    keys
      .filter((key) => Object.hasOwn(annotations, key) && !isFine(annotations[key]))
      .map((key) => `${key}=${goQuoted(annotations[key])}`),
  );
  if (bad.length === 0) return undefined;
  return {
    reason: "seccompProfile",
    detail: `forbidden ${plural("annotation", bad.length)} ${bad.join(", ")}`,
  };
}

/** None, or one that confines. */
export function seccompNotOff(pod: PodShape): Finding | undefined {
  const { setters, types } = unconfined(pod, "seccompProfile");
  if (setters === "") return undefined;
  const what = `must not set securityContext.seccompProfile.type to ${quoted(types)}`;
  return { reason: "seccompProfile", detail: `${setters} ${what}` };
}

/** One that confines, the pod's or each container's own. */
export function seccompOn(pod: PodShape): Finding | undefined {
  const off = seccompNotOff(pod);
  if (off !== undefined || isConfined(pod.spec.securityContext?.seccompProfile?.type)) return off;
  const without = containersOf(pod).filter((each) => each.securityContext?.seccompProfile === undefined);
  if (without.length === 0) return undefined;
  const who = named(
    "container",
    without.map(({ name }) => name),
  );
  const what = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"';
  return { reason: "seccompProfile", detail: `pod or ${who} ${what}` };
}
