// What becomes of a connection, as scripts get it (JSON) and as people read it.
import { formatIp } from "../base/ip.ts";
import type { Connection, ConnectionDecision } from "./connection.ts";
import { type Choice, likeliest, type Step } from "./decision.ts";
import { rounded, tlsLine } from "./explanation.ts";

/** Fields that have nothing to say are left out; `action` and `reason` are always there. */
export function connectionJson(decision: ConnectionDecision, steps: readonly Step[]): object {
  const { action, listener, rule, cert, reason } = decision;
  const common = { listener, rule, cert, reason, steps };
  if (action.kind === "close") return { action: action.kind, awaitsTls: action.awaitsTls, ...common };
  if (action.kind === "requests") return { action: action.kind, ...common };
  const drawn = likeliest(action.choices);
  return {
    action: action.kind,
    backend: drawn?.backend?.name,
    endpoints: drawn?.backend?.endpoints,
    distribution: action.choices.map(({ backend, share }) =>
      backend === undefined
        ? { closed: true, share: rounded(share) }
        : { backend: backend.name, share: rounded(share) },
    ),
    backendTls: drawn?.tls,
    ...common,
  };
}

export function connectionLines(
  { protocol, port, gateway, sni, client }: Connection,
  { action, reason }: ConnectionDecision,
  steps: readonly Step[],
): string[] {
  const tls = sni === undefined ? "" : ` with TLS for ${sni || "no name"}`;
  const from = client === undefined ? "" : ` from ${formatIp(client)}`;
  const width = Math.max(0, ...steps.map(({ step }) => step.length));
  const words = { stream: `FORWARD ${reason}`, requests: `HTTP: ${reason}`, close: `CLOSE: ${reason}` };
  return [
    `${protocol.toUpperCase()} to port ${port} of Gateway ${gateway ?? "(any)"}${tls}${from}`,
    ...steps.map(({ step, text }) => `  ${step.padEnd(width)}  ${text}`),
    ...(action.kind === "stream" ? action.choices.flatMap(tlsLines) : []),
    words[action.kind],
  ];
}

function tlsLines({ tls, backend }: Choice): string[] {
  return tls === undefined ? [] : [tlsLine(backend?.name ?? "", tls)];
}
