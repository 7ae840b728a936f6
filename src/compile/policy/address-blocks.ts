// ipBlocks with their exceptions → which of them an address lies in. Their prefixes divide the addresses into areas: a
// prefix without the prefixes inside it. Prefixes contain each other or are apart, so the area of an address is that of
// the innermost one around it. A block that comes or goes touches the areas inside it, and of the addresses those that
// were in one combination with others which it does not hold.
import { type Cidr, type IpFamily, type IpWords, prefixLen128, V4_MAPPED } from "../../base/ip.ts";
import type { Pace } from "../../base/pace.ts";
import type { Prefix } from "../../dataplane/spec/prefix.ts";
import { countOf, cut, type Run } from "./address-order.ts";
import { Combinations, type Combined } from "./combinations.ts";
import type { Combination, Identities, Member } from "./identities.ts";
import { comparePrefixes, holds } from "./prefixes.ts";

export interface Block {
  readonly term: number;
  readonly range: Cidr;
  readonly except: readonly Cidr[];
}

const EVERYTHING: Prefix = { w0: 0, w1: 0, w2: 0, w3: 0, bits: 0 };
/** What IPv4 addresses look like among IPv6 ones: no block of IPv6 holds them. */
const MAPPED: Prefix = { w0: 0, w1: 0, w2: V4_MAPPED, w3: 0, bits: 96 };
/** Work, as Pace counts: areas, and addresses that are looked at, in a unit. */
const AREAS_A_UNIT = 8;
const ADDRESSES_A_UNIT = 16;

export interface Area {
  readonly prefix: Prefix;
  outer: Area | undefined;
  combination: Combined;
  /** By how many blocks it is the range or an exception. */
  uses: number;
}

/** What a block holds. */
interface Zone {
  readonly family: IpFamily;
  readonly range: Prefix;
  readonly holes: readonly Prefix[];
}

export class AddressBlocks {
  readonly #identities: Identities;
  readonly #combinations = new Combinations();
  /** By first address, wider ones before narrower ones. The first one is around all others. */
  readonly areas: Area[];
  /** Areas or their identities have changed since it was last made false. */
  isChanged = true;
  readonly #zones = new Map<number, Zone>();

  constructor(identities: Identities) {
    this.#identities = identities;
    const outer = this.#areaOf(EVERYTHING, undefined, this.#combinations.none(6));
    this.areas = [outer, this.#areaOf(MAPPED, outer, this.#combinations.none(4))];
  }

  #areaOf(prefix: Prefix, outer: Area | undefined, combination: Combined): Area {
    if (combination.areas === 0) this.#identities.worldOf(combination);
    combination.areas++;
    return { prefix, outer, combination, uses: 1 };
  }

  /** `follows`: identities follow their addresses; else all addresses will be asked for theirs again. */
  *add(block: Block, follows: boolean, pace: Pace): Generator<void, void> {
    const { term } = block;
    const zone = zoneOf(block);
    this.#zones.set(term, zone);
    for (const prefix of [zone.range, ...zone.holes]) this.#open(prefix);
    const split = new Map<Combination, Combination>();
    for (const [one, areas] of this.#inside(zone)) {
      if (areas.length === one.areas) this.#combinations.change(one, term);
      else {
        const made = this.#combinations.with(one, term);
        this.#identities.worldOf(made);
        this.#place(areas, made);
        split.set(one, made);
      }
      if (pace.isOver(1 + areas.length / AREAS_A_UNIT)) yield;
    }
    if (!follows || split.size === 0) return;
    const { part, isInside } = this.#smallerPart(zone);
    this.#identities.split(split, part, isInside);
    if (pace.isOver(part.length / ADDRESSES_A_UNIT)) yield;
  }

  /** The addresses in a zone, or those of its family that are not: whichever are fewer. */
  #smallerPart({ family, range, holes }: Zone): { part: Member[]; isInside: boolean } {
    const { order } = this.#identities;
    const mapped = order.runOf(MAPPED);
    const all = family === 4 ? [mapped] : cut([order.runOf(EVERYTHING)], mapped);
    let inside: Run[] = [order.runOf(range)];
    for (const hole of holes) inside = cut(inside, order.runOf(hole));
    const outside = inside.reduce<Run[]>(cut, all);
    const isInside = countOf(inside) < countOf(outside);
    return { part: order.at(isInside ? inside : outside), isInside };
  }

  *remove(term: number, pace: Pace): Generator<void, void> {
    const zone = this.#zones.get(term);
    if (zone === undefined) return;
    this.#zones.delete(term);
    for (const [one, areas] of this.#inside(zone)) {
      let units = areas.length / AREAS_A_UNIT;
      const other = this.#combinations.without(one, term);
      if (other === undefined) this.#combinations.change(one, term);
      else {
        this.#place(areas, other);
        this.#combinations.forget(one);
        units += this.#identities.merge(one, other) / ADDRESSES_A_UNIT;
      }
      if (pace.isOver(1 + units)) yield;
    }
    for (const prefix of [zone.range, ...zone.holes]) this.#close(prefix);
  }

  #place(areas: readonly Area[], combination: Combined): void {
    for (const area of areas) {
      area.combination.areas--;
      area.combination = combination;
      combination.areas++;
    }
    this.isChanged = true;
  }

  /** The areas in a zone, by their combinations. */
  #inside(zone: Zone): Map<Combined, Area[]> {
    const found = new Map<Combined, Area[]>();
    for (const area of this.#within(zone.range)) {
      if (zone.holes.some((hole) => holds(hole, area.prefix, area.prefix.bits))) continue;
      const same = found.get(area.combination);
      if (same === undefined) found.set(area.combination, [area]);
      else same.push(area);
    }
    return found;
  }

  /** Areas whose prefix is this one or inside it. */
  *#within(prefix: Prefix): Iterable<Area> {
    const { areas } = this;
    for (let at = this.#placeOf(prefix, prefix.bits); at < areas.length; at++) {
      if (!holds(prefix, areas[at].prefix, areas[at].prefix.bits)) return;
      yield areas[at];
    }
  }

  /** Makes an area of a prefix, if there is none. */
  #open(prefix: Prefix): void {
    const { areas } = this;
    const at = this.#placeOf(prefix, prefix.bits);
    if (
      at < areas.length &&
      comparePrefixes(areas[at].prefix, areas[at].prefix.bits, prefix, prefix.bits) === 0
    ) {
      areas[at].uses++;
      return;
    }
    let outer = areas[at - 1];
    while (outer.outer !== undefined && !holds(outer.prefix, prefix, prefix.bits)) outer = outer.outer;
    const made = this.#areaOf(prefix, outer, outer.combination);
    for (const inner of this.#within(prefix)) if (inner.outer === outer) inner.outer = made;
    areas.splice(at, 0, made);
    this.isChanged = true;
  }

  /** Gives an area back that no block needs. It is in no other combination than the one around it. */
  #close(prefix: Prefix): void {
    const at = this.#placeOf(prefix, prefix.bits);
    const area = this.areas[at];
    area.uses--;
    if (area.uses > 0) return;
    for (const inner of this.#within(prefix)) if (inner.outer === area) inner.outer = area.outer;
    area.combination.areas--;
    this.areas.splice(at, 1);
    this.isChanged = true;
  }

  /** Place of the first area that is not before this prefix. */
  #placeOf(address: IpWords, bits: number): number {
    const { areas } = this;
    let from = 0;
    let to = areas.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const { prefix } = areas[middle];
      if (comparePrefixes(prefix, prefix.bits, address, bits) < 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** The combination of blocks that an address lies in. */
  combinationOf(address: IpWords): Combined {
    let area = this.areas[this.#placeOf(address, 129) - 1];
    while (area.outer !== undefined && !holds(area.prefix, address, 128)) area = area.outer;
    return area.combination;
  }
}

function zoneOf({ range, except }: Block): Zone {
  const { family } = range;
  const holes = except.filter((inner) => inner.family === family).map(prefixOf);
  const zone = { family, range: prefixOf(range), holes };
  const isAround = family === 6 && holds(zone.range, MAPPED, MAPPED.bits);
  return isAround ? { ...zone, holes: [...holes, MAPPED] } : zone;
}

function prefixOf(range: Cidr): Prefix {
  return { w0: range.w0, w1: range.w1, w2: range.w2, w3: range.w3, bits: prefixLen128(range) };
}
