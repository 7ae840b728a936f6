// What becomes of an HTTP request, by the objects alone: no sockets, no clock, no chance. The same objects and the same
// request give the same decision, and every step of it can be told. Where chance is to choose, the decision has shares.
import type { KubeObject } from "../kube/objects.ts";
import { type BackendOptions, Backends } from "./backends.ts";
import { answer, type Decision, type Step, type Tell } from "./decision.ts";
import { IngressRules } from "./ingress/ingress.ts";
import { type HttpRequest, seen } from "./request.ts";

/** Kinds that decide, besides those that tell of endpoints. */
export const ROUTING_KINDS: readonly string[] = ["Ingress", "IngressClass", "ConfigMap", "Secret"];

const NOT_FOUND = 404;

export class Evaluator {
  readonly #ingress: IngressRules;
  /** What whoever wrote the objects should know, a line each, once. */
  readonly notes: readonly string[];
  /** Ingresses that are served. */
  readonly count: number;

  /** `objects`: defaulted and checked; they are not looked at again when they change. */
  constructor(objects: readonly KubeObject[], options: BackendOptions = {}) {
    const backends = new Backends(objects, options);
    this.#ingress = new IngressRules(objects, backends);
    this.notes = this.#ingress.notes;
    this.count = this.#ingress.count;
  }

  evaluate(request: HttpRequest, tell?: Tell): Decision {
    if (request.gateway !== undefined)
      return { action: answer(NOT_FOUND), reason: `Gateway ${request.gateway}: Gateways are not read here` };
    return this.#ingress.decide(seen(request), tell);
  }

  explain(request: HttpRequest): { readonly decision: Decision; readonly steps: readonly Step[] } {
    const steps: Step[] = [];
    const decision = this.evaluate(request, (step, text) => steps.push({ step, text }));
    return { decision, steps };
  }
}
