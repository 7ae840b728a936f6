// What a GatewayClass of podwire's says that its Gateways do, by the names that the Gateway API's conformance tests have
// for it (v1.4).
const NAMES: readonly string[] = [
  ...["Gateway", "ReferenceGrant", "HTTPRoute", "GRPCRoute", "TLSRoute", "UDPRoute", "BackendTLSPolicy"],
  ...["BackendTLSPolicySANValidation", "GRPCRouteNamedRouteRule", "GatewayAddressEmpty"],
  ...["GatewayHTTPListenerIsolation", "GatewayPort8080", "HTTPRouteBackendProtocolH2C"],
  ...["HTTPRouteBackendProtocolWebSocket", "HTTPRouteBackendRequestHeaderModification"],
  ...["HTTPRouteBackendTimeout", "HTTPRouteCORS", "HTTPRouteDestinationPortMatching", "HTTPRouteHostRewrite"],
  ...["HTTPRouteMethodMatching", "HTTPRouteNamedRouteRule", "HTTPRouteParentRefPort"],
  ...["HTTPRoutePathRedirect", "HTTPRoutePathRewrite", "HTTPRoutePortRedirect"],
  ...["HTTPRouteQueryParamMatching", "HTTPRouteRequestMirror", "HTTPRouteRequestMultipleMirrors"],
  ...["HTTPRouteRequestPercentageMirror", "HTTPRouteRequestTimeout", "HTTPRouteResponseHeaderModification"],
  "HTTPRouteSchemeRedirect",
];
/** Where each Gateway has a Service and pods of its own. */
const OWN_NAMES: readonly string[] = ["GatewayInfrastructurePropagation", "GatewayStaticAddresses"];

/** In the order that the status has to have. `areOwn`: each Gateway has a Service and pods of its own. */
export function supportedFeatures(areOwn: boolean): { readonly name: string }[] {
  return [...NAMES, ...(areOwn ? OWN_NAMES : [])].sort().map((name) => ({ name }));
}
