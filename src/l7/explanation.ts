// A decision as scripts get it (JSON, one line a request) and as people read it.
import { formatIp } from "../base/ip.ts";
import {
  type Affinity,
  type BackendTls,
  type Decision,
  type Forward,
  likeliest,
  type Step,
} from "./decision.ts";
import type { Header, HttpRequest } from "./request.ts";

interface Explained {
  readonly decision: Decision;
  readonly steps: readonly Step[];
}

/** Fields that have nothing to say are left out; `backend` or `status` is always there. */
export function explanationJson(request: HttpRequest, { decision, steps }: Explained): object {
  const { action, rule, cert, reason } = decision;
  if (action.kind === "answer") {
    const { status, location, headers } = action;
    const responseHeaders = headers.length === 0 ? undefined : headerMap(headers);
    return { status, location, responseHeaders, cert, rule, reason, steps };
  }
  return { ...forwardJson(request, action), cert, rule, reason, steps };
}

function forwardJson(request: HttpRequest, action: Forward): object {
  const { choices, target, host, headers, protocol, timeouts, retries, bodyMax, affinity, limits, auth } =
    action;
  const drawn = likeliest(choices); // there is one, or it would be an answer
  const added = action.answerHeaders.filter(({ what }) => what !== "remove");
  const removed = action.answerHeaders.filter(({ what }) => what === "remove");
  return {
    backend: drawn?.backend?.name,
    endpoints: drawn?.backend?.endpoints,
    rewrittenPath: target === request.target ? undefined : target,
    rewrittenHost: host === (request.host ?? "") ? undefined : host,
    upstreamHeaders: headerMap(headers),
    responseHeaders: added.length === 0 ? undefined : headerMap(added),
    removedResponseHeaders: removed.length === 0 ? undefined : removed.map(({ name }) => name),
    distribution: choices.map(({ backend, status, share }) =>
      backend === undefined
        ? { status, share: rounded(share) }
        : { backend: backend.name, share: rounded(share) },
    ),
    backendTls: drawn?.tls,
    ...{ protocol, timeouts, retries, bodyMaxBytes: bodyMax, affinity, limits, auth },
    mirrors:
      action.mirrors.length === 0 ? undefined : action.mirrors.map(({ backend: _, ...mirror }) => mirror),
  };
}

export function rounded(share: number): number {
  return Number(share.toFixed(6));
}

function headerMap(headers: readonly Header[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (const { name, value } of headers) {
    const known = Object.keys(map).find((each) => each.toLowerCase() === name.toLowerCase());
    if (known === undefined) map[name] = value;
    else map[known] = `${map[known]}${name.toLowerCase() === "cookie" ? "; " : ", "}${value}`;
  }
  return map;
}

export function explanationLines(request: HttpRequest, { decision, steps }: Explained): string[] {
  const { method, scheme, host, target, client } = request;
  const from = client === undefined ? "" : ` from ${formatIp(client)}`;
  const width = Math.max(0, ...steps.map(({ step }) => step.length));
  return [
    `${method} ${scheme}://${host ?? "(no Host)"}${target}${from}`,
    ...steps.map(({ step, text }) => `  ${step.padEnd(width)}  ${text}`),
    ...detailLines(request, decision),
    verdict(decision),
  ];
}

function detailLines(request: HttpRequest, { action }: Decision): string[] {
  if (action.kind === "answer") return action.headers.map(({ name, value }) => `  < ${name}: ${value}`);
  const before = new Set(request.headers.map(({ name, value }) => `${name}: ${value}`));
  const sent = action.headers
    .map(({ name, value }) => `${name}: ${value}`)
    .filter((line) => !before.has(line));
  const told = action.answerHeaders.map(({ what, name, value }) =>
    what === "remove" ? `  < without ${name}` : `  < ${name}: ${value}`,
  );
  return [...sent.map((line) => `  > ${line}`), ...told, ...mannerLines(action)];
}

/** How it is carried out. */
function mannerLines({
  choices,
  protocol,
  timeouts,
  retries,
  affinity,
  auth,
  mirrors,
  bodyMax,
}: Forward): string[] {
  const { connectSec, sendSec, readSec, requestSec, trySec } = timeouts;
  const times = Object.entries({
    connect: connectSec,
    send: sendSec,
    read: readSec,
    request: requestSec,
    try: trySec,
  })
    .filter(([, sec]) => sec !== undefined)
    .map(([name, sec]) => `${name} ${sec} s`);
  const { on, tries, timeoutSec, backoffSec } = retries;
  const tried = on.length === 0 || tries === 1 ? "one try" : `${tries || "all"} tries on ${on.join(", ")}`;
  const within = timeoutSec === 0 ? "" : ` within ${timeoutSec} s`;
  const pause = backoffSec === undefined ? "" : ` ${backoffSec} s apart`;
  const body = bodyMax === 0 ? [] : [`bodies up to ${bodyMax} bytes`];
  const parts = [protocol, ...times, `${tried}${within}${pause}`, ...body];
  return [
    `  = ${parts.join("; ")}`,
    ...(affinity === undefined ? [] : [affinityLine(affinity)]),
    ...(auth?.signIn === undefined ? [] : [`  = who is not let on is sent to ${auth.signIn}`]),
    ...choices.flatMap(({ tls, backend }) => (tls === undefined ? [] : [tlsLine(backend?.name ?? "", tls)])),
    ...mirrors.map(
      ({ target, withBody }) => `  = copies to ${target}, ${withBody ? "with" : "without"} bodies`,
    ),
  ];
}

function affinityLine({ cookie, path, attributes, header, absoluteSec, idleSec }: Affinity): string {
  if (header === undefined) return `  = cookie ${cookie}: ${[`Path=${path}`, ...attributes].join("; ")}`;
  const ends = [
    ...(absoluteSec === undefined ? [] : [`ends after ${absoluteSec} s`]),
    ...(idleSec === undefined ? [] : [`ends when idle for ${idleSec} s`]),
  ];
  return `  = header ${[header, ...ends].join("; ")}`;
}

export function tlsLine(name: string, { hostname, authorities, names }: BackendTls): string {
  const shown = names === undefined ? "" : `, which shows ${names.join(" or ")}`;
  const signer = authorities.join(", ") || "whom the machine trusts";
  return `  = TLS to ${name} as ${hostname}${shown}, signed by ${signer}`;
}

function verdict({ action, reason }: Decision): string {
  if (action.kind === "forward") return `FORWARD ${reason}`;
  const to = action.location === undefined ? "" : ` → ${action.location}`;
  return `${action.status}${to}: ${reason}`;
}
