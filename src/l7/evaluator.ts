// What becomes of an HTTP request, by the objects alone: no sockets, no clock, no chance. The same objects and the same
// request give the same decision, and every step of it can be told. Where chance is to choose, the decision has shares.
import type { EndpointSlice, KubeObject } from "../kube/objects.ts";
import { type BackendOptions, Backends } from "./backends.ts";
import { Certificates } from "./certificates.ts";
import type { Connection, ConnectionDecision } from "./connection.ts";
import { answer, type Decision, type Step, type Tell } from "./decision.ts";
import { GatewayRules } from "./gateway/gateways.ts";
import { type ObjectStatus, statusNotes } from "./gateway/status.ts";
import { unservedFields } from "./gateway/unserved-fields.ts";
import { IngressRules } from "./ingress/ingress.ts";
import { type HttpRequest, seen } from "./request.ts";

/** Kinds that decide, besides those that tell of endpoints and those of the Gateway API. */
export const ROUTING_KINDS: readonly string[] = ["Ingress", "IngressClass", "ConfigMap", "Secret"];

const NOT_FOUND = 404;

export interface EvaluatorOptions extends BackendOptions {
  /** Since 1970: what certificates' dates are held to. Undefined: they are not looked at. No decision depends on it. */
  readonly nowMs?: number;
}

export class Evaluator {
  readonly #ingress: IngressRules;
  readonly #gateways: GatewayRules;
  readonly #backends: Backends;
  /** What whoever wrote the objects should know, a line each, once. */
  readonly notes: readonly string[];
  /** What a controller would write of Gateways and routes. */
  readonly statuses: readonly ObjectStatus[];
  /** Ingresses and Gateways that are served. */
  readonly count: number;

  /** `objects`: defaulted and checked; they are not looked at again when they change. */
  constructor(objects: readonly KubeObject[], options: EvaluatorOptions = {}) {
    const backends = new Backends(objects, options);
    this.#backends = backends;
    const certificates = new Certificates(objects, options.nowMs);
    this.#ingress = new IngressRules(objects, backends, certificates);
    this.#gateways = new GatewayRules(objects, backends, certificates);
    this.statuses = this.#gateways.statuses;
    this.notes = [
      ...this.#ingress.notes,
      ...this.#gateways.others,
      ...unservedFields(objects),
      ...statusNotes(this.statuses),
    ];
    this.count = this.#ingress.count + this.#gateways.count;
  }

  /** A slice came, changed or went: what of the objects changes most often, and costs the least. */
  replaceSlice(before: EndpointSlice | undefined, now: EndpointSlice | undefined): void {
    this.#backends.replaceSlice(before, now);
  }

  /** A request that names no Gateway is an Ingress's, where one has a rule for it. */
  evaluate(request: HttpRequest, tell?: Tell): Decision {
    const asked = seen(request);
    if (request.gateway === undefined && (this.#ingress.count > 0 || this.#gateways.count === 0)) {
      const decision = this.#ingress.decide(asked, tell);
      if (this.#gateways.count === 0 || !isNobodys(decision)) return decision;
      const other = this.#gateways.decide(asked, tell);
      return other === undefined || isNobodys(other) ? decision : other;
    }
    const name = request.gateway === undefined ? "no Gateway" : `no Gateway ${request.gateway}`;
    const at = request.port === undefined ? "" : ` at port ${request.port}`;
    return (
      this.#gateways.decide(asked, tell) ?? {
        action: answer(NOT_FOUND),
        reason: `there is ${name} with a listener for ${request.scheme}${at}`,
      }
    );
  }

  /** What becomes of a connection, or of datagrams, by the Gateways: before a request is read from it. */
  connect(asked: Connection, tell?: Tell): ConnectionDecision {
    const name = asked.gateway === undefined ? "no Gateway" : `no Gateway ${asked.gateway}`;
    return (
      this.#gateways.connect(asked, tell) ?? {
        action: { kind: "close" },
        reason: `there is ${name} with a listener for ${asked.protocol} at port ${asked.port}`,
      }
    );
  }

  explain(request: HttpRequest): { readonly decision: Decision; readonly steps: readonly Step[] } {
    const steps: Step[] = [];
    const decision = this.evaluate(request, (step, text) => steps.push({ step, text }));
    return { decision, steps };
  }
}

function isNobodys({ rule, action }: Decision): boolean {
  return rule === undefined && action.kind === "answer" && action.status === NOT_FOUND;
}
