// A request as it came, before anything is decided about it: the head alone. `explain --http` asks with it.
import { formatIp, type Ip, parseIp } from "../base/ip.ts";
import { normalPath } from "./match/normal-path.ts";

export interface Header {
  /** As it was written. */
  readonly name: string;
  readonly value: string;
}

export interface HttpRequest {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** The Host header, or HTTP/2's :authority; undefined: none, as HTTP/1.0 allows. */
  readonly host: string | undefined;
  /** Path and query, as they stand in the request line. */
  readonly target: string;
  readonly headers: readonly Header[];
  /** The name that the client's TLS asked for; undefined: that of `host`. */
  readonly sni?: string | undefined;
  /** "name" or "namespace/name" of the Gateway that it came to, and its port; for objects of the Gateway API. */
  readonly gateway?: string | undefined;
  readonly port?: number | undefined;
  /** Who asks; undefined: nobody knows, and it is in no range of addresses. */
  readonly client?: Ip | undefined;
}

/** What matching looks at, taken from a request once. */
export interface Seen {
  readonly request: HttpRequest;
  /** In small letters, without port and final dot; "": none. */
  readonly host: string;
  /** Decoded, without dot segments and double slashes; undefined: the path makes no sense. */
  readonly path: string | undefined;
  /** With its question mark; "": none. */
  readonly query: string;
}

export function seen(request: HttpRequest): Seen {
  const { target } = request;
  const mark = target.indexOf("?");
  const path = normalPath(mark < 0 ? target : target.slice(0, mark));
  return { request, host: hostName(request.host ?? ""), path, query: mark < 0 ? "" : target.slice(mark) };
}

/** The name in a Host header: "Shop.example.:8080" is shop.example. */
export function hostName(host: string): string {
  const name = host.startsWith("[") ? host.slice(0, host.indexOf("]") + 1) : host.split(":", 1)[0];
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}

const clients = new WeakMap<Ip, string>();

/**
 * The client's address as backends are told; "": nobody knows it. The same object is written once: a connection has
 * one.
 */
export function clientText(client: Ip | undefined): string {
  if (client === undefined) return "";
  let text = clients.get(client);
  if (text === undefined) clients.set(client, (text = formatIp(client)));
  return text;
}

/** The values of a header, joined as HTTP joins them; undefined: it is not there. `name` in small letters. */
export function headerOf(headers: readonly Header[], name: string): string | undefined {
  let found: string | undefined;
  for (const each of headers) {
    if (each.name.length !== name.length || each.name.toLowerCase() !== name) continue;
    found = found === undefined ? each.value : `${found}${name === "cookie" ? "; " : ", "}${each.value}`;
  }
  return found;
}

/** In small letters, "_" as "-": programs behind CGI and WSGI cannot tell them apart, so neither may we. */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/** A header that has nothing to say is left out. */
export function addHeader(headers: Header[], name: string, value: string): void {
  if (value !== "") headers.push({ name, value });
}

export function cookieOf(headers: readonly Header[], name: string): string | undefined {
  for (const part of (headerOf(headers, "cookie") ?? "").split(";")) {
    const equals = part.indexOf("=");
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return undefined;
}

const FIELDS = ["method", "scheme", "host", "path", "headers", "sni", "gateway", "port", "client"];
/** No request has one in its first lines: it would be a line of its own, or a terminal's order where it is shown. */
const CONTROL = /\p{Cc}/u;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** One line of `explain --http`. Throws an Error whose message names the field. */
export function readRequest(raw: Readonly<Record<string, unknown>>): HttpRequest {
  const unknown = Object.keys(raw).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) throw new Error(`${unknown}: no such field: use ${FIELDS.join(", ")}`);
  const text = (field: string): string | undefined => {
    const value = raw[field];
    if (value === undefined || value === null) return undefined;
    if (typeof value === "string" && value !== "") return value;
    throw new Error(`${field}: ${JSON.stringify(value)} is not a text`);
  };
  const method = text("method") ?? "GET";
  if (!TOKEN.test(method)) throw new Error(`method: ${JSON.stringify(method)} is no method`);
  const scheme = text("scheme") ?? "http";
  if (scheme !== "http" && scheme !== "https")
    throw new Error(`scheme: ${JSON.stringify(scheme)}: use http, https`);
  const target = (text("path") ?? "/").split("#", 1)[0];
  if (!target.startsWith("/") && target !== "*")
    throw new Error(`path: ${JSON.stringify(target)} does not begin with a slash`);
  if (CONTROL.test(target)) throw new Error(`path: ${JSON.stringify(target)} has a control character in it`);
  const host = text("host");
  if (host !== undefined && (CONTROL.test(host) || /^\[[^\]]*$/.test(host)))
    throw new Error(`host: ${JSON.stringify(host)} is no host`);
  return {
    ...{ method, scheme, target, host, headers: readHeaders(raw.headers ?? {}) },
    ...{
      sni: text("sni"),
      gateway: text("gateway"),
      port: readPort(raw.port),
      client: readClient(raw.client),
    },
  };
}

function readHeaders(raw: unknown): Header[] {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw))
    throw new Error("headers: not a map of names to texts");
  return Object.entries(raw).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((each) => readHeader(name, each)),
  );
}

/** Throws where HTTP has no such header. */
export function readHeader(name: string, value: unknown): Header {
  if (!TOKEN.test(name)) throw new Error(`headers: ${JSON.stringify(name)} is no header's name`);
  if (typeof value !== "string" || /[\r\n\0]/.test(value))
    throw new Error(`headers: ${name}: ${JSON.stringify(value)} is no header's value`);
  return { name, value };
}

function readPort(raw: unknown): number | undefined {
  if (raw === undefined || raw === null) return undefined;
  const isPort = typeof raw === "number" && Number.isInteger(raw) && raw > 0 && raw < 65_536;
  if (isPort) return raw as number;
  throw new Error(`port: ${JSON.stringify(raw)} is not a number from 1 to 65535`);
}

function readClient(raw: unknown): Ip | undefined {
  if (raw === undefined || raw === null) return undefined;
  const client = typeof raw === "string" ? parseIp(raw) : null;
  if (client === null) throw new Error(`client: ${JSON.stringify(raw)} is not an IP address`);
  return client;
}
