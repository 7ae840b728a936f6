// Tokens → the value of one document, as sigs.k8s.io/yaml makes JSON of it: keys become text, tags of collections say
// nothing, merge keys set what they hold where they stand. What stands behind the document is not read, as by go-yaml.
// No recursion: a document may be 10,000 deep.
import { YamlError } from "./cursor.ts";
import { ExpansionLimit, TagHandles, unreadBehind } from "./document.ts";
import {
  type Anchor,
  type Frame,
  isMap,
  type Kind,
  newFrame,
  type Places,
  type Ready,
  setMember,
} from "./frame.ts";
import { Float, keyText, type Resolved, resolvePlain, resolveTagged, TAG_PREFIX } from "./resolve.ts";
import { Scanner, type Token, type TokenType } from "./scanner.ts";

export interface Composed {
  readonly value: unknown;
  readonly start: number;
  readonly places: Places;
  /** Keys that a map has twice. The document is as it should be, but for them. */
  readonly twice: readonly YamlError[];
  /** Where text stands behind the document's end (`...`): nobody reads it. */
  readonly unread?: number;
}

export interface ComposeOptions {
  /** The text is JSON. */
  readonly isJson?: boolean;
  /** Positions are wanted, too. */
  readonly withPlaces?: boolean;
}

interface Properties {
  readonly anchor: string | undefined;
  /** Whole; "" when there is none. */
  readonly tag: string;
}

const NO_VALUE: ReadonlySet<TokenType> = new Set(["key", "value", "block-end"]);
const NO_FLOW_VALUE: ReadonlySet<TokenType> = new Set([",", "]", "}"]);
const NO_FLOW_KEY: ReadonlySet<TokenType> = new Set(["value", ",", "]", "}"]);
const NO_DOCUMENT: ReadonlySet<TokenType> = new Set([
  "directive",
  "document-start",
  "document-end",
  "stream-end",
]);
const WANT_MAP = "map merge requires map or sequence of maps as the value";
const FRAME_OF: Partial<Record<TokenType, Kind>> = { "[": "flow-list", "{": "flow-map" };

/** The first document of a text; throws a YamlError. */
export function compose(text: string, options: ComposeOptions = {}): Composed {
  return new Composer(text, options).document();
}

class Composer {
  readonly #text: string;
  readonly #scanner: Scanner;
  readonly #withPlaces: boolean;
  readonly #handles = new TagHandles();
  readonly #limit = new ExpansionLimit();
  readonly #anchors = new Map<string, Anchor>();
  readonly #places: Places = new Map();
  readonly #twice: YamlError[] = [];
  readonly #frames: Frame[] = [];
  /** The first thing that is no fault of the syntax; those come first, wherever they are. */
  #wrong: YamlError | undefined;
  #root: Ready | undefined;

  constructor(text: string, { isJson = false, withPlaces = false }: ComposeOptions) {
    this.#text = text;
    this.#scanner = new Scanner(text, isJson);
    this.#withPlaces = withPlaces;
  }

  document(): Composed {
    const first = this.#scanner.peek();
    const isExplicit = first.type === "directive" || first.type === "document-start";
    if (isExplicit) this.#handles.read(this.#scanner);
    if (first.type === "stream-end" || (isExplicit && NO_DOCUMENT.has(this.#scanner.peek().type)))
      return { value: null, start: first.start, places: this.#places, twice: [] };
    this.#node(true, false);
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) this.#step(frame);
    const next = this.#scanner.peek();
    if (this.#wrong !== undefined) throw this.#wrong;
    const { value, at } = this.#root ?? { value: null, at: 0 };
    const unread = next.type === "document-end" ? unreadBehind(this.#text, next.start) : -1;
    const found = { value, start: at, places: this.#places, twice: this.#twice };
    return unread < 0 ? found : { ...found, unread };
  }

  /** Goes on with the innermost collection. */
  #step(frame: Frame): void {
    const { kind, isAtKey } = frame;
    if (kind === "block-list") this.#blockList();
    else if (kind === "indentless-list") this.#indentlessList();
    else if (kind === "flow-list") this.#flowList(frame);
    else if (kind === "pair") this.#pair(frame);
    else if (kind === "block-map" && isAtKey) this.#blockKey(frame);
    else if (kind === "block-map") this.#value(NO_VALUE, true);
    else if (isAtKey) this.#flowKey(frame);
    else this.#flowValue(frame);
  }

  #blockList(): void {
    const token = this.#scanner.peek();
    if (token.type === "block-end") {
      this.#close(true);
      return;
    }
    if (token.type !== "-") throw this.#unexpected("did not find expected '-' indicator", token);
    this.#scanner.skip();
    const { type } = this.#scanner.peek();
    if (type === "-" || type === "block-end") this.#empty(token.end);
    else this.#node(true, false);
  }

  /** The items of a list that stands as far left as its key. */
  #indentlessList(): void {
    const token = this.#scanner.peek();
    if (token.type !== "-") {
      this.#close(false);
      return;
    }
    this.#scanner.skip();
    const { type } = this.#scanner.peek();
    if (type === "-" || NO_VALUE.has(type)) this.#empty(token.end);
    else this.#node(true, false);
  }

  #blockKey(frame: Frame): void {
    const token = this.#scanner.peek();
    if (token.type === "block-end") {
      this.#close(true);
      return;
    }
    if (token.type !== "key") throw this.#unexpected("did not find expected key", token, frame.start);
    this.#scanner.skip();
    if (NO_VALUE.has(this.#scanner.peek().type)) this.#empty(token.end);
    else this.#node(true, true);
  }

  /** The value behind a key, if its colon is there. */
  #value(without: ReadonlySet<TokenType>, isBlock: boolean): void {
    const token = this.#scanner.peek();
    if (token.type !== "value") {
      this.#empty(token.start);
      return;
    }
    this.#scanner.skip();
    if (without.has(this.#scanner.peek().type)) this.#empty(token.end);
    else this.#node(isBlock, isBlock);
  }

  /** True when another entry of a flow collection begins. */
  #hasEntry(frame: Frame, end: "]" | "}"): boolean {
    const token = this.#scanner.peek();
    if (token.type === end) return false;
    if (!frame.isFirst) {
      if (token.type !== ",")
        throw this.#unexpected(`did not find expected ',' or '${end}'`, token, frame.start);
      this.#scanner.skip();
    }
    frame.isFirst = false;
    return this.#scanner.peek().type !== end;
  }

  #flowList(frame: Frame): void {
    if (!this.#hasEntry(frame, "]")) {
      this.#close(true);
      return;
    }
    const token = this.#scanner.peek();
    if (token.type !== "key") {
      this.#node(false, false);
      return;
    }
    this.#scanner.skip();
    this.#limit.count(token.start);
    this.#open("pair", token.start, undefined);
  }

  /** `[a: b]`, a map of one. */
  #pair(frame: Frame): void {
    if (frame.isFirst && NO_FLOW_KEY.has(this.#scanner.peek().type)) this.#empty(this.#scanner.peek().start);
    else if (frame.isFirst) this.#node(false, false);
    else if (!frame.isAtKey) this.#value(NO_FLOW_VALUE, false);
    else {
      this.#close(false);
      return;
    }
    frame.isFirst = false;
  }

  #flowKey(frame: Frame): void {
    if (!this.#hasEntry(frame, "}")) {
      this.#close(true);
      return;
    }
    const token = this.#scanner.peek();
    frame.isWithoutValue = token.type !== "key";
    if (!frame.isWithoutValue) {
      this.#scanner.skip();
      if (NO_FLOW_KEY.has(this.#scanner.peek().type)) {
        this.#empty(token.end);
        return;
      }
    }
    this.#node(false, false);
  }

  #flowValue(frame: Frame): void {
    if (frame.isWithoutValue) this.#empty(this.#scanner.peek().start);
    else this.#value(NO_FLOW_VALUE, false);
  }

  #unexpected(message: string, token: Token, since?: number): YamlError {
    return new YamlError(message, token.start, since);
  }

  /** Reads a scalar or an alias, or the begin of a collection. */
  #node(isBlock: boolean, mayBeIndentless: boolean): void {
    const first = this.#scanner.peek();
    if (first.type === "alias") {
      this.#alias(first);
      return;
    }
    const properties = this.#properties();
    const token = this.#scanner.peek();
    const isIndentless = mayBeIndentless && token.type === "-";
    const kind = isIndentless ? "indentless-list" : this.#kindOf(token, isBlock);
    if (kind !== undefined) {
      this.#limit.count(token.start);
      this.#open(kind, token.start, properties.anchor);
      if (!isIndentless) this.#scanner.skip();
      return;
    }
    if (token.type === "scalar") {
      this.#scanner.skip();
      this.#scalar(token.value, token.isPlain, token.start, properties);
      return;
    }
    if (properties.anchor === undefined && properties.tag === "")
      throw this.#unexpected("did not find expected node content", token);
    this.#scalar("", true, first.start, properties);
  }

  #kindOf({ type }: Token, isBlock: boolean): Kind | undefined {
    return isBlock && (type === "block-list" || type === "block-map") ? type : FRAME_OF[type];
  }

  /** An anchor and a tag, in either order. */
  #properties(): Properties {
    let anchor: string | undefined;
    let tag: Token | undefined;
    for (;;) {
      const token = this.#scanner.peek();
      if (token.type === "anchor" && anchor === undefined) anchor = token.value;
      else if (token.type === "tag" && tag === undefined) tag = token;
      else return { anchor, tag: tag === undefined ? "" : this.#handles.whole(tag) };
      this.#scanner.skip();
    }
  }

  #alias(token: Token): void {
    this.#scanner.skip();
    const anchor = this.#anchors.get(token.value);
    if (anchor === undefined) throw new YamlError(`unknown anchor '${token.value}' referenced`, token.start);
    if (anchor.isOpen) this.#fail(`anchor '${token.value}' value contains itself`, token.start);
    this.#limit.count(token.start);
    this.#limit.expand(anchor.size, token.start);
    this.#deliver({ value: anchor.value, at: token.start, isAlias: true });
  }

  #empty(at: number): void {
    this.#scalar("", true, at, { anchor: undefined, tag: "" });
  }

  #scalar(text: string, isPlain: boolean, at: number, { anchor, tag }: Properties): void {
    const frame = this.#frames.at(-1);
    const isMerge = text === "<<" && ((isPlain && tag === "") || tag === "!" || tag === `${TAG_PREFIX}merge`);
    if (isMerge && frame?.isAtKey === true) {
      if (anchor !== undefined) this.#anchors.set(anchor, { value: text, isOpen: false, size: 1 });
      frame.isAtKey = false;
      frame.key = undefined;
      frame.keyAt = at;
      frame.written ??= new Set(Object.keys(frame.map));
      return;
    }
    const resolved = this.#resolve(text, isPlain, tag, at);
    this.#limit.count(at);
    if (anchor !== undefined) this.#anchors.set(anchor, { value: resolved, isOpen: false, size: 1 });
    this.#deliver({ value: resolved, at, isAlias: false });
  }

  #resolve(text: string, isPlain: boolean, tag: string, at: number): Resolved {
    if (tag === "") return isPlain ? resolvePlain(text) : text;
    const resolved = resolveTagged(text, tag);
    if (resolved !== undefined) return resolved;
    const name = tag.replace(TAG_PREFIX, "!!");
    this.#fail(
      name === "!!binary"
        ? "!!binary value contains invalid base64 data"
        : `cannot decode \`${text}\` as a ${name}`,
      at,
    );
    return text;
  }

  #fail(message: string, at: number): void {
    this.#wrong ??= new YamlError(message, at);
  }

  #open(kind: Kind, start: number, anchorName: string | undefined): void {
    const frame = newFrame(kind, start, this.#limit.decoded - 1, this.#withPlaces);
    this.#frames.push(frame);
    if (anchorName === undefined) return;
    frame.anchor = { value: frame.list ?? frame.map, isOpen: true, size: 0 };
    this.#anchors.set(anchorName, frame.anchor);
  }

  #close(withToken: boolean): void {
    if (withToken) this.#scanner.skip();
    const frame = this.#frames.pop();
    if (frame === undefined) return;
    const value = frame.list ?? frame.map;
    if (frame.places !== undefined) this.#places.set(value, frame.places);
    if (frame.anchor !== undefined) {
      frame.anchor.isOpen = false;
      frame.anchor.size = this.#limit.decoded - frame.decoded;
    }
    this.#deliver({ value, at: frame.start, isAlias: false });
  }

  /** Puts a node where it belongs: into the innermost collection that is open. */
  #deliver(node: Ready): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) this.#root = { ...node, value: this.#plain(node) };
    else if (frame.list !== undefined) {
      frame.places?.set(frame.list.length, { key: node.at, value: node.at });
      frame.list.push(this.#plain(node));
    } else if (frame.isAtKey) this.#setKey(frame, node);
    else {
      frame.isAtKey = true;
      if (frame.key === undefined) this.#merge(frame, node);
      else this.#setValue(frame, frame.key, node);
    }
  }

  /** The value in JSON: it knows one kind of number, and no infinity. */
  #plain({ value, at }: Ready): unknown {
    if (typeof value === "bigint") return Number(value);
    if (!(value instanceof Float)) return value;
    if (!Number.isFinite(value.value))
      this.#fail(`unsupported value: ${String(value.value).replace("Infinity", "Inf")}`, at);
    return value.value;
  }

  #setKey(frame: Frame, { value, at }: Ready): void {
    const isCollection = typeof value === "object" && value !== null && !(value instanceof Float);
    const text = isCollection ? undefined : keyText(value as Resolved);
    if (isCollection) this.#fail("invalid map key: a map or a list", at);
    else if (text === undefined)
      this.#fail(`unsupported map key: ${value === null ? "null" : String(value)}`, at);
    const key = text ?? "";
    const isTwice = frame.written?.has(key) ?? Object.hasOwn(frame.map, key);
    if (isTwice) this.#twice.push(new YamlError(`key ${JSON.stringify(key)} already set in map`, at));
    frame.written?.add(key);
    frame.isAtKey = false;
    frame.key = key;
    frame.keyAt = at;
  }

  #setValue(frame: Frame, key: string, node: Ready): void {
    const value = this.#plain(node);
    setMember(frame.map, key, value);
    const isCollection = node.isAlias || (typeof value === "object" && value !== null);
    frame.places?.set(key, { key: frame.keyAt, value: isCollection ? frame.keyAt : node.at });
  }

  #merge(frame: Frame, { value, at, isAlias }: Ready): void {
    if (isMap(value)) this.#mergeMap(frame, value);
    else if (isAlias || !Array.isArray(value) || !value.every(isMap)) this.#fail(WANT_MAP, at);
    // Of items that say the same, the first counts.
    else for (const item of [...value].reverse()) this.#mergeMap(frame, item);
  }

  #mergeMap(frame: Frame, map: Record<string, unknown>): void {
    const places = this.#places.get(map);
    for (const [key, value] of Object.entries(map)) {
      setMember(frame.map, key, value);
      frame.places?.set(key, places?.get(key) ?? { key: frame.keyAt, value: frame.keyAt });
    }
  }
}
