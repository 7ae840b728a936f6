// Fields of the Gateway API that are taken and that nothing here acts on: each is told of. What would keep somebody
// out is not among them: a listener that asks for client certificates does not serve (listeners.ts).
import { type KubeObject, keyOf } from "../../kube/objects.ts";

const OF_ROUTES = ["spec.useDefaultGateways"];
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Gateway: [
    "spec.allowedListeners",
    "spec.backendTLS",
    "spec.defaultScope",
    "spec.listeners[*].tls.options",
    "spec.tls.backend",
  ],
  HTTPRoute: OF_ROUTES,
  GRPCRoute: OF_ROUTES,
  TLSRoute: OF_ROUTES,
  TCPRoute: OF_ROUTES,
  UDPRoute: OF_ROUTES,
  BackendTLSPolicy: ["spec.options"],
};

/** A line each. */
export function unservedFields(objects: readonly KubeObject[]): string[] {
  return objects.flatMap((object) =>
    (FIELDS[object.kind] ?? [])
      .filter((path) => isSet(object, path.split(".")))
      .map((path) => `${object.kind} ${keyOf(object)}: ${path} does nothing here`),
  );
}

function isSet(value: unknown, [step, ...rest]: readonly string[]): boolean {
  if (step === undefined) return value !== undefined;
  const name = step.replace("[*]", "");
  const inner = (value as Readonly<Record<string, unknown>> | undefined)?.[name];
  if (name === step) return isSet(inner, rest);
  return ((inner ?? []) as readonly unknown[]).some((each) => isSet(each, rest));
}
