// An API server's object, all of it but for what servers write for themselves: checked and defaulted as a manifest is.
import { applyDefaults } from "../../kube/defaults.ts";
import { gatewayKinds } from "../../kube/gateway/read-gateway.ts";
import type { KindInfo } from "../../kube/kinds.ts";
import { decodeCarried, decodeOwn, isTyped } from "../../kube/manifest/decode.ts";
import { FieldProblems } from "../../kube/manifest/field-problems.ts";
import { policyKinds } from "../../kube/mesh/read-policy.ts";
import type { KubeObject } from "../../kube/objects.ts";
import { validateObject } from "../../kube/validate/object.ts";
import type { Received } from "./received.ts";

/** Or why it cannot be used: one line. `hasStatus`: with its status as it came, and the version that this makes it. */
export function wholeObject(received: Received, info: KindInfo, hasStatus = false): KubeObject | string {
  const { kind, apiVersion } = info;
  const { managedFields: _, resourceVersion, ...kept } = (received.metadata ?? {}) as Record<string, unknown>;
  const metadata = { ...kept, ...(hasStatus && { resourceVersion }) };
  const { status, ...rest } = received as Record<string, unknown>;
  const problems = new FieldProblems();
  const custom = gatewayKinds(apiVersion, kind) ?? policyKinds(apiVersion, kind);
  const value = { ...rest, apiVersion, kind, metadata };
  const object = (
    custom !== undefined
      ? custom.read(value, kind, problems)
      : isTyped(kind)
        ? decodeOwn(value, kind, problems)
        : decodeCarried(value, kind, problems)
  ) as KubeObject;
  const wrong = (): string | undefined =>
    problems.list.find(({ message }) => !message.startsWith("unknown field"))?.message; // of a server newer than this
  const mistyped = wrong();
  if (mistyped !== undefined) return mistyped;
  applyDefaults(object, info.namespaced, "default");
  if (custom === undefined) validateObject(object, info, problems);
  const refused = wrong();
  if (refused !== undefined) return refused;
  return hasStatus && status !== undefined ? ({ ...object, status } as KubeObject) : object;
}
