// What annotations say of an Ingress, by the names and defaults of ingress-nginx. One that cannot be read counts as left
// out, and is told; one that nobody here carries out is told once, and where it would keep somebody out, so is everybody.
import type { Cidr } from "../../base/ip.ts";
import type { Affinity, Limits, OutsideAuth, Protocol, Retries, Timeouts } from "../decision.ts";
import { isToken } from "../header-form.ts";
import { AnnotationReader } from "./annotation-reader.ts";

const PREFIX = "nginx.ingress.kubernetes.io/";

export interface Settings {
  readonly aliases: readonly string[];
  readonly appRoot: string;
  readonly rewrite: string;
  readonly useRegex: boolean;
  readonly sslRedirect: boolean;
  readonly forceSslRedirect: boolean;
  readonly redirect: { readonly status: number; readonly url: string } | undefined;
  readonly fromToWww: boolean;
  /** Empty: whoever it is. */
  readonly allow: readonly Cidr[];
  readonly deny: readonly Cidr[];
  readonly bodyMax: number;
  readonly timeouts: Timeouts;
  readonly retries: Retries;
  readonly protocol: Protocol;
  readonly upstreamVhost: string;
  readonly forwardedPrefix: string;
  readonly cors: Cors | undefined;
  readonly canary: Canary | undefined;
  readonly affinity: Affinity | undefined;
  readonly limits: Limits | undefined;
  readonly auth: OutsideAuth | undefined;
  /** "namespace/name" of a ConfigMap. */
  readonly customHeaders: string;
  readonly defaultBackend: string;
  readonly mirror: { readonly target: string; readonly withBody: boolean } | undefined;
  /** The Service's address instead of its endpoints'. */
  readonly toService: boolean;
  /** Why nobody gets in: what would keep somebody out is not carried out here. */
  readonly denied: string;
}

export interface Cors {
  readonly origins: readonly string[];
  readonly methods: string;
  readonly headers: string;
  readonly expose: string;
  readonly credentials: boolean;
  readonly maxAge: number;
}

export interface Canary {
  readonly weight: number;
  readonly total: number;
  readonly header: string;
  readonly headerValue: string;
  readonly headerPattern: string;
  readonly cookie: string;
}

/** Kept from being ignored: each lets somebody in or out. */
const GUARDS = new Set(
  `auth-type auth-tls-secret auth-snippet configuration-snippet server-snippet modsecurity-snippet enable-modsecurity
   enable-owasp-core-rules global-rate-limit`.split(/\s+/),
);
const CORS_METHODS = "GET, PUT, POST, DELETE, PATCH, OPTIONS";
const CORS_HEADERS =
  "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization";
const PROTOCOLS: Readonly<Record<string, Protocol>> = {
  ...{ HTTP: "http", HTTPS: "https", AUTO_HTTP: "auto", GRPC: "grpc", GRPCS: "grpcs" },
};
const STATUS = { limited: 503, moved: 301, found: 302 };
/** Of ingress-nginx' words invalid_header is one of an error here, and updating is about a cache. */
const NEXT = /^(?:error|timeout|non_idempotent|off|http_(?:403|404|429|50[0234]))$/;
const BURST = 5; // times the rate
const BODY_MAX = 1024 * 1024; // bytes

/** `tell`: what is wrong with an annotation, by its whole name. */
export function readSettings(
  annotations: Readonly<Record<string, string>>,
  namespace: string,
  tell: (annotation: string, problem: string) => void,
): Settings {
  const r = new AnnotationReader(annotations, PREFIX, tell);
  const settings: Omit<Settings, "denied"> = {
    aliases: r.list("server-alias").map((each) => each.toLowerCase()),
    appRoot: r.matching("app-root", /^\//, "a path that begins with a slash"),
    rewrite: r.text("rewrite-target"),
    useRegex: r.flag("use-regex", false),
    sslRedirect: r.flag("ssl-redirect", true),
    forceSslRedirect: r.flag("force-ssl-redirect", false),
    redirect: redirectOf(r),
    fromToWww: r.flag("from-to-www-redirect", false),
    allow: r.allowed("whitelist-source-range", "allowlist-source-range"),
    deny: r.denied("denylist-source-range"),
    bodyMax: r.bytes("proxy-body-size", BODY_MAX),
    timeouts: {
      connectSec: r.number("proxy-connect-timeout", 5),
      sendSec: r.number("proxy-send-timeout", 60),
      readSec: r.number("proxy-read-timeout", 60),
    },
    retries: retriesOf(r),
    protocol: r.oneOf("backend-protocol", PROTOCOLS, "http"),
    upstreamVhost: r.matching("upstream-vhost", /^\S+$/, "a host"),
    forwardedPrefix: r.text("x-forwarded-prefix"),
    cors: corsOf(r),
    canary: canaryOf(r),
    affinity: affinityOf(r),
    limits: limitsOf(r),
    auth: authOf(r),
    customHeaders: qualified(r.text("custom-headers"), namespace),
    defaultBackend: r.text("default-backend"),
    mirror: mirrorOf(r),
    toService: r.flag("service-upstream", false),
  };
  return { ...settings, denied: deniedBy(r, settings.auth !== undefined) };
}

function redirectOf(r: AnnotationReader): Settings["redirect"] {
  const temporal = {
    url: r.text("temporal-redirect"),
    status: r.status("temporal-redirect-code", STATUS.found),
  };
  const permanent = {
    url: r.text("permanent-redirect"),
    status: r.status("permanent-redirect-code", STATUS.moved),
  };
  if (temporal.url !== "") return temporal;
  return permanent.url === "" ? undefined : permanent;
}

function retriesOf(r: AnnotationReader): Retries {
  const on = r.text("proxy-next-upstream", "error timeout").split(/\s+/);
  for (const word of on)
    if (!NEXT.test(word)) r.problem("proxy-next-upstream", `${JSON.stringify(word)} does nothing here`);
  return {
    on: on.includes("off") ? [] : on,
    tries: r.number("proxy-next-upstream-tries", 3),
    timeoutSec: r.number("proxy-next-upstream-timeout", 0),
  };
}

function corsOf(r: AnnotationReader): Cors | undefined {
  const cors: Cors = {
    origins: r.list("cors-allow-origin", "*"),
    methods: r.text("cors-allow-methods", CORS_METHODS),
    headers: r.text("cors-allow-headers", CORS_HEADERS),
    expose: r.text("cors-expose-headers"),
    credentials: r.flag("cors-allow-credentials", true),
    maxAge: r.number("cors-max-age", 1_728_000),
  };
  return r.flag("enable-cors", false) ? cors : undefined;
}

function canaryOf(r: AnnotationReader): Canary | undefined {
  const canary: Canary = {
    weight: r.number("canary-weight", 0),
    total: r.number("canary-weight-total", 100) || 100,
    header: r.text("canary-by-header").toLowerCase(),
    headerValue: r.text("canary-by-header-value"),
    headerPattern: r.text("canary-by-header-pattern"),
    cookie: r.text("canary-by-cookie"),
  };
  return r.flag("canary", false) ? canary : undefined;
}

function affinityOf(r: AnnotationReader): Affinity | undefined {
  const cookie = r.matching("session-cookie-name", isToken, "a cookie's name") || "INGRESSCOOKIE";
  const [path, domain] = ["session-cookie-path", "session-cookie-domain"].map((name) =>
    r.matching(name, /^[^;]+$/, "part of a cookie"),
  );
  const [maxAge, expires] = ["session-cookie-max-age", "session-cookie-expires"].map((name) =>
    r.matching(name, /^-?\d{1,10}$/, "a number of seconds"),
  );
  const sameSite = r.oneOf("session-cookie-samesite", { Strict: "Strict", Lax: "Lax", None: "None" }, "");
  const secure = r.flag("session-cookie-secure", false);
  // The defaults alone: what else they may say is not carried out, and told as any word that is not known.
  r.oneOf("affinity-mode", { balanced: "balanced" }, "balanced");
  r.oneOf("affinity-canary-behavior", { sticky: "sticky" }, "sticky");
  const affinity = r.oneOf("affinity", { cookie: "cookie" }, "");
  const attributes = [
    ...(expires === "" ? [] : [`Expires=${expires}s from now`]),
    ...(maxAge === "" ? [] : [`Max-Age=${maxAge}`]),
    ...(domain === "" ? [] : [`Domain=${domain}`]),
    ...(sameSite === "" ? [] : [`SameSite=${sameSite}`]),
    ...(secure ? ["Secure"] : []),
    "HttpOnly",
  ];
  return affinity === "" ? undefined : { cookie, path, attributes };
}

function limitsOf(r: AnnotationReader): Limits | undefined {
  const rps = r.number("limit-rps", 0);
  const rpm = r.number("limit-rpm", 0);
  const connections = r.number("limit-connections", 0);
  const multiplier = r.number("limit-burst-multiplier", BURST) || BURST;
  if (rps + rpm + connections === 0) return undefined;
  const perSec = rps > 0 ? rps : rpm / 60;
  return {
    ...(perSec > 0 && { perSec, burst: (rps > 0 ? rps : rpm) * multiplier }),
    ...(connections > 0 && { connections }),
    status: STATUS.limited,
  };
}

function authOf(r: AnnotationReader): OutsideAuth | undefined {
  const url = r.matching("auth-url", /^https?:\/\//, "an address that begins with http:// or https://");
  const auth = {
    url,
    method: r.text("auth-method", "GET"),
    signIn: r.text("auth-signin") || undefined,
    responseHeaders: r.list("auth-response-headers"),
  };
  return url === "" ? undefined : auth;
}

function mirrorOf(r: AnnotationReader): Settings["mirror"] {
  const isAddress = /^(?:https?|\$\{?scheme\}?):\/\/\S+$/;
  const target = r.matching("mirror-target", isAddress, "an address that begins with http:// or https://");
  const withBody = r.oneOf("mirror-request-body", { on: "on", off: "off" }, "on") === "on";
  return target === "" ? undefined : { target, withBody };
}

/** Tells all that nobody asked for. */
function deniedBy(r: AnnotationReader, hasAuth: boolean): string {
  const guard = r.rest().filter((name) => GUARDS.has(name) && !r.isOff(name));
  for (const name of r.rest()) {
    if (guard.includes(name))
      r.problem(name, "is not carried out here, so that every request is refused with 503");
    else r.problem(name, "is not known here and does nothing");
  }
  if (r.isGiven("auth-url") && !hasAuth) return `${PREFIX}auth-url cannot be read`;
  return guard.length === 0 ? "" : `${PREFIX}${guard[0]} is not carried out here`;
}

function qualified(name: string, namespace: string): string {
  return name === "" || name.includes("/") ? name : `${namespace}/${name}`;
}
