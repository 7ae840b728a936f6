// What a controller writes into the status of Ingresses, GatewayClasses, Gateways, routes and policies: the evaluator's
// conditions with their times, and the addresses at which a gateway is reached. No clock: the time is told. What other
// controllers have written of the same object stays.
import { deepEqual } from "../base/deep-equal.ts";
import { formatIp, parseIp } from "../base/ip.ts";
import type { Gateway, GatewayCondition, ParentRef } from "../kube/gateway/gateway-objects.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";
import { Backends } from "./backends.ts";
import { Certificates } from "./certificates.ts";
import { GatewayRules } from "./gateway/gateways.ts";
import { GATEWAY_CONTROLLER, ownClasses } from "./gateway/own-gateways.ts";
import type { ListenerStatus, ObjectStatus } from "./gateway/status.ts";
import { supportedFeatures } from "./gateway/supported-features.ts";
import { isPodwires, ownIngresses } from "./ingress/class.ts";

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
  /** Whose statuses are somebody else's to write; left out: nobody's. */
  readonly others?: {
    /** Those of all Ingresses; those of ingress-nginx' classes are in any case. */
    readonly areIngresses: boolean;
    isGateway(key: string): boolean;
  };
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
/** As the definition of policies has it. */
const ANCESTORS_MAX = 16;

interface Condition extends GatewayCondition {
  readonly lastTransitionTime?: string;
}

/** What a controller says of a route, or of a policy, at a Gateway. */
interface Said {
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
  readonly parentRef?: ParentRef;
  readonly ancestorRef?: ParentRef;
}

interface StoredStatus {
  readonly conditions?: readonly Condition[];
  readonly supportedFeatures?: readonly object[];
  readonly addresses?: readonly object[];
  readonly listeners?: readonly (Omit<ListenerStatus, "conditions"> & {
    readonly conditions?: readonly Condition[];
  })[];
  readonly parents?: readonly Said[];
  readonly ancestors?: readonly Said[];
  readonly loadBalancer?: { readonly ingress?: readonly object[] };
}

/** Only what is otherwise than it stands there. `now`: as lastTransitionTime writes it. */
export function statusWrites(objects: readonly KubeObject[], places: Places, now: string): StatusWrite[] {
  const writes = [...ingressStatuses(objects, places), ...gatewayStatuses(objects, places, now)];
  return writes.filter(({ object, status }) => !deepEqual(status, statusOf(object)));
}

function statusOf(object: KubeObject): StoredStatus {
  return (object as KubeObject & { status?: StoredStatus }).status ?? {};
}

function ingressStatuses(objects: readonly KubeObject[], { ingress: place, others }: Places): StatusWrite[] {
  if (others?.areIngresses === true) return [];
  const { own } = ownIngresses(objects);
  const written = others === undefined ? own : own.filter((each) => isPodwires(each, objects));
  const ingress = (place?.addresses ?? []).map((address) =>
    isIp(address) ? { ip: address } : { hostname: address },
  );
  return written.map((object) => {
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
  const writer = new StatusMaker(places, now);
  return rules.statuses.flatMap((computed) => {
    const object = byName.get(computed.object);
    if (object === undefined) return [];
    const status = writer.make(object, computed);
    return status === undefined ? [] : [{ object, status }];
  });
}

class StatusMaker {
  readonly #places: Places;
  readonly #now: string;

  constructor(places: Places, now: string) {
    this.#places = places;
    this.#now = now;
  }

  /** Undefined: there is nothing to say. */
  make(object: KubeObject, computed: ObjectStatus): StoredStatus | undefined {
    const old = statusOf(object);
    const { generation } = object.metadata;
    if (computed.parents !== undefined) {
      const parents = this.#said(object, computed.parents, old.parents);
      return parents.length === 0 && old.parents === undefined ? undefined : { ...old, parents };
    }
    if (computed.ancestors !== undefined) {
      const ancestors = this.#said(object, computed.ancestors, old.ancestors).slice(0, ANCESTORS_MAX);
      return ancestors.length === 0 && old.ancestors === undefined ? undefined : { ...old, ancestors };
    }
    if (object.kind === "Gateway") return this.#gateway(object as Gateway, computed, old);
    return {
      ...old,
      conditions: withTimes(computed.conditions ?? [], old.conditions, generation, this.#now),
      supportedFeatures: supportedFeatures(this.#places.others === undefined),
    };
  }

  /** What is said of an object at each Gateway; what others say of it there stays where it stands. */
  #said(
    { metadata: { namespace = "", generation } }: KubeObject,
    made: readonly Said[],
    before: readonly Said[] = [],
  ): Said[] {
    const { others } = this.#places;
    const isOthers = (each: Said): boolean => {
      const ref = refOf(each);
      return others?.isGateway(`${ref?.namespace ?? namespace}/${ref?.name}`) === true;
    };
    const isOwn = (each: Said): boolean => each.controllerName === GATEWAY_CONTROLLER && !isOthers(each);
    const at = (all: readonly Said[], one: Said): number =>
      all.findIndex((each) => deepEqual(refOf(each), refOf(one)));
    const old = before.filter(isOwn);
    const own = made
      .filter((each) => !isOthers(each))
      .map((each) => {
        const conditions = withTimes(each.conditions, old[at(old, each)]?.conditions, generation, this.#now);
        return { ...each, conditions };
      });
    if (old.length === before.length) return own;
    const kept = before.flatMap((each) => {
      if (!isOwn(each)) return [each];
      const place = at(own, each);
      return place < 0 ? [] : own.splice(place, 1);
    });
    return [...kept, ...own];
  }

  #gateway(object: Gateway, computed: ObjectStatus, old: StoredStatus): StoredStatus | undefined {
    const key = keyOf(object);
    if (this.#places.others?.isGateway(key) === true) return undefined;
    const { generation } = object.metadata;
    const timed = (made: readonly GatewayCondition[], before: readonly Condition[] = []): Condition[] =>
      withTimes(made, before, generation, this.#now);
    const place = this.#places.gateway(key);
    const listeners = (computed.listeners ?? []).map((each) => {
      const before = old.listeners?.find(({ name }) => name === each.name);
      return { ...each, conditions: timed(placed(each.conditions, place, "Pending"), before?.conditions) };
    });
    const addresses = (place?.addresses ?? []).map((value) => ({
      type: isIp(value) ? "IPAddress" : "Hostname",
      value,
    }));
    const { addresses: _, ...rest } = old;
    const conditions = placed(
      computed.conditions ?? [],
      place,
      "AddressNotAssigned",
      wantedAddresses(object),
    );
    const own = timed(conditions, old.conditions);
    return { ...rest, ...(addresses.length > 0 && { addresses }), conditions: own, listeners };
  }
}

function refOf({ parentRef, ancestorRef }: Said): ParentRef | undefined {
  return parentRef ?? ancestorRef;
}

/** Addresses that the Gateway asks for. */
export function wantedAddresses({ spec }: Gateway): string[] {
  return (spec.addresses ?? []).flatMap(({ value = "" }) => (value === "" ? [] : value));
}

/** What could be served is not before there is somebody who does, at all addresses that were asked for. */
function placed(
  conditions: readonly GatewayCondition[],
  place: Place | undefined,
  unplaced: string,
  wanted: readonly string[] = [],
): GatewayCondition[] {
  const pending = pendingOf(place, unplaced, wanted);
  if (pending === undefined) return [...conditions];
  return conditions.map((each) =>
    each.type === "Programmed" && each.status === "True" ? { ...each, status: "False", ...pending } : each,
  );
}

function pendingOf(
  place: Place | undefined,
  unplaced: string,
  wanted: readonly string[],
): Pick<GatewayCondition, "reason" | "message"> | undefined {
  const had = new Set((place?.addresses ?? []).map(canonical));
  const missing = wanted.filter((each) => !had.has(canonical(each)));
  if (place !== undefined && missing.length > 0)
    return { reason: "AddressNotUsable", message: `not to be had here: ${missing.join(", ")}` };
  if (place === undefined || had.size === 0) return { reason: unplaced, message: "it has no address yet" };
  return place.isReady ? undefined : { reason: "Pending", message: "its gateway is not ready yet" };
}

function canonical(address: string): string {
  const parsed = parseIp(address);
  return parsed === null ? address : formatIp(parsed);
}

/** A condition that says the same as before has its time; those that others wrote stay. */
function withTimes(
  made: readonly GatewayCondition[],
  before: readonly Condition[] = [],
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
