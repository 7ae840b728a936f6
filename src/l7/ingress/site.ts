// Ingresses → sites: for each host its paths, where they lead, and what annotations say of them. Who is older has what
// two claim; the later one is told.
import { RE2JS } from "re2js";
import { type Ingress, type IngressBackend, keyOf } from "../../kube/objects.ts";
import type { PortRef } from "../backends.ts";
import { type Certificate, type Certificates, covers } from "../certificates.ts";
import type { Choice } from "../decision.ts";
import { HostMap } from "../match/host-map.ts";
import { type PathKind, PathMap } from "../match/path-map.ts";
import { type Canary as CanarySettings, readSettings, type Settings } from "./settings.ts";

/** A path of an Ingress, or its default backend. */
export interface Location {
  /** "Ingress shop/web rules[0].http.paths[1]" */
  readonly rule: string;
  readonly namespace: string;
  readonly path: string;
  /** "Exact", "Prefix", "ImplementationSpecific"; "": the default backend, for whatever path. */
  readonly pathType: string;
  readonly target: Target;
  readonly settings: Settings;
  /** The path as a pattern, where its host's paths are patterns or it is rewritten by one. */
  pattern: RE2JS | undefined;
  canary: Canary | undefined;
  /** What its requests have in common, worked out with the first. Kept here, where a request has to look anyway. */
  choices: readonly Choice[] | undefined;
  /** Of the endpoints that they were worked out with (Backends). */
  epoch: number;
  reason: string;
  isServed: boolean;
}

/** Where some of a path's requests go instead. */
export interface Canary {
  readonly rule: string;
  readonly target: Target;
  readonly canary: CanarySettings;
  /** Of its header's values; undefined: none is asked for, or it cannot be read. */
  readonly pattern: RE2JS | undefined;
}

/** Where a path leads, or why nowhere. */
export type Target = { readonly port: PortRef } | { readonly refused: string };

export interface Site {
  readonly host: string;
  readonly locations: Location[];
  /** Of the Ingress that has named the host first. */
  readonly otherwise: Location | undefined;
  /** By which TLS is spoken; undefined: no Ingress says any, and the proxy's own is shown. */
  certificate: Certificate | undefined;
  /** An Ingress names the host under `tls`. */
  hasTls: boolean;
  /** Some Ingress has a pattern for one of its paths: all are patterns then. */
  hasPatterns: boolean;
  /** Undefined: the paths are patterns, and `locations` is in the order in which they are tried. */
  paths: PathMap<Location> | undefined;
}

export interface Sites {
  readonly hosts: HostMap<Site>;
  /** Hosts without or with www. that lead to the other one. */
  readonly redirects: ReadonlyMap<string, string>;
  /** For hosts and paths that no rule has. */
  readonly otherwise: Location | undefined;
  readonly problems: readonly string[];
}

const KINDS: Readonly<Record<string, PathKind>> = {
  ...{ Exact: "exact", Prefix: "prefix", ImplementationSpecific: "start" },
};

/** `ingresses`: the oldest first. */
export function sitesOf(ingresses: readonly Ingress[], certificates: Certificates): Sites {
  return new SiteMaker(certificates).make(ingresses);
}

interface Read {
  readonly ingress: Ingress;
  readonly settings: Settings;
}

class SiteMaker {
  readonly #hosts = new HostMap<Site>(false);
  readonly #sites: Site[] = [];
  readonly #redirects = new Map<string, string>();
  readonly #problems = new Set<string>();
  readonly #taken = new Map<string, Location>();
  readonly #certificates: Certificates;

  constructor(certificates: Certificates) {
    this.#certificates = certificates;
  }

  make(ingresses: readonly Ingress[]): Sites {
    const all = ingresses.map((ingress): Read => ({ ingress, settings: this.#read(ingress) }));
    const plain = all.filter(({ settings }) => settings.canary === undefined);
    for (const each of plain) this.#addRules(each);
    for (const each of plain) this.#addTls(each);
    for (const each of plain) this.#addOtherHosts(each);
    for (const each of all)
      if (each.settings.canary !== undefined) this.#addCanary(each, each.settings.canary);
    for (const site of this.#sites) this.#finish(site);
    const withDefault = plain.filter(({ ingress }) => ingress.spec.defaultBackend !== undefined);
    const chosen =
      withDefault.find(({ ingress }) => (ingress.spec.rules ?? []).length === 0) ?? withDefault[0];
    return {
      hosts: this.#hosts,
      redirects: this.#redirects,
      otherwise: chosen === undefined ? undefined : defaultOf(chosen),
      problems: [...this.#problems],
    };
  }

  #read(ingress: Ingress): Settings {
    const { annotations = {}, namespace = "" } = ingress.metadata;
    return readSettings(annotations, namespace, (name, problem) =>
      this.#problems.add(`Ingress ${keyOf(ingress)}: ${name} ${problem}`),
    );
  }

  #addRules({ ingress, settings }: Read): void {
    for (const [i, { host = "", http }] of (ingress.spec.rules ?? []).entries()) {
      const site = this.#hosts.at(host, () => this.#site(host, defaultOf({ ingress, settings })));
      for (const [j, { path = "", pathType, backend }] of (http?.paths ?? []).entries()) {
        const rule = `Ingress ${keyOf(ingress)} rules[${i}].http.paths[${j}]`;
        const location = locationOf(rule, { ingress, settings }, path || "/", pathType, backend);
        site.hasPatterns ||= isPattern(location);
        const key = placeOf(host, location.path, pathType);
        const older = this.#taken.get(key);
        if (older === undefined) {
          this.#taken.set(key, location);
          site.locations.push(location);
        } else
          this.#problems.add(
            `${rule}: ${location.path} of host ${host || "*"} is ${older.rule}'s, which is older`,
          );
      }
    }
  }

  #site(host: string, otherwise: Location | undefined): Site {
    const site: Site = {
      ...{
        host,
        otherwise,
        locations: [],
        certificate: undefined,
        hasTls: false,
        hasPatterns: false,
        paths: undefined,
      },
    };
    this.#sites.push(site);
    return site;
  }

  /** A host's own entry first, then whatever certificate is for it. */
  #addTls({ ingress }: Read): void {
    const { tls = [], rules = [] } = ingress.spec;
    const namespace = ingress.metadata.namespace ?? "";
    const known = tls.map((each) => ({
      hosts: each.hosts ?? [],
      certificate:
        (each.secretName ?? "") === "" ? undefined : this.#certificates.find(namespace, each.secretName!),
    }));
    for (const { certificate } of known) this.#tellOf(ingress, certificate);
    for (const { host = "" } of rules) {
      const site = this.#hosts.at(host, () => this.#site(host, undefined));
      const own = known.find(({ hosts }) => hosts.includes(host));
      const fitting = known.find(({ certificate }) => covers(certificate?.names ?? [], host));
      const chosen = own ?? (host === "" ? known.find(({ hosts }) => hosts.length === 0) : fitting);
      if (chosen === undefined || site.hasTls) continue;
      site.hasTls = true;
      site.certificate = this.#shownAt(host, chosen.certificate, ingress);
    }
  }

  #tellOf(ingress: Ingress, certificate: Certificate | undefined): void {
    if (certificate === undefined) return;
    const { problem, warnings } = certificate;
    const wrong = problem === "" ? [] : [`${problem}: the proxy shows its own certificate`];
    for (const each of [...wrong, ...warnings]) this.#problems.add(`Ingress ${keyOf(ingress)}: ${each}`);
  }

  /** One that is not for the host is not shown for it, as ingress-nginx has it. */
  #shownAt(host: string, certificate: Certificate | undefined, ingress: Ingress): Certificate | undefined {
    if (certificate === undefined || certificate.problem !== "") return certificate;
    const { names, secret } = certificate;
    if (host === "" || covers(names, host)) return certificate;
    const own = names.join(", ") || "no name";
    const wrong = `the certificate of Secret ${secret} is for ${own}, and not for ${host}`;
    this.#problems.add(`Ingress ${keyOf(ingress)}: ${wrong}: the proxy shows its own certificate`);
    return undefined;
  }

  #addOtherHosts({ ingress, settings }: Read): void {
    for (const { host = "" } of ingress.spec.rules ?? []) {
      if (host === "") continue;
      const site = this.#hosts.at(host, () => this.#site(host, undefined));
      for (const alias of settings.aliases) {
        if (this.#hosts.at(alias, () => site) !== site)
          this.#problems.add(
            `Ingress ${keyOf(ingress)}: server-alias ${alias} is a host of its own: left out`,
          );
      }
      if (!settings.fromToWww || host.startsWith("*.")) continue;
      const other = host.startsWith("www.") ? host.slice("www.".length) : `www.${host}`;
      if (this.#hosts.has(other))
        this.#problems.add(
          `Ingress ${keyOf(ingress)}: from-to-www-redirect: ${other} is a host of its own: no redirect`,
        );
      else this.#redirects.set(other, host);
    }
  }

  #addCanary({ ingress }: Read, canary: CanarySettings): void {
    for (const [i, { host = "", http }] of (ingress.spec.rules ?? []).entries()) {
      for (const [j, { path = "", pathType, backend }] of (http?.paths ?? []).entries()) {
        const rule = `Ingress ${keyOf(ingress)} rules[${i}].http.paths[${j}]`;
        const main = this.#taken.get(placeOf(host, path || "/", pathType));
        if (main === undefined)
          this.#problems.add(
            `${rule}: a canary of nothing: no other Ingress has ${path || "/"} of host ${host || "*"}`,
          );
        else if (main.canary !== undefined)
          this.#problems.add(`${rule}: ${main.rule} has a canary already, ${main.canary.rule}: left out`);
        else {
          const pattern =
            canary.headerPattern === "" ? undefined : this.#compile(canary.headerPattern, rule, 0);
          main.canary = { rule, target: targetOf(ingress, backend), canary, pattern };
        }
      }
    }
  }

  /** Patterns are tried the longest first. */
  #finish(site: Site): void {
    if (!site.hasPatterns) {
      const paths = new PathMap<Location>();
      for (const location of site.locations)
        paths.at(KINDS[location.pathType], location.path, () => location);
      site.paths = paths;
      return;
    }
    for (const location of site.locations) {
      location.pattern = this.#compile(`^${location.path}`, location.rule, RE2JS.CASE_INSENSITIVE);
    }
    site.locations.sort((a, b) => b.path.length - a.path.length || byLetters(b.path, a.path));
  }

  #compile(text: string, rule: string, flags: number): RE2JS | undefined {
    try {
      return RE2JS.compile(text, flags);
    } catch (error) {
      const why = `is no pattern of RE2, so that it matches nothing: ${(error as Error).message}`;
      this.#problems.add(`${rule}: ${JSON.stringify(text)} ${why}`);
      return undefined;
    }
  }
}

function isPattern({ path, settings }: Location): boolean {
  return settings.useRegex || (settings.rewrite !== "" && settings.rewrite !== path);
}

function byLetters(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function placeOf(host: string, path: string, pathType: string): string {
  return `${host} ${pathType} ${path}`;
}

function defaultOf({ ingress, settings }: Read): Location | undefined {
  const { defaultBackend } = ingress.spec;
  if (defaultBackend === undefined) return undefined;
  return locationOf(
    `Ingress ${keyOf(ingress)} defaultBackend`,
    { ingress, settings },
    "/",
    "",
    defaultBackend,
  );
}

/** One literal: what V8 puts together of several lies in two places, and a request would wait for both. */
function locationOf(
  rule: string,
  { ingress, settings }: Read,
  path: string,
  pathType: string,
  backend: IngressBackend,
): Location {
  return {
    rule,
    settings,
    canary: undefined,
    choices: undefined,
    epoch: 0,
    reason: "",
    isServed: false,
    path,
    pathType,
    pattern: undefined,
    namespace: ingress.metadata.namespace ?? "",
    target: targetOf(ingress, backend),
  };
}

function targetOf({ metadata }: Ingress, { service, resource }: IngressBackend): Target {
  if (service === undefined) {
    const { apiGroup = "", kind, name } = resource ?? { kind: "?", name: "?" };
    const what = `${kind}${apiGroup === "" ? "" : `.${apiGroup}`} ${name}`;
    return { refused: `its backend is a resource, ${what}: only Services are served` };
  }
  const { name = "", number = 0 } = service.port ?? {};
  return { port: { namespace: metadata.namespace ?? "", name: service.name, port: number || name } };
}
