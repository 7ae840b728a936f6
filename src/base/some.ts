/** What is one nearly always, and else several: a list of one takes a hundred bytes more, and there are ten thousands. */
export type Some<T extends object> = T | readonly T[];

const NONE: readonly never[] = [];

export function listOf<T extends object>(some: Some<T> | undefined): readonly T[] {
  if (some === undefined) return NONE;
  return isList(some) ? some : [some];
}

export function firstOf<T extends object>(some: Some<T> | undefined): T | undefined {
  return some !== undefined && isList(some) ? some[0] : some;
}

/** Undefined: an empty list. Another one is copied, without room to grow. */
export function someOf<T extends object>(list: readonly T[]): Some<T> | undefined {
  return list.length > 1 ? list.slice() : list[0];
}

function isList<T extends object>(some: Some<T>): some is readonly T[] {
  return Array.isArray(some);
}
