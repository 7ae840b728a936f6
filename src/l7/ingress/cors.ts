// Cross-origin requests, as ingress-nginx' enable-cors: a preflight is answered here, other answers get headers.
import { answer, type Decision, type HeaderChange, type Tell } from "../decision.ts";
import { type Header, headerOf, type Seen } from "../request.ts";
import type { Cors } from "./settings.ts";

const NO_CONTENT = 204;

/** The answer to OPTIONS from an origin that is let in; undefined: the request goes on. */
export function corsAnswer(cors: Cors | undefined, seen: Seen, tell: Tell | undefined): Decision | undefined {
  if (cors === undefined) return undefined;
  const headers = corsHeaders(cors, seen);
  if (headers.length === 0) {
    tell?.(
      "cors",
      `the origin ${headerOf(seen.request.headers, "origin") ?? "(none)"} is not one of ${cors.origins.join(", ")}`,
    );
    return undefined;
  }
  if (seen.request.method !== "OPTIONS") return undefined;
  const more: Header[] = [
    { name: "Access-Control-Allow-Methods", value: cors.methods },
    { name: "Access-Control-Allow-Headers", value: cors.headers },
    { name: "Access-Control-Max-Age", value: String(cors.maxAge) },
    { name: "Content-Type", value: "text/plain charset=UTF-8" },
  ];
  return {
    action: answer(NO_CONTENT, [...headers, ...more]),
    reason: "a preflight, answered by enable-cors",
  };
}

export function corsChanges(cors: Cors | undefined, seen: Seen): HeaderChange[] {
  const headers = cors === undefined ? [] : corsHeaders(cors, seen);
  return headers.map((each) => ({ ...each, what: "set" }));
}

/** Empty: the origin is none that is let in. */
function corsHeaders(cors: Cors, { request }: Seen): Header[] {
  const origin = headerOf(request.headers, "origin") ?? "";
  const isEvery = cors.origins.includes("*");
  if (!isEvery && !cors.origins.some((each) => isOrigin(each, origin))) return [];
  return [
    { name: "Access-Control-Allow-Origin", value: isEvery ? "*" : origin },
    ...(cors.credentials ? [{ name: "Access-Control-Allow-Credentials", value: "true" }] : []),
    ...(cors.expose === "" ? [] : [{ name: "Access-Control-Expose-Headers", value: cors.expose }]),
  ];
}

/** https://*.example.com is every https origin one label below. */
function isOrigin(allowed: string, origin: string): boolean {
  const [scheme, rest] = allowed.toLowerCase().split("://*.", 2);
  const given = origin.toLowerCase();
  if (rest === undefined) return given === allowed.toLowerCase();
  const [givenScheme, host = ""] = given.split("://", 2);
  const dot = host.indexOf(".");
  return givenScheme === scheme && dot > 0 && host.slice(dot + 1) === rest;
}
