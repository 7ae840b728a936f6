// What Ingresses say of a request, in the order in which ingress-nginx looks at it: host, path, size, CORS, redirects,
// who asks, where to, in which words.
import { type Cidr, contains, formatIp } from "../../base/ip.ts";
import type { KubeObject } from "../../kube/objects.ts";
import type { Backends } from "../backends.ts";
import type { Certificates } from "../certificates.ts";
import { type Answer, answer, type Decision, type Tell } from "../decision.ts";
import { encodedPath } from "../match/normal-path.ts";
import { headerOf, hostName, type Seen } from "../request.ts";
import { ownIngresses } from "./class.ts";
import { corsAnswer } from "./cors.ts";
import { type CustomHeaders, type Forwarding, forwardTo } from "./forward.ts";
import { type Location, type Site, type Sites, sitesOf } from "./site.ts";

const ACME = "/.well-known/acme-challenge";
const STATUS = {
  tls: 308,
  appRoot: 302,
  tooLarge: 413,
  forbidden: 403,
  unserved: 503,
  notFound: 404,
  bad: 400,
};

export class IngressRules {
  readonly #sites: Sites;
  readonly #forwarding: Forwarding;
  /** Ingresses that others serve, and what is wrong with those served here; a line each. */
  readonly notes: readonly string[];
  /** Ingresses served here. */
  readonly count: number;

  constructor(objects: readonly KubeObject[], backends: Backends, certificates: Certificates) {
    const { own, others } = ownIngresses(objects);
    this.#sites = sitesOf(own, certificates);
    this.count = own.length;
    const maps = new Map<string, Readonly<Record<string, string>>>();
    for (const { kind, metadata, ...rest } of objects) {
      if (kind !== "ConfigMap") continue;
      maps.set(
        `${metadata.namespace}/${metadata.name}`,
        (rest as { data?: Record<string, string> }).data ?? {},
      );
    }
    const customHeaders: CustomHeaders = (name) => maps.get(name);
    this.#forwarding = { backends, customHeaders };
    this.notes = [...others, ...this.#sites.problems];
  }

  decide(seen: Seen, tell: Tell | undefined): Decision {
    const { request, path, host } = seen;
    if (path === undefined)
      return plain(answer(STATUS.bad), `the path ${request.target} makes no sense: escapes or dot segments`);
    const to = this.#sites.redirects.get(host);
    if (to !== undefined) {
      tell?.("host", `${host} is the other name of ${to} (from-to-www-redirect)`);
      return plain(
        answer(STATUS.tls, [], `${request.scheme}://${to}${request.target}`),
        `${host} leads to ${to}`,
        this.#certOf(seen, tell),
      );
    }
    const site = this.#sites.hosts.find(host, (found) => found);
    const cert = this.#certOf(seen, tell);
    const location = this.#locate(seen, site, path, tell);
    if (location === undefined)
      return plain(answer(STATUS.notFound), `no rule for host ${host || "(none)"} and path ${path}`, cert);
    const { action, reason } = this.#decideAt(location, seen, site, tell);
    return { rule: location.rule, cert, action, reason };
  }

  #certOf(seen: Seen, tell: Tell | undefined): string | undefined {
    const { request, host } = seen;
    if (request.scheme !== "https") return undefined;
    const name = request.sni === undefined ? host : hostName(request.sni);
    const site = this.#sites.hosts.find(this.#sites.redirects.get(name) ?? name, (found) => found);
    const certificate = site?.certificate;
    if (certificate === undefined) {
      tell?.("tls", `no Ingress has a certificate for ${name || "no name"}: the proxy shows its own`);
      return undefined;
    }
    if (certificate.isMissing) {
      tell?.("tls", `${certificate.problem}: the proxy shows its own certificate`);
      return undefined;
    }
    const wrong = certificate.problem === "" ? "" : `, but ${certificate.problem}`;
    tell?.("tls", `${name || "no name"}: the certificate of Secret ${certificate.secret}${wrong}`);
    return certificate.secret;
  }

  #locate(seen: Seen, site: Site | undefined, path: string, tell: Tell | undefined): Location | undefined {
    if (site === undefined) tell?.("host", `no rule has host ${seen.host || "(none)"}`);
    else tell?.("host", `${seen.host || "no Host"} is served by ${siteText(site, seen.host)}`);
    const found = site === undefined ? undefined : pathOf(site, path);
    if (found !== undefined) {
      tell?.("path", `${path} matches ${howMatched(found, site?.paths === undefined)}: ${found.rule}`);
      return found;
    }
    const otherwise = site?.otherwise ?? this.#sites.otherwise;
    if (otherwise === undefined) tell?.("path", `${path} matches no rule, and there is no default backend`);
    else tell?.("path", `${path} matches no rule: ${otherwise.rule}`);
    return otherwise;
  }

  #decideAt(location: Location, seen: Seen, site: Site | undefined, tell: Tell | undefined): Decision {
    const { settings } = location;
    if (settings.denied !== "") return plain(answer(STATUS.unserved), settings.denied);
    const early = tooLarge(location, seen) ?? corsAnswer(settings.cors, seen, tell);
    if (early !== undefined) return early;
    const redirect = redirectOf(location, seen, site);
    if (redirect !== undefined) return redirect;
    const refused = refusedClient(location, seen, tell);
    if (refused !== undefined) return refused;
    return forwardTo(location, seen, this.#forwarding, tell);
  }
}

function plain(action: Answer, reason: string, cert?: string): Decision {
  return { action, reason, cert };
}

function siteText(site: Site, host: string): string {
  if (site.host === "") return "rules without a host";
  if (site.host.startsWith("*.")) return `the rules of ${site.host}`;
  return site.host === host ? "its own rules" : `the rules of ${site.host} (server-alias)`;
}

function pathOf({ paths, locations }: Site, path: string): Location | undefined {
  if (paths !== undefined) return paths.find(path, (found) => found);
  return locations.find(({ pattern }) => pattern?.matcher(path).find() === true);
}

function howMatched({ path, pathType }: Location, isPattern: boolean): string {
  return isPattern ? `the pattern ^${path}, whatever case` : `${pathType} ${path}`;
}

function tooLarge({ settings }: Location, { request }: Seen): Decision | undefined {
  const length = Number(headerOf(request.headers, "content-length") ?? 0);
  if (settings.bodyMax === 0 || !(length > settings.bodyMax)) return undefined;
  const reason = `a body of ${length} bytes is longer than proxy-body-size, ${settings.bodyMax} bytes`;
  return plain(answer(STATUS.tooLarge), reason);
}

function redirectOf({ settings, rule }: Location, seen: Seen, site: Site | undefined): Decision | undefined {
  const { request, path = "" } = seen;
  const { appRoot, redirect, sslRedirect, forceSslRedirect } = settings;
  const host = request.host ?? "";
  if (appRoot !== "" && path === "/")
    return plain(answer(STATUS.appRoot, [], `${request.scheme}://${host}${appRoot}`), `app-root of ${rule}`);
  if (redirect !== undefined) {
    const name = redirect.status === 301 || redirect.status === 308 ? "permanent" : "temporal";
    return plain(
      answer(redirect.status, [], withVariables(redirect.url, seen)),
      `${name}-redirect of ${rule}`,
    );
  }
  if (request.scheme === "https" || !(forceSslRedirect || (sslRedirect && site?.hasTls === true)))
    return undefined;
  if (path.startsWith(ACME)) return undefined;
  const why = forceSslRedirect ? "force-ssl-redirect" : "ssl-redirect: its host has TLS";
  const to = hostWithoutPort(host) || (site?.host ?? "");
  return plain(answer(STATUS.tls, [], `https://${to}${request.target}`), `${why} (${rule})`);
}

function hostWithoutPort(host: string): string {
  return host.startsWith("[") ? host.slice(0, host.indexOf("]") + 1) : host.split(":", 1)[0];
}

/** The variables of nginx that ingress-nginx lets a redirect have. */
function withVariables(url: string, { request, host, path = "", query }: Seen): string {
  const values: Readonly<Record<string, string>> = {
    ...{
      request_uri: request.target,
      uri: encodedPath(path),
      args: query.slice(1),
      query_string: query.slice(1),
    },
    ...{ host, http_host: request.host ?? "", scheme: request.scheme, is_args: query === "" ? "" : "?" },
  };
  return url.replace(/\$\{?(\w+)\}?/g, (all, name: string) => values[name] ?? all);
}

function refusedClient(
  { settings }: Location,
  { request }: Seen,
  tell: Tell | undefined,
): Decision | undefined {
  const { allow, deny } = settings;
  if (allow.length + deny.length === 0) return undefined;
  const { client } = request;
  const name = client === undefined ? "a client of unknown address" : formatIp(client);
  const isIn = (ranges: readonly Cidr[]): boolean =>
    client !== undefined && ranges.some((range) => range.family === client.family && contains(range, client));
  if (isIn(deny)) return plain(answer(STATUS.forbidden), `${name} is in denylist-source-range`);
  if (allow.length > 0 && !isIn(allow))
    return plain(answer(STATUS.forbidden), `${name} is not in whitelist-source-range`);
  tell?.("client", `${name} is let on by its address`);
  return undefined;
}
