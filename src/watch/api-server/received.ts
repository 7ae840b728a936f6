/**
 * What an API server sends, looked at before anybody knows what kind it is of: JSON, and of the shape that lists, events
 * and refusals have. A proxy, a portal or a server that is broken sends other things, also with status 200: what has not
 * that shape is a problem of the answer, never an object, and never an empty list.
 */

import { shown } from "../../base/foreign-text.ts";
import { isMap } from "../../base/is-map.ts";

export interface Received {
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** Of a refusal what is looked at; what it does not say, or says otherwise, is undefined. */
export interface Status {
  readonly code: number | undefined;
  readonly reason: string | undefined;
  /** One line. */
  readonly message: string | undefined;
  readonly retryAfterSeconds: number | undefined;
}

export interface Page {
  readonly items: readonly Received[];
  readonly resourceVersion: string;
  /** "": it is the last one. */
  readonly continue: string;
}

export type WatchEvent =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK"; readonly object: Received }
  | { readonly type: "ERROR"; readonly status: Status };

type Fields = Readonly<Record<string, unknown>>;

/** Characters of a server's message that are told. */
const MESSAGE_MAX = 500;
const CHANGES: readonly unknown[] = ["ADDED", "MODIFIED", "DELETED"];

/** The event of a line, or what is wrong with it. */
export function eventOf(line: string): WatchEvent | string {
  const event = parsed(line);
  if (typeof event === "string") return `sent a line that is not JSON: ${event}`;
  const { type, object } = event.value as { type?: unknown; object?: unknown };
  if (type === "ERROR") return { type, status: statusFrom(object) };
  if (type === "BOOKMARK" && isMap(object) && hasMetadata(object))
    return { type, object: object as Received };
  if (!CHANGES.includes(type) && type !== "BOOKMARK")
    return `sent an event of a type that is not known: ${shown(JSON.stringify(type) ?? "none")}`;
  if (!isNamed(object)) return `sent an event about something that has no name: ${shown(line)}`;
  return { type: type as "ADDED", object };
}

/** A list, or a page of one; or what is wrong with it. */
export function pageOf(text: string): Page | string {
  const page = parsed(text);
  if (typeof page === "string") return `sent a list that is not JSON: ${page}`;
  const { items, metadata } = page.value as { items?: unknown; metadata?: unknown };
  const { resourceVersion, continue: next } = isMap(metadata) ? metadata : ({} as Fields);
  const goesOn = typeof next === "string" ? next : "";
  const version = typeof resourceVersion === "string" ? resourceVersion : "";
  // Go writes an empty list as null.
  const list = items === null || items === undefined ? [] : items;
  if (!Array.isArray(list) || (version === "" && goesOn === ""))
    return `sent something else than a list: ${shown(text)}`;
  if (!list.every(isNamed)) return "sent a list of which something has no name";
  return { items: list, resourceVersion: version, continue: goesOn };
}

/** What a refusal says. */
export function statusOf(text: string): Status {
  const status = parsed(text);
  return statusFrom(typeof status === "string" ? undefined : status.value);
}

function statusFrom(value: unknown): Status {
  const { code, reason, message, details } = isMap(value) ? value : ({} as Fields);
  const seconds = isMap(details) ? details.retryAfterSeconds : undefined;
  const text = (of: unknown): string | undefined =>
    typeof of === "string" && of !== "" ? shown(of, MESSAGE_MAX) : undefined;
  const number = (of: unknown): number | undefined => (typeof of === "number" ? of : undefined);
  return {
    ...{ code: number(code), reason: text(reason), message: text(message) },
    retryAfterSeconds: number(seconds),
  };
}

/** In an object, so that a text which is JSON is no problem; a string: what is wrong. */
function parsed(text: string): { readonly value: Fields } | string {
  try {
    const value: unknown = JSON.parse(text);
    return isMap(value) ? { value } : `it is ${shown(text)}`;
  } catch (error) {
    return shown((error as Error).message);
  }
}

/** What names it, and its version, are texts where they are there. */
function hasMetadata({ metadata }: Fields): boolean {
  if (!isMap(metadata)) return false;
  const { namespace, uid, resourceVersion, annotations } = metadata;
  const isText = (of: unknown): boolean => of === undefined || of === null || typeof of === "string";
  return [namespace, uid, resourceVersion].every(isText) && (isMap(annotations) || isMissing(annotations));
}

const isMissing = (value: unknown): boolean => value === undefined || value === null;

function isNamed(value: unknown): value is Received {
  if (!isMap(value) || !hasMetadata(value)) return false;
  const { name } = value.metadata as Fields;
  return typeof name === "string" && name !== "";
}
