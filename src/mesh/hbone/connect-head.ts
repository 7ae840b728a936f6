// The head of an HBONE request (HTTP/2 CONNECT): where to, and on whose behalf. What is not exactly that is refused.
import type { IncomingHttpHeaders } from "node:http2";
import { formatIp, type Ip, parseIp } from "../../base/ip.ts";

export interface Place {
  readonly ip: Ip;
  readonly port: number;
}

export interface ConnectHead {
  readonly to: Place;
  /** Whom the other proxy says that it speaks for. */
  readonly client: Place;
  /** "": none. */
  readonly trace: string;
}

const PORT_MAX = 65_535;
const FORWARDED = /^for=(?:"([^"\\]+)"|([^";,\s]+))$/i;
const TRACE = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]{0,200})?$/;

/** A text: why it is none. */
export function readConnectHead(headers: IncomingHttpHeaders): ConnectHead | string {
  if (headers[":method"] !== "CONNECT") return "not CONNECT";
  if (
    headers[":path"] !== undefined ||
    headers[":scheme"] !== undefined ||
    headers[":protocol"] !== undefined
  )
    return "a CONNECT with a path, a scheme or a protocol";
  const to = placeOf(headers[":authority"] ?? "");
  if (to === undefined) return ":authority is no address with a port";
  const { forwarded, traceparent } = headers;
  if (forwarded === undefined) return "no forwarded header: it does not say whom it is for";
  if (typeof forwarded !== "string") return "several forwarded headers"; // node:http2 joins them
  const [, quoted, plain] = FORWARDED.exec(forwarded) ?? [];
  const client = placeOf(quoted ?? plain ?? "");
  if (client === undefined) return "a forwarded header that is not for=ADDRESS:PORT alone";
  const trace = typeof traceparent === "string" && TRACE.test(traceparent) ? traceparent : "";
  return { to, client, trace };
}

/** "10.244.1.2:80", "[fd00::1]:80"; undefined: it is none. */
export function placeOf(text: string): Place | undefined {
  const colon = text.lastIndexOf(":");
  const [host, digits] = [text.slice(0, colon), text.slice(colon + 1)];
  if (colon < 0 || !/^[1-9]\d{0,4}$/.test(digits) || Number(digits) > PORT_MAX) return undefined;
  const isBracketed = host.startsWith("[") && host.endsWith("]");
  const ip = parseIp(isBracketed ? host.slice(1, -1) : host);
  if (ip === null || (ip.family === 6) !== isBracketed) return undefined;
  return { ip, port: Number(digits) };
}

export function placeText({ ip, port }: Place): string {
  const text = formatIp(ip);
  return ip.family === 6 ? `[${text}]:${port}` : `${text}:${port}`;
}
