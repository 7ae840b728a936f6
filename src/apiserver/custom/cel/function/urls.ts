// url(): what Go's ParseRequestURI takes, and its parts.
import type { Run } from "../run.ts";
import { Fault, type Own, type Value } from "../value.ts";

interface Parts {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
}

class Url implements Own {
  readonly celKind = "url";
  readonly text: string;
  readonly parts: Parts;
  constructor(text: string, parts: Parts) {
    this.text = text;
    this.parts = parts;
  }
  isEqual(other: Own): boolean {
    return other instanceof Url && this.text === other.text;
  }
}

const HOST = /^(?:[^@]*@)?(?:\[[0-9A-Fa-f:.%]+\]|[^\s[\]<>"\\^`{|}:]*)(?::\d*)?$/;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/** A scheme, or a path that begins with a slash. Undefined: it is none. */
function partsOf(text: string): Parts | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Go refuses them
  if (text === "" || /[\u0000-\u001f\u007f]/.test(text)) return undefined;
  const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/.exec(text) ?? [];
  const whole = scheme === undefined ? text : rest;
  if (scheme === undefined && !whole.startsWith("/")) return undefined;
  const [before] = whole.split("#");
  const at = before.indexOf("?");
  const [main, query] = at < 0 ? [before, ""] : [before.slice(0, at), before.slice(at + 1)];
  if (!main.startsWith("/")) return { scheme: (scheme ?? "").toLowerCase(), host: "", path: "", query };
  const hasHost = scheme !== undefined && main.startsWith("//");
  const slash = hasHost ? main.indexOf("/", 2) : 0;
  const host = hasHost ? main.slice(2, slash < 0 ? undefined : slash) : "";
  const path = hasHost ? (slash < 0 ? "" : main.slice(slash)) : main;
  if (!HOST.test(host) || BAD_ESCAPE.test(path)) return undefined;
  return {
    scheme: (scheme ?? "").toLowerCase(),
    host: host.replace(/^[^@]*@/, ""),
    path: escaped(path),
    query,
  };
}

/** As it may stand in a request. */
const escaped = (path: string): string =>
  path.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/%[\]]/gu, (one) => encodeURIComponent(one));

function url(text: string): Url {
  const parts = partsOf(text);
  if (parts !== undefined) return new Url(text, parts);
  const why = `parse ${JSON.stringify(text)}: invalid URI for request`;
  throw new Fault(`URL parse error during conversion from string: ${why}`);
}

const PORT = /:(\d*)$/;

function queryOf({ parts }: Url): Map<Value, Value> {
  const found = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(parts.query)) {
    const known = found.get(name);
    if (known === undefined) found.set(name, [value]);
    else known.push(value);
  }
  return found;
}

export const URLS: Readonly<Record<string, Run>> = {
  "url(string): url": url,
  "isURL(string): bool": (text: string) => partsOf(text) !== undefined,
  "url.getScheme(): string": ({ parts }: Url) => parts.scheme,
  "url.getHost(): string": ({ parts }: Url) => parts.host,
  "url.getHostname(): string": ({ parts }: Url) => parts.host.replace(PORT, "").replace(/^\[(.*)\]$/, "$1"),
  "url.getPort(): string": ({ parts }: Url) => PORT.exec(parts.host)?.[1] ?? "",
  "url.getEscapedPath(): string": ({ parts }: Url) => parts.path,
  "url.getQuery(): map<string, list<string>>": queryOf,
};
