// What Ingresses say of a request, by the book and slowly: every path of every Ingress is looked at and scored, and the
// best one is taken. It shares no code with src/l7, and the two are compared. Of annotations those that change which
// answer a request gets; patterns are JavaScript's.
import type { Ingress, IngressBackend, KubeObject, Service } from "../../kube/objects.ts";
import type { HttpRequest } from "../../l7/request.ts";

/** "shop/a:80 /path" with shares where there are several; "404"; "308 https://…". */
export type BookAnswer = string;

interface Candidate {
  readonly ingress: Ingress;
  readonly rule: string;
  readonly host: string;
  readonly path: string;
  readonly type: string;
  readonly backend: IngressBackend;
}

const PREFIX = "nginx.ingress.kubernetes.io/";
const note = ({ metadata }: Ingress, name: string): string => metadata.annotations?.[PREFIX + name] ?? "";
const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace}/${metadata.name}`;

export class IngressBook {
  readonly #ingresses: Ingress[];
  readonly #objects: readonly KubeObject[];

  constructor(objects: readonly KubeObject[]) {
    this.#objects = objects;
    const time = (each: KubeObject): string => each.metadata.creationTimestamp ?? "";
    this.#ingresses = objects
      .filter((each): each is Ingress => each.kind === "Ingress")
      .sort((a, b) => (time(a) === time(b) ? (keyOf(a) < keyOf(b) ? -1 : 1) : time(a) < time(b) ? -1 : 1));
  }

  answer(request: HttpRequest): BookAnswer {
    const host = (request.host ?? "").toLowerCase().replace(/:\d+$/, "").replace(/\.$/, "");
    const [raw, query] = [
      request.target.split("?")[0],
      request.target.slice(request.target.split("?")[0].length),
    ];
    const path = plainPath(raw);
    if (path === undefined) return "400";
    const main = this.#ingresses.filter((each) => note(each, "canary") !== "true");
    const owner = this.#ownerOf(host, main);
    if (owner === undefined) return this.#lastResort(main, undefined, request, path, query);
    const found = this.#best(owner, path, main);
    if (found === undefined) return this.#lastResort(main, owner, request, path, query);
    return this.#answerAt(found, owner, request, path, query);
  }

  /** Which of the hosts that rules have is the request's. */
  #ownerOf(host: string, main: readonly Ingress[]): string | undefined {
    const hosts = main.flatMap(({ spec }) => (spec.rules ?? []).map((rule) => rule.host ?? ""));
    const scored = hosts.map((each) => {
      if (each === "") return { each, score: 1 };
      if (each === host) return { each, score: 3 };
      const isWild = each.startsWith("*.") && host.replace(/^[^.]+/, "*") === each;
      return { each, score: isWild ? 2 : 0 };
    });
    const best = Math.max(0, ...scored.map(({ score }) => score));
    return best === 0 ? undefined : scored.find(({ score }) => score === best)?.each;
  }

  #candidates(owner: string, among: readonly Ingress[]): Candidate[] {
    return among.flatMap((ingress) =>
      (ingress.spec.rules ?? []).flatMap(({ host = "", http }, i) =>
        host !== owner
          ? []
          : (http?.paths ?? []).map(({ path = "/", pathType, backend }, j) => ({
              ...{ ingress, host, path, backend, type: pathType },
              rule: `Ingress ${keyOf(ingress)} rules[${i}].http.paths[${j}]`,
            })),
      ),
    );
  }

  #isByPattern(candidates: readonly Candidate[]): boolean {
    return candidates.some(({ ingress, path }) => {
      const target = note(ingress, "rewrite-target");
      return note(ingress, "use-regex") === "true" || (target !== "" && target !== path);
    });
  }

  #best(owner: string, path: string, main: readonly Ingress[]): Candidate | undefined {
    const all = this.#candidates(owner, main);
    const byPattern = this.#isByPattern(all);
    const rank = ["Exact", "Prefix", "ImplementationSpecific"];
    let best: { candidate: Candidate; score: number[] } | undefined;
    for (const candidate of all) {
      if (!isMatch(candidate, path, byPattern)) continue;
      const { path: own, type } = candidate;
      const length = type === "Prefix" && !byPattern ? own.replace(/\/+$/, "").length : own.length;
      const letters = byPattern ? [...own].map((letter) => letter.charCodeAt(0)) : [];
      const score = [length, ...letters, byPattern ? 0 : -rank.indexOf(type)];
      if (best === undefined || isMore(score, best.score)) best = { candidate, score };
    }
    return best?.candidate;
  }

  #lastResort(
    main: readonly Ingress[],
    owner: string | undefined,
    request: HttpRequest,
    path: string,
    query: string,
  ): BookAnswer {
    const first = main.find(({ spec }) => (spec.rules ?? []).some(({ host = "" }) => host === owner));
    const withDefault = main.filter(({ spec }) => spec.defaultBackend !== undefined);
    const whole = withDefault.find(({ spec }) => (spec.rules ?? []).length === 0) ?? withDefault[0];
    const ingress = first?.spec.defaultBackend === undefined ? whole : first;
    if (ingress === undefined) return "404";
    const backend = ingress.spec.defaultBackend as IngressBackend;
    const rule = `Ingress ${keyOf(ingress)} defaultBackend`;
    const candidate = { ingress, host: owner ?? "", path: "/", type: "", rule, backend };
    return this.#answerAt(candidate, owner, request, path, query);
  }

  #answerAt(
    found: Candidate,
    owner: string | undefined,
    r: HttpRequest,
    path: string,
    query: string,
  ): BookAnswer {
    const { ingress } = found;
    const host = (r.host ?? "").replace(/:\d+$/, "");
    if (note(ingress, "app-root") !== "" && path === "/")
      return `302 ${r.scheme}://${r.host ?? ""}${note(ingress, "app-root")}`;
    if (note(ingress, "permanent-redirect") !== "") return `301 ${note(ingress, "permanent-redirect")}`;
    const hasTls = this.#ingresses.some(
      (each) =>
        note(each, "canary") !== "true" &&
        (each.spec.rules ?? []).some((rule) => (rule.host ?? "") === owner) &&
        (each.spec.tls ?? []).some(({ hosts = [] }) => hosts.includes(owner ?? "?")),
    );
    const isForced = note(ingress, "force-ssl-redirect") === "true";
    const isAsked = note(ingress, "ssl-redirect") !== "false" && hasTls;
    if (r.scheme === "http" && (isForced || isAsked) && !path.startsWith("/.well-known/acme-challenge"))
      return `308 https://${host || (owner ?? "")}${r.target}`;
    return this.#forward(found, owner, r, path, query);
  }

  #forward(
    found: Candidate,
    owner: string | undefined,
    r: HttpRequest,
    path: string,
    query: string,
  ): BookAnswer {
    const canary = this.#candidates(owner ?? "?", this.#ingresses)
      .filter(({ ingress }) => note(ingress, "canary") === "true")
      .find((each) => each.path === found.path && each.type === found.type);
    const share = canary === undefined ? 0 : canaryShare(canary.ingress, r);
    const target = this.#rewritten(found, owner, path, r.target, query);
    const main = this.#served(found.backend, found.ingress);
    const other = canary === undefined ? "" : this.#served(canary.backend, canary.ingress);
    const all = share <= 0 ? [main] : share >= 1 ? [other] : [main, other];
    if (all.every((each) => each === "503")) return "503";
    const shares = [1 - share, share];
    const words = all.length === 1 ? all : all.map((each, i) => `${each}×${Number(shares[i].toFixed(4))}`);
    return `${words.join(" ")} ${target}`;
  }

  #rewritten(
    found: Candidate,
    owner: string | undefined,
    path: string,
    target: string,
    query: string,
  ): string {
    const rewrite = note(found.ingress, "rewrite-target");
    if (rewrite === "" || rewrite === found.path || found.type === "") return target;
    if (!this.#isByPattern(this.#candidates(owner ?? "?", this.#ingresses))) return target;
    const groups = new RegExp(`^${found.path}`, "i").exec(path) ?? [];
    return `${rewrite.replace(/\$(\d)/g, (_, digit: string) => groups[Number(digit)] ?? "")}${query}`;
  }

  #served({ service, resource }: IngressBackend, { metadata }: Ingress): string {
    if (service === undefined || resource !== undefined) return "503";
    const object = this.#objects.find(
      (each) => each.kind === "Service" && keyOf(each) === `${metadata.namespace}/${service.name}`,
    ) as Service | undefined;
    const { name, number } = service.port ?? {};
    const port = object?.spec.ports?.find((each) => (name ? each.name === name : each.port === number));
    if (object === undefined || port === undefined) return "503";
    const isReady = this.#objects.some(
      (each) =>
        each.kind === "EndpointSlice" &&
        each.metadata.namespace === metadata.namespace &&
        each.metadata.labels?.["kubernetes.io/service-name"] === service.name &&
        (each as unknown as { endpoints: unknown[] }).endpoints.length > 0,
    );
    return isReady ? `${keyOf(object)}:${port.port}` : "503";
  }
}

function isMatch({ path: own, type }: Candidate, path: string, byPattern: boolean): boolean {
  if (byPattern) return new RegExp(`^${own}`, "i").test(path);
  if (type === "Exact") return path === own;
  if (type === "ImplementationSpecific") return path.startsWith(own);
  const wanted = own.split("/").filter((each) => each !== "");
  const given = path.split("/").slice(1);
  return wanted.every((each, i) => each === given[i]);
}

function isMore(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0);
  }
  return false;
}

function canaryShare(ingress: Ingress, { headers }: HttpRequest): number {
  const given = (name: string): string | undefined =>
    headers.find((each) => each.name.toLowerCase() === name.toLowerCase())?.value;
  const header = note(ingress, "canary-by-header");
  const told = header === "" ? undefined : given(header);
  const wanted = note(ingress, "canary-by-header-value");
  if (told !== undefined && wanted !== "" && told === wanted) return 1;
  if (told !== undefined && wanted === "" && told === "always") return 1;
  if (told !== undefined && wanted === "" && told === "never") return 0;
  const cookie = note(ingress, "canary-by-cookie");
  const crumbs = (given("cookie") ?? "").split(/; */).map((each) => each.split("="));
  const crumb = cookie === "" ? undefined : crumbs.find(([name]) => name === cookie)?.[1];
  if (crumb === "always") return 1;
  if (crumb === "never") return 0;
  return Math.min(1, Number(note(ingress, "canary-weight") || 0) / 100);
}

/** Step by step: escapes, then slashes, then dots. */
function plainPath(raw: string): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(raw)) return undefined;
  const decoded = raw.replace(/%([0-9a-f]{2})/gi, (all, hex: string) =>
    hex.toLowerCase() === "2f" ? all : String.fromCharCode(Number.parseInt(hex, 16)),
  );
  let path = decoded.replace(/\/{2,}/g, "/");
  for (;;) {
    const before = path;
    path = path.replace(/\/\.(\/|$)/, "/");
    if (/^\/\.\.(\/|$)/.test(path)) return undefined;
    path = path.replace(/\/(?!\.\.?(?:\/|$))[^/]+\/\.\.(\/|$)/, "/");
    if (path === before) return path;
  }
}
