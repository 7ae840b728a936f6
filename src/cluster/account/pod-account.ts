// What the API server's plug-in ServiceAccount makes of a new pod: it names the account that the pod runs as, and
// mounts what its programs need to call the API (plugin/pkg/admission/serviceaccount).
import { ACCOUNT_FOLDER, ACCOUNT_VOLUME, accountVolume } from "../../kube/account-volume.ts";
import { nameSuffix } from "../../kube/hash.ts";
import type { Container, KubeObject, Pod, PodSpec } from "../../kube/objects.ts";
import { keyOf } from "../../kube/objects.ts";

export type ServiceAccount = KubeObject & {
  automountServiceAccountToken?: boolean;
  imagePullSecrets?: PodSpec["imagePullSecrets"];
};

/** Every namespace has it. */
export const DEFAULT_ACCOUNT = "default";
/** On what kubelet shows of a pod of its own, which has no account. */
const MIRROR_ANNOTATION = "kubernetes.io/config.mirror";

/** The key of the account that a pod is to run as; undefined: it has none. */
export function accountOf({ metadata, spec }: Pod): string | undefined {
  if (metadata.annotations?.[MIRROR_ANNOTATION] !== undefined) return undefined;
  return `${metadata.namespace}/${nameOf(spec)}`;
}

/** `account`: undefined where it is about to be made. */
export function withAccount(pod: Pod, account: ServiceAccount | undefined): Pod {
  const name = nameOf(pod.spec);
  const { automountServiceAccountToken, imagePullSecrets = [] } = pod.spec;
  const pulls = imagePullSecrets.length > 0 ? imagePullSecrets : (account?.imagePullSecrets ?? []);
  const spec = {
    ...pod.spec,
    ...{ serviceAccountName: name, serviceAccount: name },
    ...(pulls.length === 0 ? {} : { imagePullSecrets: pulls }),
  };
  const isMounted = automountServiceAccountToken ?? account?.automountServiceAccountToken ?? true;
  if (!isMounted) return { ...pod, spec };
  const there = volumeOf(spec);
  const volume = there ?? accountVolume(`${ACCOUNT_VOLUME}${nameSuffix(`account of ${keyOf(pod)}`)}`);
  const mounted = mount(spec, volume.name, () => true);
  const isUsed = mounted !== spec && there === undefined;
  return { ...pod, spec: isUsed ? { ...mounted, volumes: [...(spec.volumes ?? []), volume] } : mounted };
}

/** A later manifest of a pod that is there, which does not say what was added to the first. */
export function withAccountOf(next: Pod, { spec: old }: Pod): Pod {
  const { serviceAccountName, serviceAccount, imagePullSecrets } = old;
  const pulls = (next.spec.imagePullSecrets ?? []).length > 0 ? undefined : imagePullSecrets;
  const isNamed = (next.spec.serviceAccountName ?? next.spec.serviceAccount ?? "") !== "";
  const name = isNamed ? nameOf(next.spec) : serviceAccountName;
  const spec = {
    ...next.spec,
    ...(name === undefined ? {} : { serviceAccountName: name }),
    ...(serviceAccount === undefined || name === undefined ? {} : { serviceAccount: name }),
    ...(pulls === undefined ? {} : { imagePullSecrets: pulls }),
  };
  const volume = volumeOf(old);
  if (volume === undefined || volumeOf(spec) !== undefined) return { ...next, spec };
  const hadIt = new Set(
    [...(old.initContainers ?? []), ...old.containers]
      .filter(({ volumeMounts = [] }) => volumeMounts.some((each) => each.name === volume.name))
      .map((container) => container.name),
  );
  const mounted = mount(spec, volume.name, (container) => hadIt.has(container.name));
  return { ...next, spec: { ...mounted, volumes: [...(spec.volumes ?? []), volume] } };
}

function nameOf({ serviceAccountName, serviceAccount }: PodSpec): string {
  return serviceAccountName || serviceAccount || DEFAULT_ACCOUNT;
}

function volumeOf({ volumes = [] }: PodSpec) {
  return volumes.find(({ name }) => name.startsWith(ACCOUNT_VOLUME));
}

/** In all containers that `wants` and that mount nothing there themselves. The same spec: there is none. */
function mount<T extends PodSpec>(spec: T, name: string, wants: (container: Container) => boolean): T {
  const own = { name, readOnly: true, mountPath: ACCOUNT_FOLDER };
  let isUsed = false;
  const fill = (container: Container): Container => {
    const { volumeMounts = [] } = container;
    if (!wants(container) || volumeMounts.some(({ mountPath }) => mountPath === ACCOUNT_FOLDER))
      return container;
    isUsed = true;
    return { ...container, volumeMounts: [...volumeMounts, own] };
  };
  const init = spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(fill) };
  const filled = { ...spec, ...init, containers: spec.containers.map(fill) };
  return isUsed ? filled : spec;
}
