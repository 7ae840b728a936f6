// What Gateways and their routes say of a request: the listener by port, name and TLS, then the route by host, path,
// headers, query and method.
import type {
  Gateway,
  GatewayClass,
  GrpcRoute,
  HttpRoute,
  ParentRef,
  Route,
} from "../../kube/gateway/gateway-objects.ts";
import { type KubeObject, keyOf } from "../../kube/objects.ts";
import type { Backends } from "../backends.ts";
import { byAge } from "../by-age.ts";
import type { Certificates } from "../certificates.ts";
import { answer, type Decision, type Tell } from "../decision.ts";
import { HostMap } from "../match/host-map.ts";
import { intersect, isHostIn } from "../match/hostnames.ts";
import { hostName, type Seen } from "../request.ts";
import { applyRule } from "./apply.ts";
import { BadPattern, type Entry, grpcEntry, HostEntries, httpEntry, matchText } from "./entries.ts";
import { Grants } from "./grants.ts";
import {
  condition,
  type ListenerWorld,
  namespaceLabels,
  type OwnListener,
  ownListeners,
  whyNotAllowed,
} from "./listeners.ts";
import { type RouteRule, RuleMaker, type Unresolved } from "./route-rule.ts";
import type { ObjectStatus } from "./status.ts";

const CONTROLLER = "podwire.dev/gateway";
const GROUP = "gateway.networking.k8s.io";
const STATUS = { notFound: 404, misdirected: 421, bad: 400 };

interface ServedListener extends OwnListener {
  readonly hosts: HostMap<HostEntries>;
  /** By the name that TLS asks for, where it is passed through. */
  readonly passed: HostMap<RouteRule>;
  attached: number;
}

export class GatewayRules {
  readonly #gateways: { readonly gateway: Gateway; readonly listeners: readonly ServedListener[] }[] = [];
  readonly #routes: ObjectStatus[] = [];
  readonly #classes: ObjectStatus[] = [];
  /** Gateways that others serve; a line each. */
  readonly others: string[] = [];
  readonly #world: ListenerWorld;
  readonly #rules: RuleMaker;
  #order = 0;

  constructor(objects: readonly KubeObject[], backends: Backends, certificates: Certificates) {
    const grants = new Grants(objects);
    this.#world = { certificates, grants, namespaces: namespaceLabels(objects) };
    this.#rules = new RuleMaker(objects, backends, grants);
    const classes = objects.filter((each): each is GatewayClass => each.kind === "GatewayClass");
    const own = classes.filter(({ spec }) => spec.controllerName === CONTROLLER);
    for (const each of own)
      this.#classes.push({
        object: `GatewayClass ${keyOf(each)}`,
        conditions: [condition("Accepted", [true, "Accepted", ""])],
      });
    for (const gateway of objects.filter((each): each is Gateway => each.kind === "Gateway").sort(byAge)) {
      // Where nobody's class is podwire's, the question is what it would do with all of them.
      const { gatewayClassName: name } = gateway.spec;
      if (own.length > 0 && !own.some(({ metadata }) => metadata.name === name)) {
        this.others.push(
          `Gateway ${keyOf(gateway)}: its class ${name} is not ${CONTROLLER}'s: not served here`,
        );
        continue;
      }
      const listeners = ownListeners(gateway, this.#world).map((each): ServedListener => {
        return { ...each, hosts: new HostMap(true), passed: new HostMap(true), attached: 0 };
      });
      this.#gateways.push({ gateway, listeners });
    }
    const routes = objects.filter((each): each is Route =>
      ["HTTPRoute", "GRPCRoute", "TLSRoute"].includes(each.kind),
    );
    for (const route of routes.sort(byAge)) this.#attach(route);
  }

  get count(): number {
    return this.#gateways.length;
  }

  get statuses(): ObjectStatus[] {
    const gateways = this.#gateways.map(({ gateway, listeners }): ObjectStatus => {
      const isServing = listeners.some((each) => each.isServing);
      const isWhole = listeners.every((each) => each.isServing);
      return {
        object: `Gateway ${keyOf(gateway)}`,
        conditions: [
          condition("Accepted", isWhole ? [true, "Accepted", ""] : [isServing, "ListenersNotValid", ""]),
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
    return [...this.#classes, ...gateways, ...this.#routes];
  }

  #attach(route: Route): void {
    const rules = this.#rulesOf(route);
    const parents = (route.spec.parentRefs ?? []).flatMap((parentRef) => {
      if (parentRef.group !== GROUP || parentRef.kind !== "Gateway") return [];
      const namespace = parentRef.namespace ?? route.metadata.namespace;
      const found = this.#gateways.find(
        ({ gateway }) => gateway.metadata.name === parentRef.name && gateway.metadata.namespace === namespace,
      );
      if (found === undefined) return [];
      const accepted =
        rules.problem ?? this.#attachTo(route, parentRef, found.listeners, rules.entries, rules.made);
      const resolved: [boolean, string, string] =
        rules.unresolved === undefined ? [true, "ResolvedRefs", ""] : [false, ...rules.unresolved];
      const conditions = [condition("Accepted", accepted), condition("ResolvedRefs", resolved)];
      return [{ parentRef, controllerName: CONTROLLER, conditions }];
    });
    this.#routes.push({ object: `${route.kind} ${keyOf(route)}`, parents });
  }

  #rulesOf(route: Route): {
    made: RouteRule[];
    entries: Entry[];
    unresolved?: Unresolved;
    problem?: [boolean, string, string];
  } {
    let unresolved: Unresolved | undefined;
    const note = (problem: Unresolved): void => {
      unresolved ??= problem;
    };
    const made = route.spec.rules.map((_, i) => this.#rules.make(route, i, note));
    try {
      return { made, entries: this.#entries(route, made), ...(unresolved !== undefined && { unresolved }) };
    } catch (error) {
      if (!(error instanceof BadPattern)) throw error;
      return { made, entries: [], problem: [false, "UnsupportedValue", error.message] };
    }
  }

  #entries(route: Route, made: readonly RouteRule[]): Entry[] {
    if (route.kind === "TLSRoute") return [];
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
    route: Route,
    { sectionName, port }: ParentRef,
    all: readonly ServedListener[],
    entries: readonly Entry[],
    rules: readonly RouteRule[],
  ): [boolean, string, string] {
    const named = all.filter(
      ({ listener }) =>
        (sectionName === undefined || listener.name === sectionName) &&
        (port === undefined || listener.port === port),
    );
    if (named.length === 0) return [false, "NoMatchingParent", "the Gateway has no such listener"];
    const refusals = named.map((each) => whyNotAllowed(each, route, this.#world));
    const allowed = named.filter((_, i) => refusals[i] === undefined);
    if (allowed.length === 0) return [false, "NotAllowedByListeners", refusals[0] ?? ""];
    const own = (route.spec.hostnames ?? []).map((each) => each.toLowerCase());
    const hostnames = own.length === 0 ? [""] : own;
    let attached = 0;
    for (const listener of allowed) {
      const fitting = hostnames.filter((hostname) => intersect(listener.hostname, hostname));
      if (fitting.length === 0) continue;
      attached++;
      listener.attached++;
      for (const hostname of fitting) {
        if (route.kind === "TLSRoute") listener.passed.at(hostname, () => rules[0]);
        else for (const entry of entries) listener.hosts.at(hostname, () => new HostEntries()).add(entry);
      }
    }
    if (attached > 0) return [true, "Accepted", ""];
    return [false, "NoMatchingListenerHostname", "none of its hostnames is one of a listener's"];
  }

  /** Undefined: no Gateway has that name, or none has a listener there. */
  decide(seen: Seen, tell: Tell | undefined): Decision | undefined {
    const { gateway: wanted } = seen.request;
    const asked = this.#gateways.filter(
      ({ gateway }) => wanted === undefined || wanted === gateway.metadata.name || wanted === keyOf(gateway),
    );
    let other: Decision | undefined;
    for (const { gateway, listeners } of asked) {
      const decision = decideAt(gateway, listeners, seen, tell);
      const isFound = decision !== undefined && decision.rule !== undefined;
      if (isFound) return decision;
      other ??= decision;
    }
    return other;
  }
}

/** Listeners at the port that was asked; where none was said, at the usual one of the scheme, else at the lowest. */
function atPort(listeners: readonly ServedListener[], { request }: Seen): ServedListener[] {
  const protocols = request.scheme === "https" ? ["HTTPS", "TLS"] : ["HTTP"];
  const fitting = listeners.filter(
    ({ listener, isServing }) => isServing && protocols.includes(listener.protocol),
  );
  const ports = fitting.map(({ listener }) => listener.port);
  const usual = request.scheme === "https" ? 443 : 80;
  const port = request.port ?? (ports.includes(usual) ? usual : Math.min(...ports));
  return fitting.filter(({ listener }) => listener.port === port);
}

/** Of several that are for a host the most telling: the name, then the longest wildcard, then every host. */
function bestFor(listeners: readonly ServedListener[], host: string): ServedListener | undefined {
  const score = ({ hostname }: ServedListener): number =>
    hostname === "" ? 1 : hostname.startsWith("*.") ? hostname.length : 10_000;
  const fitting = listeners.filter(({ hostname }) => isHostIn(host, hostname));
  return fitting.reduce<ServedListener | undefined>(
    (best, each) => (best === undefined || score(each) > score(best) ? each : best),
    undefined,
  );
}

function decideAt(
  gateway: Gateway,
  all: readonly ServedListener[],
  seen: Seen,
  tell: Tell | undefined,
): Decision | undefined {
  const { request, host } = seen;
  const listeners = atPort(all, seen);
  if (listeners.length === 0) {
    const at = request.port === undefined ? "" : ` at port ${request.port}`;
    tell?.("gateway", `Gateway ${keyOf(gateway)} has no listener for ${request.scheme}${at}`);
    return undefined;
  }
  if (request.scheme === "http") {
    const listener = bestFor(listeners, host);
    if (listener === undefined)
      return refused(`no listener of Gateway ${keyOf(gateway)} is for host ${host || "(none)"}`);
    return decideFor(listener, seen, tell);
  }
  const sni = request.sni === undefined ? host : hostName(request.sni);
  const shown = bestFor(listeners, sni);
  if (shown === undefined)
    return refused(
      `no listener of Gateway ${keyOf(gateway)} is for TLS of ${sni || "no name"}: no handshake`,
    );
  if (shown.listener.protocol === "TLS") return passThrough(shown, sni, seen, tell);
  tell?.("tls", `${sni || "no name"}: the certificate of Secret ${shown.cert}`);
  const meant = bestFor(
    listeners.filter(({ listener }) => listener.protocol === "HTTPS"),
    host,
  );
  if (meant === shown) return { ...decideFor(shown, seen, tell), cert: shown.cert };
  const isOthers = meant !== undefined && (meant.hostname !== "" || isHostIn(host, shown.hostname));
  const status = isOthers ? STATUS.misdirected : STATUS.notFound;
  const why = isOthers ? `is of ${meant.title}` : "is of no listener";
  return {
    action: answer(status),
    cert: shown.cert,
    reason: `TLS asked for ${sni}, and host ${host} ${why}`,
  };
}

function refused(reason: string): Decision {
  return { action: answer(STATUS.notFound), reason };
}

function decideFor(listener: ServedListener, seen: Seen, tell: Tell | undefined): Decision {
  const { path, host, request } = seen;
  tell?.(
    "listener",
    `${listener.title} is for ${listener.hostname || "every host"} at port ${listener.listener.port}`,
  );
  if (path === undefined)
    return {
      action: answer(STATUS.bad),
      reason: `the path ${request.target} makes no sense: escapes or dot segments`,
    };
  const entry = listener.hosts.find(host, (entries) => entries.find(seen));
  if (entry === undefined)
    return refused(
      `no route at ${listener.title} matches ${request.method} ${path} of host ${host || "(none)"}`,
    );
  tell?.("match", matchText(entry));
  return applyRule(entry, seen, listener.listener.port, tell);
}

/** Nobody looks into it: the bytes go to a backend as they come. */
function passThrough(
  listener: ServedListener,
  sni: string,
  { request }: Seen,
  tell: Tell | undefined,
): Decision {
  tell?.("listener", `${listener.title} passes TLS of ${listener.hostname || "every name"} through`);
  const rule = listener.passed.find(sni, (found) => found);
  if (rule === undefined)
    return refused(`no TLSRoute at ${listener.title} is for ${sni}: the connection is closed`);
  const choices = rule.choices.map(({ filters, ...choice }) => choice);
  const first = choices.find(({ backend }) => backend !== undefined);
  if (first === undefined)
    return { rule: rule.title, action: answer(500), reason: `${choices[0]?.why}: the connection is closed` };
  const { timeouts, retries } = rule;
  return {
    rule: rule.title,
    reason: `TLS as it comes, ${rule.reason}`,
    action: {
      ...{
        kind: "forward",
        choices,
        target: request.target,
        host: request.host ?? "",
        headers: request.headers,
      },
      ...{ answerHeaders: [], protocol: "tls", timeouts, retries, bodyMax: 0, mirrors: [] },
    },
  };
}
