// Kinds of the Gateway API (gateway.networking.k8s.io, v1.4), custom resources in a cluster. Who reads manifests for HTTP
// requests knows them; to everybody else they are kinds of others.
import type { KindInfo } from "../kinds.ts";

const GROUP = "gateway.networking.k8s.io";

const kind = (name: string, plural: string, shortName: string, versions: readonly string[]): KindInfo => ({
  kind: name,
  apiVersion: `${GROUP}/${versions[0]}`,
  formerVersions: versions.slice(1).map((version) => `${GROUP}/${version}`),
  plural,
  singular: name.toLowerCase(),
  shortNames: [shortName],
  namespaced: name !== "GatewayClass",
  custom: true,
  stored: true,
});

export const GATEWAY_KINDS: readonly KindInfo[] = [
  kind("GatewayClass", "gatewayclasses", "gc", ["v1", "v1beta1"]),
  kind("Gateway", "gateways", "gtw", ["v1", "v1beta1"]),
  kind("HTTPRoute", "httproutes", "httproute", ["v1", "v1beta1"]),
  kind("GRPCRoute", "grpcroutes", "grpcroute", ["v1", "v1alpha2"]),
  kind("TLSRoute", "tlsroutes", "tlsroute", ["v1", "v1alpha3", "v1alpha2"]),
  kind("TCPRoute", "tcproutes", "tcproute", ["v1alpha2"]),
  kind("UDPRoute", "udproutes", "udproute", ["v1alpha2"]),
  kind("ReferenceGrant", "referencegrants", "refgrant", ["v1beta1", "v1", "v1alpha2"]),
  kind("BackendTLSPolicy", "backendtlspolicies", "btlspolicy", ["v1", "v1alpha3"]),
];

/** Undefined: none of them, or a version that says the same in other fields. */
export function gatewayKind(apiVersion: string, name: string): KindInfo | undefined {
  return GATEWAY_KINDS.find(
    (each) => each.kind === name && [each.apiVersion, ...(each.formerVersions ?? [])].includes(apiVersion),
  );
}
