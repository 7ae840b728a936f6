// What the listeners of one Gateway say of a connection or of datagrams: the listener by port and TLS name, then the
// route that has it.
import type { Gateway } from "../../kube/gateway/gateway-objects.ts";
import { keyOf } from "../../kube/objects.ts";
import type { Connection, ConnectionDecision } from "../connection.ts";
import type { Choice, Tell } from "../decision.ts";
import { hostName } from "../request.ts";
import { endpointsText, percent } from "../words.ts";
import { endsTls, shownFor } from "./listener-certificates.ts";
import type { RouteRule } from "./route-rule.ts";
import { bestFor, type ServedListener } from "./served-listener.ts";

const CLOSE = { kind: "close" } as const;
const REQUESTS = { kind: "requests" } as const;

/** Undefined: it has no listener there. */
export function decideConnection(
  gateway: Gateway,
  all: readonly ServedListener[],
  asked: Connection,
  tell: Tell | undefined,
): ConnectionDecision | undefined {
  const { protocol, port, sni } = asked;
  const listeners = all.filter(
    ({ listener, isServing }) =>
      isServing && listener.port === port && (listener.protocol === "UDP") === (protocol === "udp"),
  );
  if (listeners.length === 0) {
    tell?.("gateway", `Gateway ${keyOf(gateway)} has no listener for ${protocol} at port ${port}`);
    return undefined;
  }
  // Of several at a port all are TLS's, or all HTTP's: anything else is a conflict, and does not serve.
  const [first] = listeners;
  if (first.listener.protocol === "HTTP") return http(listeners);
  if (first.listener.protocol === "TCP" || first.listener.protocol === "UDP")
    return stream(first, first.all, undefined, tell);
  if (sni === undefined)
    return {
      ...{ listener: first.title, action: { kind: "close", awaitsTls: true } },
      reason: "it speaks no TLS, and TLS is awaited there",
    };
  const name = hostName(sni);
  const listener = bestFor(listeners, name);
  if (listener === undefined)
    return {
      action: CLOSE,
      reason: `no listener of Gateway ${keyOf(gateway)} is for TLS of ${name || "no name"}: no handshake`,
    };
  return byName(listener, name, tell);
}

function http([first, ...more]: readonly ServedListener[]): ConnectionDecision {
  const which = more.length === 0 ? first.title : `${first.title} and ${more.length} more, by Host`;
  return { listener: first.title, action: REQUESTS, reason: `its requests are decided one by one: ${which}` };
}

function byName(listener: ServedListener, name: string, tell: Tell | undefined): ConnectionDecision {
  const isEnded = endsTls(listener.listener);
  const cert = isEnded ? shownFor(listener.certificates, name)?.secret : undefined;
  tell?.(
    "tls",
    cert === undefined
      ? `${name || "no name"}: passed through as it comes`
      : `${name || "no name"}: ends here, with the certificate of Secret ${cert}`,
  );
  if (listener.listener.protocol === "HTTPS") return { ...http([listener]), cert };
  return stream(listener, listener.named.find(name, (found) => found) ?? listener.all, cert, tell);
}

function stream(
  listener: ServedListener,
  rule: RouteRule | undefined,
  cert: string | undefined,
  tell: Tell | undefined,
): ConnectionDecision {
  const { title, kinds } = listener;
  tell?.("listener", `${title} is for ${listener.listener.protocol} at port ${listener.listener.port}`);
  if (rule === undefined)
    return { listener: title, cert, action: CLOSE, reason: `no ${kinds.join(" or ")} at ${title} is for it` };
  rule.refresh(rule);
  const choices = rule.choices.map(({ filters, ...choice }): Choice => choice);
  if (tell !== undefined)
    for (const { backend, share, why } of choices)
      tell(
        "backend",
        backend === undefined
          ? `${percent(share)} are closed: ${why}`
          : `${backend.name}: ${endpointsText(backend.endpoints)}`,
      );
  const isServed = choices.some(({ backend }) => backend !== undefined);
  return {
    ...{ listener: title, rule: rule.title, cert },
    action: isServed ? { kind: "stream", choices } : CLOSE,
    reason: isServed
      ? `to ${choices.map((each) => shareText(each, choices.length)).join(", ")} by ${rule.title}`
      : `${choices[0]?.why} (${rule.title})`,
  };
}

function shareText({ backend, share }: Choice, count: number): string {
  const name = backend?.name ?? "nobody";
  return count === 1 ? name : `${name} (${percent(share)})`;
}
