// Every source to every destination: cell by cell, and as a table in which ends that look the same are one line.
import { type End, type Port, portText, USUAL_PORT } from "./ends.ts";

export interface Asked {
  readonly from: readonly End[];
  readonly to: readonly End[];
  /** Empty: those that each destination serves. */
  readonly ports: readonly Port[];
  /** Only pairs with a pod in them: policies have nothing to say about others. */
  readonly ofPods?: boolean;
}

/** Whatever says something of two ends at a port. */
export interface Relation<A> {
  /** The same text for ends of which the same is said. */
  kindOf(end: End): string;
  cell(from: End, to: End, port: Port): A;
  /** As `cell`, but an end and itself are two of its kind. */
  between(from: End, to: End, port: Port): A;
}

export interface Cell<A> extends Port {
  readonly from: string;
  readonly to: string;
  readonly answer: A;
}

const USUAL: readonly Port[] = [USUAL_PORT];

export function portsAt(to: End, asked: readonly Port[]): readonly Port[] {
  if (asked.length > 0) return asked;
  return to.ports.length > 0 ? to.ports : USUAL;
}

/** In the order of sources, destinations, ports. */
export function* cellsOf<A>(reach: Relation<A>, asked: Asked): Generator<Cell<A>> {
  const { from, to, ports } = asked;
  for (const source of from) {
    for (const destination of to) {
      if (!isAsked(asked, source, destination)) continue;
      for (const port of portsAt(destination, ports)) {
        const answer = reach.cell(source, destination, port);
        yield { from: source.name, to: destination.name, ...port, answer };
      }
    }
  }
}

/** Sources, or destinations at a port, that have the same answers. */
export interface Row {
  readonly ends: readonly End[];
}
export interface Column extends Row {
  readonly port: Port;
}

export interface Grouped<A> {
  readonly rows: readonly Row[];
  readonly columns: readonly Column[];
  /** By row and column; undefined: an end and itself, or a pair that was not asked about. */
  readonly answers: readonly (readonly (A | undefined)[])[];
}

interface Kind {
  readonly members: End[];
  /** Of destinations. */
  readonly port: Port;
}

/** `tell`: what of an answer makes a difference. A pod's way to itself makes none. */
export function grouped<A>(reach: Relation<A>, asked: Asked, tell: (answer: A) => string): Grouped<A> {
  const ids = new Map<string, number>();
  const textId = (text: string): number => {
    const id = ids.get(text) ?? ids.size;
    ids.set(text, id);
    return id;
  };
  const sources = kindsOf(
    asked.from,
    (end) => reach.kindOf(end),
    () => USUAL,
  );
  const targets = kindsOf(
    asked.to,
    (end) => `${reach.kindOf(end)}@${nodeOf(end)}`,
    (end) => portsAt(end, asked.ports),
  );
  const answer = ({ members: [from] }: Kind, { members: [to], port }: Kind): A | undefined =>
    isAsked(asked, from, to) ? reach.between(from, to, port) : undefined;
  const toldOf = (source: Kind, target: Kind): number => {
    const found = answer(source, target);
    return found === undefined ? NOT_ASKED : textId(tell(found));
  };
  const rows = merged(sources, (source) => targets.map((target) => toldOf(source, target)).join());
  const columns = merged(targets, (target) => {
    const told = sources.map((source) => toldOf(source, target));
    return `${portText(target.port)} ${told.join()}`;
  });
  const answers = rows.map((row) =>
    columns.map((column) => (isOne(row, column) ? undefined : answer(row, column))),
  );
  return {
    rows: rows.map(({ members }) => ({ ends: members })),
    columns: columns.map(({ members, port }) => ({ ends: members, port })),
    answers,
  };
}

const NOT_ASKED = -1;

function isAsked({ ofPods }: Asked, from: End, to: End): boolean {
  return ofPods !== true || from.pod !== undefined || to.pod !== undefined;
}

function kindsOf(
  ends: readonly End[],
  kindOf: (end: End) => string,
  portsOf: (end: End) => readonly Port[],
): Kind[] {
  const kinds = new Map<string, Kind>();
  for (const end of ends) {
    for (const port of portsOf(end)) {
      const key = `${kindOf(end)} ${portText(port)}`;
      const kind = kinds.get(key);
      if (kind === undefined) kinds.set(key, { members: [end], port });
      else kind.members.push(end);
    }
  }
  return [...kinds.values()];
}

function merged(kinds: readonly Kind[], keyOf: (kind: Kind) => string): Kind[] {
  const groups = new Map<string, Kind>();
  for (const kind of kinds) {
    const key = keyOf(kind);
    const group = groups.get(key);
    groups.set(key, group === undefined ? kind : { ...group, members: [...group.members, ...kind.members] });
  }
  return [...groups.values()];
}

/** Its node is always let in. */
function nodeOf({ pod }: End): string {
  return pod?.spec.nodeName ?? "";
}

function isOne({ members: from }: Kind, { members: to }: Kind): boolean {
  return from.length === 1 && to.length === 1 && from[0].name === to[0].name && from[0].isRange !== true;
}

const NAMES_SHOWN = 3;

/** "shop/api-1, shop/api-2", "shop/api-1 and 41 more", "0.0.0.0/0 except 12 ranges". */
export function namesOf(ends: readonly End[]): string {
  const names = ends.map(({ name }) => shortName(name));
  if (names.length <= NAMES_SHOWN) return names.join(", ");
  return `${names[0]} and ${names.length - 1} more`;
}

function shortName(name: string): string {
  const [range, holes = ""] = name.split(" except ");
  const count = holes.split(", ").length;
  return count <= NAMES_SHOWN ? name : `${range} except ${count} ranges`;
}
