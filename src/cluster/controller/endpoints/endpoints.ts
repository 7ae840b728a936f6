// Service with a selector + pods → Endpoints, as the endpoints controller of kube-controller-manager makes them: what
// clients of before EndpointSlices read. Proxies and DNS read slices, and these are not made slices once more.
import type { EndpointPort } from "kubernetes-types/core/v1.js";
import { deepEqual } from "../../../base/deep-equal.ts";
import { type Endpoints, keyOf, type Pod, type Service } from "../../../kube/objects.ts";
import { HEADLESS_LABEL } from "../../../kube/slice-labels.ts";
import type { Store } from "../../store.ts";
import { addressOf, readySince, resolvePorts, TRIGGER_TIME } from "../pod-endpoints.ts";
import { isReady, isTerminating } from "../scheduler.ts";
import { type PortedAddress, subsetsOf, truncated } from "./subsets.ts";

const MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by";
const CONTROLLER_NAME = "endpoint-controller";
const OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity";

type Metadata = Endpoints["metadata"];

/** `pods`: those that its selector matches, and that have not finished. Nothing is written for a change of time alone. */
export function putEndpoints(store: Store, service: Service, pods: readonly Pod[]): void {
  const { metadata, spec } = service;
  const serving = pods.filter((pod) => !isTerminating(pod) || spec.publishNotReadyAddresses === true);
  const whole = subsetsOf(serving.flatMap((pod) => portedAddress(service, pod)));
  const cut = truncated(whole);
  const subsets = cut ?? whole;
  const before = store.get<Endpoints>("Endpoints", keyOf(service));
  const labels = labelsOf(service);
  const old = before?.metadata;
  const isSame =
    deepEqual(before?.subsets ?? [], subsets) &&
    deepEqual(old?.labels ?? {}, labels) &&
    (old?.annotations?.[OVER_CAPACITY] !== undefined) === (cut !== undefined);
  if (before !== undefined && isSame) return;
  const trigger = serving.reduce((latest, pod) => (readySince(pod) > latest ? readySince(pod) : latest), "");
  const annotations = annotationsOf(old, trigger, cut !== undefined);
  const { annotations: _, ...rest } = old ?? { name: metadata.name, namespace: metadata.namespace as string };
  store.put({
    ...{ apiVersion: "v1", kind: "Endpoints", subsets },
    metadata: { ...rest, labels, ...(annotations === undefined ? {} : { annotations }) },
  } as Endpoints);
}

function labelsOf({ metadata, spec }: Service): Record<string, string> {
  const { [HEADLESS_LABEL]: _, ...own } = metadata.labels ?? {};
  const isHeadless = spec.clusterIP === undefined || spec.clusterIP === "" || spec.clusterIP === "None";
  return { ...own, ...(isHeadless ? { [HEADLESS_LABEL]: "" } : {}), [MANAGED_BY_LABEL]: CONTROLLER_NAME };
}

function annotationsOf(
  old: Metadata | undefined,
  trigger: string,
  isCut: boolean,
): Record<string, string> | undefined {
  const { [TRIGGER_TIME]: _, [OVER_CAPACITY]: __, ...others } = old?.annotations ?? {};
  const annotations = {
    ...others,
    ...(trigger === "" ? {} : { [TRIGGER_TIME]: trigger }),
    ...(isCut ? { [OVER_CAPACITY]: "truncated" } : {}),
  };
  return Object.keys(annotations).length === 0 ? undefined : annotations;
}

/** One, where the pod has an address of the Service's first family and a number for one of its ports. */
function portedAddress(service: Service, pod: Pod): PortedAddress[] {
  const { metadata, spec } = service;
  const ip = addressOf(pod, spec.ipFamilies?.[0] ?? "IPv4");
  const ports = resolvePorts(service, pod).map(portOf);
  const needsNone = (spec.ports ?? []).length === 0 && spec.clusterIP === "None";
  if (ip === undefined || (ports.length === 0 && !needsNone)) return [];
  const { namespace, name, uid } = pod.metadata;
  const { hostname = "", subdomain, nodeName } = pod.spec;
  const address = {
    ip,
    ...(hostname !== "" && subdomain === metadata.name ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: {
      ...{ kind: "Pod", name },
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
    },
  };
  return [{ address, isReady: spec.publishNotReadyAddresses === true || isReady(pod), ports }];
}

/** A Service's only port may have no name. */
function portOf({
  name = "",
  port = 0,
  protocol = "TCP",
  appProtocol,
}: ReturnType<typeof resolvePorts>[number]): EndpointPort {
  return {
    ...(name === "" ? {} : { name }),
    ...{ port, protocol },
    ...(appProtocol === undefined ? {} : { appProtocol }),
  };
}
