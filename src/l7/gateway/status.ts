// What a controller would write of Gateways and their routes, without times; and the part of it that is worth a note.
import type { GatewayCondition, ParentRef } from "../../kube/gateway/gateway-objects.ts";

export interface ListenerStatus {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  readonly conditions: readonly GatewayCondition[];
}

/** What a controller would write of one object, without times. */
export interface ObjectStatus {
  /** "Gateway infra/web" */
  readonly object: string;
  readonly conditions?: readonly GatewayCondition[];
  readonly listeners?: readonly ListenerStatus[];
  readonly parents?: readonly {
    readonly parentRef: ParentRef;
    readonly controllerName: string;
    readonly conditions: readonly GatewayCondition[];
  }[];
  /** Of a policy: the Gateways at which it is heeded. */
  readonly ancestors?: readonly {
    readonly ancestorRef: ParentRef;
    readonly controllerName: string;
    readonly conditions: readonly GatewayCondition[];
  }[];
}

/** "HTTPRoute shop/web: Accepted is False at Gateway web: NoMatchingParent: …", a line each. */
export function statusNotes(statuses: readonly ObjectStatus[]): string[] {
  return statuses.flatMap(({ object, conditions: own = [], listeners = [], parents, ancestors = [] }) => [
    ...bad(
      object,
      "",
      own.filter(({ type }) => type === "Accepted"),
    ),
    ...listeners.flatMap(({ name, conditions }) => bad(`${object} listener ${name}`, "", conditions)),
    ...(parents ?? []).flatMap(({ parentRef, conditions }) =>
      bad(object, ` at Gateway ${parentRef.name}`, conditions),
    ),
    ...ancestors.flatMap(({ ancestorRef, conditions }) =>
      bad(object, ` at Gateway ${ancestorRef.name}`, conditions),
    ),
    ...(parents?.length === 0 ? [`${object}: names no Gateway that is served here`] : []),
  ]);
}

function bad(object: string, at: string, conditions: readonly GatewayCondition[]): string[] {
  return conditions
    .filter(({ type, message }) => type !== "Conflicted" && message !== "")
    .map(({ type, status, reason, message }) =>
      status === "False"
        ? `${object}: ${type} is False${at}: ${reason}: ${message}`
        : `${object}${at}: ${message}`,
    );
}
