// The checks of level restricted that go beyond baseline: what a hardened pod has to ask for.
import type { PodSpec } from "../objects.ts";
import {
  containersOf,
  type Finding,
  named,
  type PodShape,
  quoted,
  settersText,
  sortedSet,
} from "./finding.ts";

export function noPrivilegeEscalation(pod: PodShape): Finding | undefined {
  const bad = containersOf(pod).filter(
    ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false,
  );
  if (bad.length === 0) return undefined;
  const who = named(
    "container",
    bad.map(({ name }) => name),
  );
  return {
    reason: "allowPrivilegeEscalation != false",
    detail: `${who} must set securityContext.allowPrivilegeEscalation=false`,
  };
}

export function dropsCapabilities(pod: PodShape): Finding | undefined {
  const all = containersOf(pod).map(({ name, securityContext }) => ({
    name,
    drops: securityContext?.capabilities?.drop?.includes("ALL") === true,
    more: (securityContext?.capabilities?.add ?? []).filter((each) => each !== "NET_BIND_SERVICE"),
  }));
  const keeping = all.filter(({ drops }) => !drops).map(({ name }) => name);
  const adding = all.filter(({ more }) => more.length > 0);
  const details: string[] = [];
  if (keeping.length > 0) {
    details.push(`${named("container", keeping)} must set securityContext.capabilities.drop=["ALL"]`);
  }
  if (adding.length > 0) {
    const who = named(
      "container",
      adding.map(({ name }) => name),
    );
    const what = quoted(sortedSet(adding.flatMap(({ more }) => more)));
    details.push(`${who} must not include ${what} in securityContext.capabilities.add`);
  }
  return details.length === 0
    ? undefined
    : { reason: "unrestricted capabilities", detail: details.join("; ") };
}

type Volume = NonNullable<PodSpec["volumes"]>[number];

const FREE_VOLUMES = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
];
/** In the order in which one that has several is named. */
const NAMED_VOLUMES = [
  "hostPath",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "gitRepo",
  "nfs",
  "iscsi",
  "glusterfs",
  "rbd",
  "flexVolume",
  "cinder",
  "cephfs",
  "flocker",
  "fc",
  "azureFile",
  "vsphereVolume",
  "quobyte",
  "azureDisk",
  "photonPersistentDisk",
  "portworxVolume",
  "scaleIO",
  "storageos",
];

export function ordinaryVolumes({ spec }: PodShape): Finding | undefined {
  const isSet = (volume: Volume, source: string): boolean =>
    (volume as unknown as Record<string, unknown>)[source] !== undefined;
  const bad = (spec.volumes ?? []).filter((volume) => !FREE_VOLUMES.some((source) => isSet(volume, source)));
  if (bad.length === 0) return undefined;
  const types = sortedSet(
    bad.map((volume) => NAMED_VOLUMES.find((source) => isSet(volume, source)) ?? "unknown"),
  );
  const who = named(
    "volume",
    bad.map(({ name }) => name),
  );
  const uses = bad.length === 1 ? "uses" : "use";
  return {
    reason: "restricted volume types",
    detail: `${who} ${uses} ${named("restricted volume type", types)}`,
  };
}

export function runsAsNonRoot(pod: PodShape): Finding | undefined {
  const reason = "runAsNonRoot != true";
  const own = pod.spec.securityContext?.runAsNonRoot;
  const says = (name: "false" | "nothing"): string[] =>
    containersOf(pod)
      .filter(({ securityContext }) => {
        const asked = securityContext?.runAsNonRoot;
        return name === "false" ? asked === false : asked === undefined;
      })
      .map((each) => each.name);
  const setters = settersText(own === false, says("false"));
  if (setters !== "") return { reason, detail: `${setters} must not set securityContext.runAsNonRoot=false` };
  const silent = says("nothing");
  if (own === true || silent.length === 0) return undefined;
  const who = named("container", silent);
  return { reason, detail: `pod or ${who} must set securityContext.runAsNonRoot=true` };
}

export function notAsUserZero(pod: PodShape): Finding | undefined {
  const bad = containersOf(pod).filter(({ securityContext }) => securityContext?.runAsUser === 0);
  const setters = settersText(
    pod.spec.securityContext?.runAsUser === 0,
    bad.map(({ name }) => name),
  );
  return setters === ""
    ? undefined
    : { reason: "runAsUser=0", detail: `${setters} must not set runAsUser=0` };
}
