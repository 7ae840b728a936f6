// What the composer holds: the collections that are open, and the nodes that go into them.
import { Float } from "./resolve.ts";

/** Offset of a key (of a list's item: of the item) and of its value, where that is no collection. */
export interface Place {
  readonly key: number;
  readonly value: number;
}

/** Where the members of the maps and lists of a document stand. */
export type Places = Map<object, Map<string | number, Place>>;

export type Kind = "block-list" | "indentless-list" | "block-map" | "flow-list" | "flow-map" | "pair";

export interface Frame {
  readonly kind: Kind;
  readonly list: unknown[] | undefined;
  readonly map: Record<string, unknown>;
  readonly places: Map<string | number, Place> | undefined;
  anchor: Anchor | undefined;
  /** Of decoded nodes, before it. */
  readonly decoded: number;
  readonly start: number;
  isFirst: boolean;
  /** The next node is a key. */
  isAtKey: boolean;
  /** A key of a flow map whose value is not written. */
  isWithoutValue: boolean;
  /** The key whose value comes next; undefined when that is merged. */
  key: string | undefined;
  keyAt: number;
  /** Keys as they are written, once there are merged ones. */
  written: Set<string> | undefined;
}

export interface Anchor {
  value: unknown;
  isOpen: boolean;
  size: number;
}

export function newFrame(kind: Kind, start: number, decoded: number, withPlaces: boolean): Frame {
  const isList = kind.endsWith("list");
  return {
    kind,
    list: isList ? [] : undefined,
    map: {},
    places: withPlaces ? new Map() : undefined,
    anchor: undefined,
    decoded,
    start,
    isFirst: true,
    isAtKey: !isList,
    isWithoutValue: false,
    key: undefined,
    keyAt: start,
    written: undefined,
  };
}

/** A node that is whole. */
export interface Ready {
  readonly value: unknown;
  readonly at: number;
  readonly isAlias: boolean;
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Float);
}

/** An own property, whatever its name. */
export function setMember(map: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== "__proto__") map[key] = value;
  else Object.defineProperty(map, key, { value, writable: true, enumerable: true, configurable: true });
}
