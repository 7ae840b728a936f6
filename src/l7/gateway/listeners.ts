// Listeners of Gateways: which can serve, with which certificates, and which routes may attach to them.
import type { Gateway, GatewayCondition, Listener, Route } from "../../kube/gateway/gateway-objects.ts";
import { matchesSelector } from "../../kube/labels.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { Certificate } from "../certificates.ts";
import { type CertificateWorld, certificatesOf, endsTls } from "./listener-certificates.ts";

const GROUP = "gateway.networking.k8s.io";

export interface OwnListener {
  readonly gateway: Gateway;
  readonly listener: Listener;
  /** "Gateway infra/web listener http" */
  readonly title: string;
  /** In small letters; "": every host. */
  readonly hostname: string;
  /** That TLS can show, where it ends here. */
  readonly certificates: readonly Certificate[];
  /** What may attach. */
  readonly kinds: readonly string[];
  /** Accepted, ResolvedRefs, Programmed, Conflicted. */
  readonly conditions: readonly GatewayCondition[];
  /** Requests are taken. */
  readonly isServing: boolean;
}

/** Protocol of a listener → kinds of routes. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  HTTP: ["HTTPRoute", "GRPCRoute"],
  HTTPS: ["HTTPRoute", "GRPCRoute"],
  TCP: ["TCPRoute"],
  UDP: ["UDPRoute"],
};
const PASSED = ["TLSRoute"];
/** What came in TLS that ends here: by its name, else whatever is left. */
const ENDED = ["TLSRoute", "TCPRoute"];

export interface ListenerWorld extends CertificateWorld {
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

export function ownListeners(gateway: Gateway, world: ListenerWorld): OwnListener[] {
  const { listeners } = gateway.spec;
  return listeners.map((listener) => ownListener(gateway, listener, conflictOf(listener, listeners), world));
}

/** Several protocols at one port, but for HTTPS and TLS, which SNI tells apart, and UDP, which has ports of its own. */
function conflictOf(
  listener: Listener,
  all: readonly Listener[],
): [reason: string, message: string] | undefined {
  const family = ({ protocol }: Listener): string => (protocol === "HTTPS" ? "TLS" : protocol);
  const host = ({ hostname = "" }: Listener): string => hostname.toLowerCase();
  for (const other of all) {
    if (other === listener || other.port !== listener.port) continue;
    if ((other.protocol === "UDP") !== (listener.protocol === "UDP")) continue;
    if (family(other) !== family(listener))
      return ["ProtocolConflict", `port ${listener.port} is ${other.protocol} of listener ${other.name}`];
    if (host(other) === host(listener))
      return [
        "HostnameConflict",
        `host ${host(listener) || "*"} at port ${listener.port} is listener ${other.name}'s too`,
      ];
  }
  return undefined;
}

function ownListener(
  gateway: Gateway,
  listener: Listener,
  conflict: [reason: string, message: string] | undefined,
  world: ListenerWorld,
): OwnListener {
  const isEnded = endsTls(listener);
  const served = listener.protocol === "TLS" ? (isEnded ? ENDED : PASSED) : KINDS[listener.protocol];
  const asked = listener.allowedRoutes.kinds ?? [];
  const isServed = ({ group, kind }: { group: string; kind: string }): boolean =>
    group === GROUP && served?.includes(kind) === true;
  const kinds = asked.length === 0 ? (served ?? []) : asked.filter(isServed).map(({ kind }) => kind);
  const badKind = asked.find((each) => !isServed(each));
  const tls = certificatesOf(gateway, listener, world);
  const refusal: [reason: string, message: string] | undefined =
    served === undefined
      ? ["UnsupportedProtocol", `protocol ${listener.protocol} is not served: use HTTP, HTTPS, TLS, TCP, UDP`]
      : asksForClients(gateway, listener)
        ? ["UnsupportedValue", "client certificates are not asked for here: leave their validation out"]
        : conflict;
  const accepted: [boolean, string, string] =
    refusal === undefined ? [true, "Accepted", ""] : [false, ...refusal];
  const resolved: [boolean, string, string] =
    badKind !== undefined
      ? [false, "InvalidRouteKinds", `${badKind.kind} cannot attach to protocol ${listener.protocol}`]
      : tls.problem === undefined
        ? [true, "ResolvedRefs", tls.warnings.join("; ")]
        : [false, tls.problem[0], [tls.problem[1], ...tls.warnings].join("; ")];
  const isServing = accepted[0] && (!isEnded || tls.certificates.length > 0);
  const conflicted: [boolean, string, string] =
    conflict === undefined ? [false, "NoConflicts", ""] : [true, conflict[0], conflict[1]];
  const programmed: [boolean, string, string] = isServing ? [true, "Programmed", ""] : [false, "Invalid", ""];
  return {
    ...{ gateway, listener, kinds, isServing, certificates: tls.certificates },
    title: `Gateway ${gateway.metadata.namespace}/${gateway.metadata.name} listener ${listener.name}`,
    hostname: (listener.hostname ?? "").toLowerCase(),
    conditions: [
      condition("Accepted", accepted),
      condition("ResolvedRefs", resolved),
      condition("Programmed", programmed),
      condition("Conflicted", conflicted),
    ],
  };
}

/** Of a Gateway that is not accepted: it serves nobody. */
export function withheld(own: OwnListener): OwnListener {
  const conditions = own.conditions.map((each) =>
    each.type === "Programmed" ? condition("Programmed", [false, "Invalid", ""]) : each,
  );
  return { ...own, conditions, isServing: false };
}

/** Then whoever has no certificate is to be kept out. */
function asksForClients({ spec }: Gateway, listener: Listener): boolean {
  const { tls } = listener;
  return endsTls(listener) && (tls?.frontendValidation !== undefined || spec.tls?.frontend !== undefined);
}

export function condition(
  type: string,
  [isTrue, reason, message]: [boolean, string, string],
): GatewayCondition {
  return { type, status: isTrue ? "True" : "False", reason, message };
}

/** Undefined: the route may attach. */
export function whyNotAllowed(
  { gateway, listener, kinds }: OwnListener,
  route: Route,
  { namespaces }: ListenerWorld,
): string | undefined {
  if (!kinds.includes(route.kind)) return `listener ${listener.name} takes no ${route.kind}`;
  const { from, selector } = listener.allowedRoutes.namespaces;
  const namespace = route.metadata.namespace ?? "";
  const isAllowed =
    from === "All" ||
    (from === "Same" && namespace === gateway.metadata.namespace) ||
    (from === "Selector" &&
      selector !== undefined &&
      matchesSelector(selector, namespaces.get(namespace) ?? { "kubernetes.io/metadata.name": namespace }));
  return isAllowed ? undefined : `listener ${listener.name} takes no routes of namespace ${namespace}`;
}

export function namespaceLabels(
  objects: readonly KubeObject[],
): Map<string, Readonly<Record<string, string>>> {
  const namespaces = objects.filter(({ kind }) => kind === "Namespace");
  return new Map(namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
}
