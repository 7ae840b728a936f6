// The Gateway API's objects as the control side sees them, defaulted. Nothing here exists at run time.
import type { Condition } from "kubernetes-types/meta/v1.js";
import type { KubeObject, LabelSelector } from "../objects.ts";

export interface ParentRef {
  group: string;
  kind: string;
  namespace?: string;
  name: string;
  sectionName?: string;
  port?: number;
}

export interface ObjectRef {
  group: string;
  kind: string;
  namespace?: string;
  name: string;
}

export interface BackendRef extends ObjectRef {
  port?: number;
  weight: number;
  filters?: RouteFilter[];
}

export interface Listener {
  name: string;
  hostname?: string;
  port: number;
  protocol: string;
  tls?: { mode: string; certificateRefs?: ObjectRef[]; frontendValidation?: object };
  allowedRoutes: {
    namespaces: { from: string; selector?: LabelSelector };
    kinds?: { group: string; kind: string }[];
  };
}

export type GatewayClass = KubeObject & {
  kind: "GatewayClass";
  spec: { controllerName: string; parametersRef?: object };
};
export type Gateway = KubeObject & {
  kind: "Gateway";
  spec: {
    gatewayClassName: string;
    listeners: Listener[];
    tls?: { frontend?: object };
    addresses?: { type: string; value?: string }[];
    infrastructure?: {
      labels?: Record<string, string>;
      annotations?: Record<string, string>;
      parametersRef?: object;
    };
  };
};

export interface HeaderModifier {
  set?: { name: string; value: string }[];
  add?: { name: string; value: string }[];
  remove?: string[];
}

export interface PathModifier {
  type: string;
  replaceFullPath?: string;
  replacePrefixMatch?: string;
}

export interface CorsFilter {
  allowOrigins?: string[];
  allowCredentials?: boolean;
  allowMethods?: string[];
  allowHeaders?: string[];
  exposeHeaders?: string[];
  maxAge: number;
}

export interface RouteFilter {
  type: string;
  requestHeaderModifier?: HeaderModifier;
  responseHeaderModifier?: HeaderModifier;
  requestRedirect?: {
    scheme?: string;
    hostname?: string;
    path?: PathModifier;
    port?: number;
    statusCode: number;
  };
  urlRewrite?: { hostname?: string; path?: PathModifier };
  requestMirror?: {
    backendRef: BackendRef;
    percent?: number;
    fraction?: { numerator: number; denominator?: number };
  };
  cors?: CorsFilter;
}

export interface ValueMatch {
  type: string;
  name: string;
  value: string;
}

export interface HttpMatch {
  path: { type: string; value: string };
  headers?: ValueMatch[];
  queryParams?: ValueMatch[];
  method?: string;
}

export interface SessionPersistence {
  sessionName?: string;
  absoluteTimeout?: string;
  idleTimeout?: string;
  type: string;
  cookieConfig?: { lifetimeType: string };
}

interface CommonRule {
  name?: string;
  filters?: RouteFilter[];
  backendRefs?: BackendRef[];
  sessionPersistence?: SessionPersistence;
}

export interface HttpRule extends CommonRule {
  matches: HttpMatch[];
  timeouts?: { request?: string; backendRequest?: string };
  retry?: { codes?: number[]; attempts?: number; backoff?: string };
}

export interface GrpcMatch {
  method?: { type: string; service?: string; method?: string };
  headers?: ValueMatch[];
}

export interface GrpcRule extends CommonRule {
  matches?: GrpcMatch[];
}

interface RouteSpec<Rule> {
  parentRefs?: ParentRef[];
  hostnames?: string[];
  rules: Rule[];
}

export type HttpRoute = KubeObject & { kind: "HTTPRoute"; spec: RouteSpec<HttpRule> };
export type GrpcRoute = KubeObject & { kind: "GRPCRoute"; spec: RouteSpec<GrpcRule> };
export type TlsRoute = KubeObject & { kind: "TLSRoute"; spec: RouteSpec<CommonRule> };
/** Of connections and of datagrams: its first rule has all of them. */
export type StreamRoute = KubeObject & { kind: "TCPRoute" | "UDPRoute"; spec: RouteSpec<CommonRule> };
export type Route = HttpRoute | GrpcRoute | TlsRoute | StreamRoute;

export type ReferenceGrant = KubeObject & {
  kind: "ReferenceGrant";
  spec: {
    from: { group: string; kind: string; namespace: string }[];
    to: { group: string; kind: string; name?: string }[];
  };
};

export type BackendTlsPolicy = KubeObject & {
  kind: "BackendTLSPolicy";
  spec: {
    targetRefs: { group: string; kind: string; name: string; sectionName?: string }[];
    validation: {
      hostname: string;
      caCertificateRefs?: ObjectRef[];
      wellKnownCACertificates?: string;
      subjectAltNames?: { type: string; hostname?: string; uri?: string }[];
    };
  };
};

export type GatewayCondition = Omit<Condition, "lastTransitionTime">;
