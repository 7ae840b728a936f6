// Field names and types of the Gateway API's kinds (v1.4, standard and experimental channel), for strict decoding: the
// notation is kubernetes-types.ts's.
import { KUBERNETES_TYPES, parseTypes } from "../manifest/kubernetes-types.ts";

const TYPES = `
  AllowedRoutes: kinds:[RouteGroupKind] namespaces:RouteNamespaces
  BackendTLSPolicy: apiVersion:s kind:s metadata:ObjectMeta spec:BackendTLSPolicySpec status:PolicyStatus
  BackendTLSPolicySpec: options:{s} targetRefs:[PolicyTargetReference] validation:BackendTLSPolicyValidation
  BackendTLSPolicyValidation: caCertificateRefs:[ObjectRef] hostname:s
      subjectAltNames:[SubjectAltName] wellKnownCACertificates:s
  BackendObjectReference: group:s kind:s name:s namespace:s port:i
  BackendRef: filters:[RouteFilter] group:s kind:s name:s namespace:s port:i weight:i
  CORSFilter: allowCredentials:b allowHeaders:[s] allowMethods:[s] allowOrigins:[s] exposeHeaders:[s] maxAge:i
  CookieConfig: lifetimeType:s
  Fraction: denominator:i numerator:i
  GRPCMethodMatch: method:s service:s type:s
  GRPCRoute: apiVersion:s kind:s metadata:ObjectMeta spec:GRPCRouteSpec status:RouteStatus
  GRPCRouteMatch: headers:[ValueMatch] method:GRPCMethodMatch
  GRPCRouteRule: backendRefs:[BackendRef] filters:[RouteFilter] matches:[GRPCRouteMatch] name:s
      sessionPersistence:SessionPersistence
  GRPCRouteSpec: hostnames:[s] parentRefs:[ParentReference] rules:[GRPCRouteRule] useDefaultGateways:s
  Gateway: apiVersion:s kind:s metadata:ObjectMeta spec:GatewaySpec status:GatewayStatus
  GatewayClass: apiVersion:s kind:s metadata:ObjectMeta spec:GatewayClassSpec status:GatewayClassStatus
  GatewayClassSpec: controllerName:s description:s parametersRef:any
  GatewaySpec: addresses:[GatewayAddress] allowedListeners:any backendTLS:any defaultScope:s gatewayClassName:s
      infrastructure:GatewayInfrastructure listeners:[Listener] tls:any
  GatewayAddress: type:s value:s
  GatewayInfrastructure: annotations:{s} labels:{s} parametersRef:LocalParametersReference
  GatewayClassStatus: conditions:[Condition] supportedFeatures:[SupportedFeature]
  GatewayStatus: addresses:[GatewayAddress] attachedListenerSets:i conditions:[Condition]
      listeners:[ListenerStatus]
  GatewayTLSConfig: certificateRefs:[ObjectRef] frontendValidation:any mode:s options:{s}
  HTTPHeaderFilter: add:[NamedValue] remove:[s] set:[NamedValue]
  HTTPPathMatch: type:s value:s
  HTTPPathModifier: replaceFullPath:s replacePrefixMatch:s type:s
  HTTPRequestMirrorFilter: backendRef:BackendObjectReference fraction:Fraction percent:i
  HTTPRequestRedirectFilter: hostname:s path:HTTPPathModifier port:i scheme:s statusCode:i
  HTTPRoute: apiVersion:s kind:s metadata:ObjectMeta spec:HTTPRouteSpec status:RouteStatus
  HTTPRouteMatch: headers:[ValueMatch] method:s path:HTTPPathMatch queryParams:[ValueMatch]
  HTTPRouteRetry: attempts:i backoff:s codes:[i]
  HTTPRouteRule: backendRefs:[BackendRef] filters:[RouteFilter] matches:[HTTPRouteMatch] name:s
      retry:HTTPRouteRetry sessionPersistence:SessionPersistence timeouts:HTTPRouteTimeouts
  HTTPRouteSpec: hostnames:[s] parentRefs:[ParentReference] rules:[HTTPRouteRule] useDefaultGateways:s
  HTTPRouteTimeouts: backendRequest:s request:s
  HTTPURLRewriteFilter: hostname:s path:HTTPPathModifier
  Listener: allowedRoutes:AllowedRoutes hostname:s name:s port:i protocol:s tls:GatewayTLSConfig
  ListenerStatus: attachedRoutes:i conditions:[Condition] name:s supportedKinds:[RouteGroupKind]
  LocalParametersReference: group:s kind:s name:s
  NamedValue: name:s value:s
  ObjectRef: group:s kind:s name:s namespace:s
  ParentReference: group:s kind:s name:s namespace:s port:i sectionName:s
  PolicyAncestorStatus: ancestorRef:ParentReference conditions:[Condition] controllerName:s
  PolicyStatus: ancestors:[PolicyAncestorStatus]
  PolicyTargetReference: group:s kind:s name:s sectionName:s
  ReferenceGrant: apiVersion:s kind:s metadata:ObjectMeta spec:ReferenceGrantSpec
  ReferenceGrantFrom: group:s kind:s namespace:s
  ReferenceGrantSpec: from:[ReferenceGrantFrom] to:[ReferenceGrantTo]
  ReferenceGrantTo: group:s kind:s name:s
  RouteFilter: cors:CORSFilter extensionRef:ObjectRef externalAuth:any requestHeaderModifier:HTTPHeaderFilter
      requestMirror:HTTPRequestMirrorFilter requestRedirect:HTTPRequestRedirectFilter
      responseHeaderModifier:HTTPHeaderFilter type:s urlRewrite:HTTPURLRewriteFilter
  RouteGroupKind: group:s kind:s
  RouteNamespaces: from:s selector:LabelSelector
  RouteParentStatus: conditions:[Condition] controllerName:s parentRef:ParentReference
  RouteStatus: parents:[RouteParentStatus]
  SessionPersistence: absoluteTimeout:s cookieConfig:CookieConfig idleTimeout:s sessionName:s type:s
  SubjectAltName: hostname:s type:s uri:s
  SupportedFeature: name:s
  TCPRoute: apiVersion:s kind:s metadata:ObjectMeta spec:StreamRouteSpec status:RouteStatus
  UDPRoute: apiVersion:s kind:s metadata:ObjectMeta spec:StreamRouteSpec status:RouteStatus
  StreamRouteSpec: parentRefs:[ParentReference] rules:[TLSRouteRule] useDefaultGateways:s
  TLSRoute: apiVersion:s kind:s metadata:ObjectMeta spec:TLSRouteSpec status:RouteStatus
  TLSRouteRule: backendRefs:[BackendRef] name:s
  TLSRouteSpec: hostnames:[s] parentRefs:[ParentReference] rules:[TLSRouteRule] useDefaultGateways:s
  ValueMatch: name:s type:s value:s
`;

/** With the types of Kubernetes that they are made of. */
export const GATEWAY_TYPES: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  ...KUBERNETES_TYPES,
  ...parseTypes(TYPES),
]);
