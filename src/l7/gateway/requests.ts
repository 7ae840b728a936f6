// What the listeners of one Gateway say of a request: the listener by port, name and TLS, then the route by host, path,
// headers, query and method.
import type { Gateway } from "../../kube/gateway/gateway-objects.ts";
import { keyOf } from "../../kube/objects.ts";
import { answer, type Decision, type Tell } from "../decision.ts";
import { isHostIn } from "../match/hostnames.ts";
import { hostName, type Seen } from "../request.ts";
import { applyRule } from "./apply.ts";
import { matchText } from "./entries.ts";
import { endsTls, shownFor } from "./listener-certificates.ts";
import { bestFor, type ServedListener } from "./served-listener.ts";

const STATUS = { notFound: 404, misdirected: 421, bad: 400 };

/** Undefined: it has no listener there. */
export function decideRequest(
  gateway: Gateway,
  all: readonly ServedListener[],
  seen: Seen,
  tell: Tell | undefined,
): Decision | undefined {
  const { request, host } = seen;
  const listeners = atPort(all, seen);
  if (listeners.length === 0) {
    const at = request.port === undefined ? "" : ` at port ${request.port}`;
    tell?.("gateway", `Gateway ${keyOf(gateway)} has no listener for ${request.scheme}${at}`);
    return undefined;
  }
  if (request.scheme === "http") {
    const listener = bestFor(listeners, host);
    if (listener === undefined)
      return refused(`no listener of Gateway ${keyOf(gateway)} is for host ${host || "(none)"}`);
    return decideFor(listener, seen, tell);
  }
  const sni = request.sni === undefined ? host : hostName(request.sni);
  const shown = bestFor(listeners, sni);
  if (shown === undefined)
    return refused(
      `no listener of Gateway ${keyOf(gateway)} is for TLS of ${sni || "no name"}: no handshake`,
    );
  if (shown.listener.protocol === "TLS") return inTls(shown, sni, seen, tell);
  const cert = shownFor(shown.certificates, sni)?.secret;
  tell?.("tls", `${sni || "no name"}: the certificate of Secret ${cert}`);
  const meant = bestFor(
    listeners.filter(({ listener }) => listener.protocol === "HTTPS"),
    host,
  );
  if (meant === shown) return { ...decideFor(shown, seen, tell), cert };
  const isOthers = meant !== undefined && (meant.hostname !== "" || isHostIn(host, shown.hostname));
  const status = isOthers ? STATUS.misdirected : STATUS.notFound;
  const why = isOthers ? `is of ${meant.title}` : "is of no listener";
  return {
    action: answer(status),
    cert,
    reason: `TLS asked for ${sni}, and host ${host} ${why}`,
  };
}

function refused(reason: string): Decision {
  return { action: answer(STATUS.notFound), reason };
}

function decideFor(listener: ServedListener, seen: Seen, tell: Tell | undefined): Decision {
  const { path, host, request } = seen;
  tell?.(
    "listener",
    `${listener.title} is for ${listener.hostname || "every host"} at port ${listener.listener.port}`,
  );
  if (path === undefined)
    return {
      action: answer(STATUS.bad),
      reason: `the path ${request.target} makes no sense: escapes or dot segments`,
    };
  const entry = listener.hosts.find(host, (entries) => entries.find(seen));
  if (entry === undefined)
    return refused(
      `no route at ${listener.title} matches ${request.method} ${path} of host ${host || "(none)"}`,
    );
  tell?.("match", matchText(entry));
  entry.rule.refresh(entry.rule);
  return applyRule(entry, seen, listener.listener.port, tell);
}

/** Nobody looks into what TLS carries: to whoever asks for a request, it is one that goes where its connection goes. */
function inTls(listener: ServedListener, sni: string, { request }: Seen, tell: Tell | undefined): Decision {
  const isEnded = endsTls(listener.listener);
  const does = isEnded ? "ends TLS of" : "passes TLS through, of";
  tell?.("listener", `${listener.title} ${does} ${listener.hostname || "every name"}`);
  const rule = listener.named.find(sni, (found) => found) ?? listener.all;
  if (rule === undefined)
    return refused(`no TLSRoute at ${listener.title} is for ${sni}: the connection is closed`);
  const cert = isEnded ? shownFor(listener.certificates, sni)?.secret : undefined;
  rule.refresh(rule);
  const choices = rule.choices.map(({ filters, ...choice }) => choice);
  const first = choices.find(({ backend }) => backend !== undefined);
  if (first === undefined)
    return {
      ...{ rule: rule.title, cert, action: answer(500) },
      reason: `${choices[0]?.why}: the connection is closed`,
    };
  const { timeouts, retries } = rule;
  return {
    ...{ rule: rule.title, cert },
    reason: `${isEnded ? "what TLS carries" : "TLS as it comes"}, ${rule.reason}`,
    action: {
      ...{
        kind: "forward",
        choices,
        target: request.target,
        host: request.host ?? "",
        headers: request.headers,
      },
      ...{ answerHeaders: [], protocol: isEnded ? "tcp" : "tls", timeouts, retries, bodyMax: 0, mirrors: [] },
    },
  };
}
/** Listeners at the port that was asked; where none was said, at the usual one of the scheme, else at the lowest. */
function atPort(listeners: readonly ServedListener[], { request }: Seen): ServedListener[] {
  const protocols = request.scheme === "https" ? ["HTTPS", "TLS"] : ["HTTP"];
  const fitting = listeners.filter(
    ({ listener, isServing }) => isServing && protocols.includes(listener.protocol),
  );
  const ports = fitting.map(({ listener }) => listener.port);
  const usual = request.scheme === "https" ? 443 : 80;
  const port = request.port ?? (ports.includes(usual) ? usual : Math.min(...ports));
  return fitting.filter(({ listener }) => listener.port === port);
}
