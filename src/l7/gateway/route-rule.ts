// A rule of a route, with the backends that its references lead to, and what is wrong with those that lead nowhere.
import type { BackendRef, HttpRule, Route, RouteFilter } from "../../kube/gateway/gateway-objects.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { durationSec } from "../../kube/validate/routing/route-rules.ts";
import { type Backends, isThere } from "../backends.ts";
import {
  type Affinity,
  type Choice,
  type HeaderChange,
  likeliest,
  type Mirror,
  type Protocol,
  type Retries,
  type Timeouts,
} from "../decision.ts";
import { percent } from "../words.ts";
import { BackendTlsPolicies } from "./backend-tls.ts";
import type { Grants } from "./grants.ts";
import { answerChanges } from "./header-changes.ts";

export interface RuleChoice extends Choice {
  readonly filters: readonly RouteFilter[];
}

export interface RouteRule extends Served {
  /** "HTTPRoute shop/web rules[0]" */
  readonly title: string;
  readonly filters: readonly RouteFilter[];
  readonly timeouts: Timeouts;
  readonly retries: Retries;
  readonly affinity: Affinity | undefined;
  /** Of the answer, by the rule's own filters. */
  readonly answerHeaders: readonly HeaderChange[];
  /** Of the endpoints that `choices` and what follows from them were made of (Backends). */
  epoch: number;
  /** Has what changes with endpoints made anew, of `own`, this rule, where they have changed. */
  refresh(own: RouteRule): void;
}

/** What changes with endpoints. */
export interface Served {
  choices: readonly RuleChoice[];
  mirrors: readonly Mirror[];
  /** Of the choices the likeliest that has a backend, and how it is spoken to. */
  drawn: Choice | undefined;
  protocol: Protocol;
  /** A choice has filters of its own. */
  hasOwnFilters: boolean;
  reason: string;
}

/** Reason and message of ResolvedRefs, where it is False. */
export type Unresolved = readonly [reason: string, message: string];

/** Whose references are looked up, and who is told of those that lead nowhere. */
interface Own {
  readonly route: Route;
  readonly told: RuleTold;
  readonly isPassed: boolean;
}

/** Who hears what a rule's references lead to. */
export interface RuleTold {
  /** Nowhere, each that does. */
  bad(problem: Unresolved): void;
  /** A Service that policies may be for, "namespace/name". */
  reached(service: string): void;
}

const NOBODY: RuleTold = { bad: () => {}, reached: () => {} };

const NONE: readonly never[] = [];
const FAILED = 500;
const UNSERVED = 503;
/** appProtocol → how the backend is spoken to. */
const PROTOCOLS: Readonly<Record<string, Protocol>> = {
  "kubernetes.io/h2c": "h2c",
  "kubernetes.io/ws": "ws",
  "kubernetes.io/wss": "wss",
  https: "https",
};
const SUPPORTED = [
  "RequestHeaderModifier",
  "ResponseHeaderModifier",
  "RequestRedirect",
  "URLRewrite",
  "RequestMirror",
  "CORS",
];
/** Of a backendRef's own; all else changes where a request goes, before a backend is drawn. */
const OF_BACKENDS = ["RequestHeaderModifier", "ResponseHeaderModifier"];

export class RuleMaker {
  readonly #backends: Backends;
  readonly #grants: Grants;
  readonly policies: BackendTlsPolicies;

  constructor(objects: readonly KubeObject[], backends: Backends, grants: Grants) {
    this.#backends = backends;
    this.#grants = grants;
    this.policies = new BackendTlsPolicies(objects);
  }

  /** `isPassed`: its TLS is its clients' own, and no policy is asked. */
  make(route: Route, index: number, told: RuleTold, isPassed = false): RouteRule {
    const rule = route.spec.rules[index] as HttpRule;
    const { filters = [], timeouts = {}, retry, sessionPersistence } = rule;
    const title = `${route.kind} ${route.metadata.namespace}/${route.metadata.name} rules[${index}]`;
    const requestSec = durationSec(timeouts.request) || undefined;
    const trySec = durationSec(timeouts.backendRequest) || undefined;
    return {
      ...this.#served({ route, told, isPassed }, rule, title),
      epoch: this.#backends.epoch,
      refresh: (own) => this.#refresh(own, { route, told: NOBODY, isPassed }, rule),
      filters: filters.length === 0 ? NONE : filters,
      title,
      answerHeaders: answerChanges(filters),
      timeouts: { ...(requestSec !== undefined && { requestSec }), ...(trySec !== undefined && { trySec }) },
      retries: {
        on: retry === undefined ? [] : ["error", ...(retry.codes ?? []).map((code) => `http_${code}`)],
        tries: retry === undefined ? 1 : 1 + (retry.attempts ?? 1),
        timeoutSec: 0,
        ...(retry?.backoff !== undefined && { backoffSec: durationSec(retry.backoff) }),
      },
      affinity: affinityOf(sessionPersistence, title),
    };
  }

  #refresh(made: RouteRule, own: Own, rule: HttpRule): void {
    if (made.epoch === this.#backends.epoch) return;
    Object.assign(made, this.#served(own, rule, made.title));
    made.epoch = this.#backends.epoch;
  }

  #served(own: Own, rule: HttpRule, title: string): Served {
    const choices = this.#choices(own, rule);
    const drawn = likeliest(choices);
    return {
      ...{ choices, drawn, protocol: protocolOf(own.route, drawn) },
      hasOwnFilters: choices.some((each) => each.filters.length > 0),
      reason: `to ${choices.map((each) => shareText(each, choices.length)).join(", ")} by ${title}`,
      mirrors: (rule.filters ?? []).flatMap((filter) => this.#mirror(own, filter)),
    };
  }

  /** Shares by weight; what leads nowhere keeps its share, as an error. */
  #choices(own: Own, { backendRefs = [], filters = [] }: HttpRule): RuleChoice[] {
    const unsupported = [...filters, ...backendRefs.flatMap((each) => each.filters ?? [])].find(
      ({ type }) => !SUPPORTED.includes(type),
    );
    const all = backendRefs.map((ref) => ({ ref, found: this.#resolve(own, ref) }));
    const failed = (why: string): RuleChoice[] => [{ share: 1, status: FAILED, why, filters: [] }];
    if (unsupported !== undefined)
      return failed(`a filter of type ${unsupported.type} is not carried out here`);
    const total = backendRefs.reduce((sum, { weight }) => sum + weight, 0);
    if (total === 0) return failed(backendRefs.length === 0 ? "no backendRefs" : "all weights are 0");
    const choices = all.map(({ ref, found }) => ({
      ...(misplaced(ref) ?? found),
      share: ref.weight / total,
      filters: ref.filters ?? [],
    }));
    return choices.filter(({ share }) => share > 0);
  }

  #resolve({ route, told, isPassed }: Own, ref: BackendRef): Omit<Choice, "share"> {
    const fail = (reason: string, why: string): Omit<Choice, "share"> => {
      told.bad([reason, why]);
      return { status: FAILED, why };
    };
    const namespace = ref.namespace ?? route.metadata.namespace ?? "";
    if (ref.group !== "" || ref.kind !== "Service")
      return fail("InvalidKind", `${ref.kind} ${ref.name}: only Services are backends here`);
    if (!this.#grants.allows(route, ref))
      return fail(
        "RefNotPermitted",
        `no ReferenceGrant in ${namespace} lets ${route.kind}s of ${route.metadata.namespace} use Service ${ref.name}`,
      );
    const protocol = route.kind === "UDPRoute" ? "UDP" : "TCP";
    const found = this.#backends.find({ namespace, name: ref.name, port: ref.port, protocol });
    if (!isThere(found)) return fail("BackendNotFound", found.missing);
    const isBare = isPassed || protocol === "UDP";
    if (!isBare) told.reached(`${namespace}/${ref.name}`);
    if (found.endpoints.length === 0)
      return { status: UNSERVED, why: `${found.name} has no endpoint that is ready` };
    const tls = isBare ? undefined : this.policies.find(namespace, ref.name, found.portName);
    if (typeof tls === "string") return { status: UNSERVED, why: tls };
    return { backend: found, ...(tls !== undefined && { tls }) };
  }

  #mirror(own: Own, { requestMirror }: RouteFilter): Mirror[] {
    if (requestMirror === undefined) return [];
    const { backendRef, percent, fraction } = requestMirror;
    const { backend } = this.#resolve(own, backendRef);
    if (backend === undefined) return []; // the requests themselves go on
    const share =
      fraction === undefined ? (percent ?? 100) / 100 : fraction.numerator / (fraction.denominator ?? 100);
    return [{ target: backend.name, backend, share, withBody: true }];
  }
}

/** What a filter of a backendRef would do nobody does: then its share is not served without it. */
function misplaced({ name, filters = [] }: BackendRef): Omit<Choice, "share"> | undefined {
  const other = filters.find(({ type }) => !OF_BACKENDS.includes(type));
  if (other === undefined) return undefined;
  return {
    status: FAILED,
    why: `a filter of type ${other.type} of backendRef ${name} is not carried out here`,
  };
}

function shareText({ backend, status, share }: Choice, count: number): string {
  const name = backend?.name ?? String(status);
  return count === 1 ? name : `${name} (${percent(share)})`;
}

function affinityOf(persistence: HttpRule["sessionPersistence"], title: string): Affinity | undefined {
  if (persistence === undefined) return undefined;
  const {
    sessionName = `podwire-${title.replaceAll(/[^\w]+/g, "-")}`,
    type,
    absoluteTimeout,
    idleTimeout,
  } = persistence;
  const maxAge =
    persistence.cookieConfig?.lifetimeType === "Permanent" ? durationSec(absoluteTimeout) : undefined;
  const attributes = [
    ...(maxAge === undefined ? [] : [`Max-Age=${maxAge}`]),
    "HttpOnly",
    ...(absoluteTimeout === undefined ? [] : [`ends after ${absoluteTimeout}`]),
    ...(idleTimeout === undefined ? [] : [`ends when idle for ${idleTimeout}`]),
  ];
  return {
    ...{ cookie: sessionName, path: "/", attributes, ...(type === "Header" && { header: sessionName }) },
    ...(absoluteTimeout !== undefined && { absoluteSec: durationSec(absoluteTimeout) }),
    ...(idleTimeout !== undefined && { idleSec: durationSec(idleTimeout) }),
  };
}

function protocolOf({ kind }: Route, { backend, tls }: Partial<Choice> = {}): Protocol {
  const isGrpc = kind === "GRPCRoute";
  if (tls !== undefined) return isGrpc ? "grpcs" : "https";
  return PROTOCOLS[backend?.appProtocol ?? ""] ?? (isGrpc ? "grpc" : "http");
}
