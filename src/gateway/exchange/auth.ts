// Somebody else is asked first whether a request may go on (auth-url): with its headers and without its body.
import type { OutsideAuth } from "../../l7/decision.ts";
import { type Header, plainName } from "../../l7/request.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Way } from "../upstream/dial.ts";
import type { ClientRequest } from "./ends.ts";
import type { Front, Question, Verdict } from "./front.ts";
import { SilentCall } from "./silent-call.ts";

const STATUS = { unauthorized: 401, forbidden: 403, failed: 500, found: 302 };
const ADDRESS = /^(https?):\/\/([^/?#]+)([^#]*)$/i;
const WITHIN_MS = 30_000;
/** Not handed on with the question: it has no body, and these say what only the gateway may say. */
const OWN = new Set([
  ...["content-length", "host", "expect", "x-original-url", "x-original-method", "x-auth-request-redirect"],
]);

interface Outside {
  readonly cluster: Cluster;
  readonly way: Way;
  readonly host: string;
  /** "": the address has none. */
  readonly target: string;
}

/** Where an address leads; undefined: it is none. */
export function outsideCluster(front: Front, address: string): Outside | undefined {
  const [, scheme = "", host = "", rest = ""] = ADDRESS.exec(address) ?? [];
  if (host === "" || /[\s@]/.test(host + rest)) return undefined;
  const isTls = scheme.toLowerCase() === "https";
  const hasPort = /:\d+$/.test(host);
  const name = hasPort ? host.slice(0, host.lastIndexOf(":")) : host;
  const text = hasPort ? host : `${host}:${isTls ? 443 : 80}`;
  const tls = isTls
    ? { serverName: /^[\d.]+$|^\[/.test(name) ? "" : name, context: undefined, isVerified: true }
    : undefined;
  const way: Way = { key: isTls ? `https ${name}` : "http", isHttp2: false, tls };
  const target = rest === "" || rest.startsWith("/") ? rest : `/${rest}`;
  return { cluster: front.clusters.outside(text), way, host, target };
}

export function authorize(
  front: Front,
  request: ClientRequest,
  { auth, headers: given }: Question,
  done: (verdict: Verdict) => void,
): void {
  const fill = (text: string): string => withVariables(text, request);
  const found = outsideCluster(front, fill(auth.url));
  if (found === undefined) {
    done({ status: STATUS.failed, headers: [], why: `auth-url ${auth.url} is no address` });
    return;
  }
  const { host, cluster, way } = found;
  const asked = `${request.scheme}://${request.host ?? ""}${request.target}`;
  const headers: Header[] = [
    { name: "Host", value: host },
    ...given.filter(({ name }) => !OWN.has(plainName(name))),
    { name: "X-Original-URL", value: asked },
    { name: "X-Original-Method", value: request.method },
    { name: "X-Auth-Request-Redirect", value: request.target },
  ];
  const head = {
    ...{ method: auth.method, target: found.target || "/", host, headers },
    ...{ bodyLength: 0, upgrade: "", takesTrailers: false },
  };
  new SilentCall(cluster, way, head, (answer) => done(verdictOf(answer, auth, fill, asked)), {
    withinMs: WITHIN_MS,
  });
}

function verdictOf(
  answer: { readonly status: number; readonly headers: readonly Header[]; readonly why: string },
  { url, signIn, responseHeaders }: OutsideAuth,
  fill: (text: string) => string,
  asked: string,
): Verdict {
  const { status, headers, why } = answer;
  if (status >= 200 && status < 300) {
    const wanted = responseHeaders.map((each) => each.toLowerCase());
    return { headers: headers.filter(({ name }) => wanted.includes(name.toLowerCase())) };
  }
  if (status === STATUS.unauthorized && signIn !== undefined) {
    const address = fill(signIn);
    const rd = /[?&]rd=/.test(address)
      ? ""
      : `${address.includes("?") ? "&" : "?"}rd=${encodeURIComponent(asked)}`;
    const location = { name: "Location", value: `${address}${rd}` };
    const cookies = headers.filter(({ name }) => name.toLowerCase() === "set-cookie");
    return { status: STATUS.found, headers: [location, ...cookies], why: `${url} does not know the client` };
  }
  if (status === STATUS.unauthorized || status === STATUS.forbidden) {
    const told = headers.filter(({ name }) => /^(?:www-authenticate|set-cookie)$/i.test(name));
    return { status, headers: told, why: `${url} answered ${status}` };
  }
  return { status: STATUS.failed, headers: [], why: `${url}: ${status === 0 ? why : `answered ${status}`}` };
}

function withVariables(text: string, { target, host = "", scheme }: ClientRequest): string {
  const [path, query = ""] = target.split("?", 2);
  const values: Readonly<Record<string, string>> = {
    ...{ request_uri: target, escaped_request_uri: encodeURIComponent(target), uri: path, args: query },
    ...{ host, http_host: host, scheme, pass_access_scheme: scheme },
  };
  return text.replace(/\$\{?(\w+)\}?/g, (all, name: string) => values[name] ?? all);
}
