// Gateways that are served here, with the routes that are attached to their listeners; what is asked of them, and what
// a controller would write.
import type { Gateway, GrpcRoute, HttpRoute, ParentRef, Route } from "../../kube/gateway/gateway-objects.ts";
import { type KubeObject, keyOf } from "../../kube/objects.ts";
import type { Backends } from "../backends.ts";
import { byAge } from "../by-age.ts";
import type { Certificates } from "../certificates.ts";
import type { Connection, ConnectionDecision } from "../connection.ts";
import type { Decision, Tell } from "../decision.ts";
import { intersect } from "../match/hostnames.ts";
import type { Seen } from "../request.ts";
import { decideConnection } from "./connections.ts";
import { BadPattern, type Entry, grpcEntry, HostEntries, httpEntry } from "./entries.ts";
import { Grants } from "./grants.ts";
import { endsTls } from "./listener-certificates.ts";
import {
  condition,
  type ListenerWorld,
  namespaceLabels,
  ownListeners,
  whyNotAllowed,
  withheld,
} from "./listeners.ts";
import { GATEWAY_CONTROLLER, ownClasses } from "./own-gateways.ts";
import { classRefusal, gatewayRefusal, type Refusal } from "./refusal.ts";
import { decideRequest } from "./requests.ts";
import { type RouteRule, RuleMaker, type Unresolved } from "./route-rule.ts";
import { type ServedListener, served } from "./served-listener.ts";
import type { ObjectStatus } from "./status.ts";

const GROUP = "gateway.networking.k8s.io";
/** Those that lead where their connection or their datagrams go, whatever comes in them. */
const STREAMS = ["TLSRoute", "TCPRoute", "UDPRoute"];
const ROUTES = ["HTTPRoute", "GRPCRoute", ...STREAMS];
const ACCEPTED: [boolean, string, string] = [true, "Accepted", ""];

/** A route, as it is attached to listeners. */
interface Made {
  readonly route: Route;
  readonly rules: readonly RouteRule[];
  /** Of a TLSRoute, for listeners that pass TLS through. */
  readonly passed: readonly RouteRule[];
  readonly entries: readonly Entry[];
  /** Services that its rules lead to, "namespace/name", where policies count. */
  readonly services: ReadonlySet<string>;
  readonly unresolved?: Unresolved;
  readonly problem?: [boolean, string, string];
}

interface OwnGateway {
  readonly gateway: Gateway;
  readonly listeners: readonly ServedListener[];
  /** Defined: it is not accepted, and none of its listeners serves. */
  readonly refusal: Refusal | undefined;
}

export class GatewayRules {
  readonly #gateways: OwnGateway[] = [];
  readonly #routes: ObjectStatus[] = [];
  readonly #classes: ObjectStatus[] = [];
  /** Gateways that others serve, and rules that nothing leads to; a line each. */
  readonly others: string[] = [];
  readonly #world: ListenerWorld;
  readonly #rules: RuleMaker;
  #order = 0;

  constructor(objects: readonly KubeObject[], backends: Backends, certificates: Certificates) {
    const grants = new Grants(objects);
    this.#world = { certificates, grants, namespaces: namespaceLabels(objects) };
    this.#rules = new RuleMaker(objects, backends, grants);
    const own = ownClasses(objects);
    for (const each of own) {
      const refusal = classRefusal(each);
      const accepted = condition("Accepted", refusal === undefined ? ACCEPTED : [false, ...refusal]);
      this.#classes.push({ object: `GatewayClass ${keyOf(each)}`, conditions: [accepted] });
    }
    for (const gateway of objects.filter((each): each is Gateway => each.kind === "Gateway").sort(byAge)) {
      // Where nobody's class is podwire's, the question is what it would do with all of them.
      const { gatewayClassName: name } = gateway.spec;
      if (own.length > 0 && !own.some(({ metadata }) => metadata.name === name)) {
        this.others.push(
          `Gateway ${keyOf(gateway)}: its class ${name} is not ${GATEWAY_CONTROLLER}'s: not served here`,
        );
        continue;
      }
      const refusal = gatewayRefusal(gateway, own);
      const listeners = ownListeners(gateway, this.#world);
      const kept = refusal === undefined ? listeners : listeners.map(withheld);
      this.#gateways.push({ gateway, listeners: kept.map(served), refusal });
    }
    const routes = objects.filter((each): each is Route => ROUTES.includes(each.kind));
    for (const route of routes.sort(byAge)) this.#attach(route);
  }

  get count(): number {
    return this.#gateways.length;
  }

  get statuses(): ObjectStatus[] {
    const gateways = this.#gateways.map(({ gateway, listeners, refusal }): ObjectStatus => {
      const isServing = listeners.some((each) => each.isServing);
      const isWhole = listeners.every((each) => each.isServing);
      const accepted: [boolean, string, string] =
        refusal !== undefined
          ? [false, ...refusal]
          : isWhole
            ? ACCEPTED
            : [isServing, "ListenersNotValid", ""];
      return {
        object: `Gateway ${keyOf(gateway)}`,
        conditions: [
          condition("Accepted", accepted),
          condition(
            "Programmed",
            isServing ? [true, "Programmed", ""] : [false, "Invalid", "no listener can serve"],
          ),
        ],
        listeners: listeners.map(({ listener, attached, kinds, conditions }) => ({
          ...{ name: listener.name, attachedRoutes: attached, conditions },
          supportedKinds: kinds.map((kind) => ({ group: GROUP, kind })),
        })),
      };
    });
    return [...this.#classes, ...gateways, ...this.#routes, ...this.#rules.policies.statuses];
  }

  #attach(route: Route): void {
    const made = this.#rulesOf(route);
    if (STREAMS.includes(route.kind) && made.rules.length > 1)
      this.others.push(
        `${route.kind} ${keyOf(route)}: only rules[0] counts: no rule of it has matches to tell them apart`,
      );
    const parents = (route.spec.parentRefs ?? []).flatMap((parentRef) => {
      if (parentRef.group !== GROUP || parentRef.kind !== "Gateway") return [];
      const namespace = parentRef.namespace ?? route.metadata.namespace;
      const found = this.#gateways.find(
        ({ gateway }) => gateway.metadata.name === parentRef.name && gateway.metadata.namespace === namespace,
      );
      if (found === undefined) return [];
      const accepted = made.problem ?? this.#attachTo(made, parentRef, found.listeners);
      if (accepted[0])
        for (const service of made.services) this.#rules.policies.reached(service, found.gateway);
      const resolved: [boolean, string, string] =
        made.unresolved === undefined ? [true, "ResolvedRefs", ""] : [false, ...made.unresolved];
      const conditions = [condition("Accepted", accepted), condition("ResolvedRefs", resolved)];
      return [{ parentRef, controllerName: GATEWAY_CONTROLLER, conditions }];
    });
    this.#routes.push({ object: `${route.kind} ${keyOf(route)}`, parents });
  }

  #rulesOf(route: Route): Made {
    let unresolved: Unresolved | undefined;
    const services = new Set<string>();
    const told = {
      bad: (problem: Unresolved): void => void (unresolved ??= problem),
      reached: (service: string): void => void services.add(service),
    };
    const make = (isPassed: boolean): RouteRule[] =>
      route.spec.rules.map((_, i) => this.#rules.make(route, i, told, isPassed));
    const made = { route, services, rules: make(false), passed: route.kind === "TLSRoute" ? make(true) : [] };
    try {
      const entries = this.#entries(route, made.rules);
      return { ...made, entries, ...(unresolved !== undefined && { unresolved }) };
    } catch (error) {
      if (!(error instanceof BadPattern)) throw error;
      return { ...made, entries: [], problem: [false, "UnsupportedValue", error.message] };
    }
  }

  #entries(route: Route, made: readonly RouteRule[]): Entry[] {
    if (STREAMS.includes(route.kind)) return [];
    return made.flatMap((rule, i) => {
      if (route.kind === "HTTPRoute")
        return (route as HttpRoute).spec.rules[i].matches.map((match) =>
          httpEntry(rule, match, this.#order++),
        );
      const { matches = [] } = (route as GrpcRoute).spec.rules[i];
      return (matches.length === 0 ? [{}] : matches).map((match) => grpcEntry(rule, match, this.#order++));
    });
  }

  /** Answers the condition Accepted. */
  #attachTo(
    made: Made,
    { sectionName, port }: ParentRef,
    all: readonly ServedListener[],
  ): [boolean, string, string] {
    const { route } = made;
    const named = all.filter(
      ({ listener }) =>
        (sectionName === undefined || listener.name === sectionName) &&
        (port === undefined || listener.port === port),
    );
    if (named.length === 0) return [false, "NoMatchingParent", "the Gateway has no such listener"];
    const refusals = named.map((each) => whyNotAllowed(each, route, this.#world));
    const allowed = named.filter((_, i) => refusals[i] === undefined);
    if (allowed.length === 0) return [false, "NotAllowedByListeners", refusals[0] ?? ""];
    if (route.kind === "TCPRoute" || route.kind === "UDPRoute") return attachWhole(made.rules[0], allowed);
    const own = (route.spec.hostnames ?? []).map((each) => each.toLowerCase());
    const hostnames = own.length === 0 ? [""] : own;
    let attached = 0;
    for (const listener of allowed) {
      const fitting = hostnames.filter((hostname) => intersect(listener.hostname, hostname));
      if (fitting.length === 0) continue;
      attached++;
      listener.attached++;
      for (const hostname of fitting) attachAt(hostname, listener, made);
    }
    if (attached > 0) return [true, "Accepted", ""];
    return [false, "NoMatchingListenerHostname", "none of its hostnames is one of a listener's"];
  }

  #named(wanted: string | undefined): OwnGateway[] {
    return this.#gateways.filter(
      ({ gateway }) => wanted === undefined || wanted === gateway.metadata.name || wanted === keyOf(gateway),
    );
  }

  /** Undefined: no Gateway has that name, or none has a listener there. */
  decide(seen: Seen, tell: Tell | undefined): Decision | undefined {
    let other: Decision | undefined;
    for (const { gateway, listeners } of this.#named(seen.request.gateway)) {
      const decision = decideRequest(gateway, listeners, seen, tell);
      const isFound = decision !== undefined && decision.rule !== undefined;
      if (isFound) return decision;
      other ??= decision;
    }
    return other;
  }

  /** Undefined: no Gateway has that name, or none has a listener there. */
  connect(asked: Connection, tell: Tell | undefined): ConnectionDecision | undefined {
    for (const { gateway, listeners } of this.#named(asked.gateway)) {
      const decision = decideConnection(gateway, listeners, asked, tell);
      if (decision !== undefined) return decision;
    }
    return undefined;
  }
}

function attachAt(hostname: string, listener: ServedListener, { route, rules, passed, entries }: Made): void {
  if (route.kind === "TLSRoute")
    listener.named.at(hostname, () => (endsTls(listener.listener) ? rules : passed)[0]);
  else for (const entry of entries) listener.hosts.at(hostname, () => new HostEntries()).add(entry);
}

/** A listener has one route of whole connections; who is older has it. */
function attachWhole(rule: RouteRule, allowed: readonly ServedListener[]): [boolean, string, string] {
  const free = allowed.filter(({ all }) => all === undefined);
  for (const listener of free) {
    listener.all = rule;
    listener.attached++;
  }
  if (free.length > 0) return [true, "Accepted", ""];
  const [{ listener, all }] = allowed;
  const owner = all?.title.split(" rules")[0] ?? "";
  return [
    false,
    "NotAllowedByListeners",
    `all connections of listener ${listener.name} are ${owner}'s, which is older`,
  ];
}
