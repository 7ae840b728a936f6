// What a controller writes into the status of Ingresses, GatewayClasses, Gateways and routes: the evaluator's conditions
// with their times, and the addresses at which a gateway is reached. No clock: the time is told. What other controllers
// have written of the same object stays.
import { deepEqual } from "../base/deep-equal.ts";
import type { GatewayCondition, ParentRef } from "../kube/gateway/gateway-objects.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";
import { Backends } from "./backends.ts";
import { Certificates } from "./certificates.ts";
import { GatewayRules } from "./gateway/gateways.ts";
import { GATEWAY_CONTROLLER, ownClasses } from "./gateway/own-gateways.ts";
import type { ListenerStatus, ObjectStatus } from "./gateway/status.ts";
import { ownIngresses } from "./ingress/class.ts";

/** Where a gateway is reached. */
export interface Place {
  /** IP addresses, or names. */
  readonly addresses: readonly string[];
  /** Requests are taken there. */
  readonly isReady: boolean;
}

export interface Places {
  /** Of all Ingresses; undefined: nobody serves them yet. */
  readonly ingress: Place | undefined;
  /** Of a Gateway, by namespace/name. */
  gateway(key: string): Place | undefined;
}

export interface StatusWrite {
  readonly object: KubeObject;
  /** The whole of it, as it is to be. */
  readonly status: object;
}

/** Kinds by which these are decided, besides those of the Gateway API. */
export const STATUS_KINDS: readonly string[] = [
  "ConfigMap",
  "Ingress",
  "IngressClass",
  "Namespace",
  "Secret",
  "Service",
];

interface Condition extends GatewayCondition {
  readonly lastTransitionTime?: string;
}

interface RouteParent {
  readonly parentRef: ParentRef;
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

interface StoredStatus {
  readonly conditions?: readonly Condition[];
  readonly addresses?: readonly object[];
  readonly listeners?: readonly (Omit<ListenerStatus, "conditions"> & {
    readonly conditions?: readonly Condition[];
  })[];
  readonly parents?: readonly RouteParent[];
  readonly loadBalancer?: { readonly ingress?: readonly object[] };
}

/** Only what is otherwise than it stands there. `now`: as lastTransitionTime writes it. */
export function statusWrites(objects: readonly KubeObject[], places: Places, now: string): StatusWrite[] {
  const writes = [...ingressStatuses(objects, places.ingress), ...gatewayStatuses(objects, places, now)];
  return writes.filter(({ object, status }) => !deepEqual(status, statusOf(object)));
}

function statusOf(object: KubeObject): StoredStatus {
  return (object as KubeObject & { status?: StoredStatus }).status ?? {};
}

function ingressStatuses(objects: readonly KubeObject[], place: Place | undefined): StatusWrite[] {
  const ingress = (place?.addresses ?? []).map((address) =>
    isIp(address) ? { ip: address } : { hostname: address },
  );
  return ownIngresses(objects).own.map((object) => {
    const { loadBalancer, ...rest } = statusOf(object);
    const isSame = deepEqual(loadBalancer?.ingress ?? [], ingress);
    return {
      object,
      status: {
        ...rest,
        loadBalancer: isSame ? (loadBalancer ?? {}) : ingress.length > 0 ? { ingress } : {},
      },
    };
  });
}

function isIp(address: string): boolean {
  return address.includes(":") || /^[\d.]+$/.test(address);
}

function gatewayStatuses(objects: readonly KubeObject[], places: Places, now: string): StatusWrite[] {
  if (ownClasses(objects).length === 0) return [];
  const byName = new Map(objects.map((each) => [`${each.kind} ${keyOf(each)}`, each]));
  const rules = new GatewayRules(
    objects,
    new Backends(objects, { areAssumed: true }),
    new Certificates(objects),
  );
  return rules.statuses.flatMap((computed) => {
    const object = byName.get(computed.object);
    if (object === undefined) return [];
    const status = merged(object, computed, places, now);
    return status === undefined ? [] : [{ object, status }];
  });
}

function merged(
  object: KubeObject,
  computed: ObjectStatus,
  places: Places,
  now: string,
): StoredStatus | undefined {
  const old = statusOf(object);
  const { generation } = object.metadata;
  const timed = (made: readonly GatewayCondition[], before: readonly Condition[] = []): Condition[] =>
    withTimes(made, before, generation, now);
  if (computed.parents !== undefined) {
    const others = (old.parents ?? []).filter(({ controllerName }) => controllerName !== GATEWAY_CONTROLLER);
    const parents = computed.parents.map((each) => {
      const before = (old.parents ?? []).find(
        ({ controllerName, parentRef }) =>
          controllerName === GATEWAY_CONTROLLER && deepEqual(parentRef, each.parentRef),
      );
      return { ...each, conditions: timed(each.conditions, before?.conditions) };
    });
    const all = [...others, ...parents];
    return all.length === 0 && old.parents === undefined ? undefined : { ...old, parents: all };
  }
  const { conditions = [] } = computed;
  if (object.kind !== "Gateway") return { ...old, conditions: timed(conditions, old.conditions) };
  const place = places.gateway(keyOf(object));
  const listeners = (computed.listeners ?? []).map((each) => {
    const before = old.listeners?.find(({ name }) => name === each.name);
    return { ...each, conditions: timed(placed(each.conditions, place, "Pending"), before?.conditions) };
  });
  const addresses = (place?.addresses ?? []).map((value) => ({
    type: isIp(value) ? "IPAddress" : "Hostname",
    value,
  }));
  const { addresses: _, ...rest } = old;
  const own = timed(placed(conditions, place, "AddressNotAssigned"), old.conditions);
  return { ...rest, ...(addresses.length > 0 && { addresses }), conditions: own, listeners };
}

/** What could be served is not before there is somebody who does. */
function placed(
  conditions: readonly GatewayCondition[],
  place: Place | undefined,
  unplaced: string,
): GatewayCondition[] {
  const hasAddress = place !== undefined && place.addresses.length > 0;
  if (hasAddress && place.isReady) return [...conditions];
  const pending = hasAddress
    ? { reason: "Pending", message: "its gateway is not ready yet" }
    : { reason: unplaced, message: "it has no address yet" };
  return conditions.map((each) =>
    each.type === "Programmed" && each.status === "True" ? { ...each, status: "False", ...pending } : each,
  );
}

/** A condition that says the same as before has its time; those that others wrote stay. */
function withTimes(
  made: readonly GatewayCondition[],
  before: readonly Condition[],
  generation: number | undefined,
  now: string,
): Condition[] {
  const own = made.map(({ type, status, reason, message }): Condition => {
    const old = before.find((each) => each.type === type);
    const lastTransitionTime = (old?.status === status ? old.lastTransitionTime : undefined) ?? now;
    return {
      ...{ type, status, reason, message, lastTransitionTime },
      ...(generation !== undefined && { observedGeneration: generation }),
    };
  });
  return [...own, ...before.filter(({ type }) => !made.some((each) => each.type === type))];
}
