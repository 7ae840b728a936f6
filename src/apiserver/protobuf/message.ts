// The fields of a message, by number.
import { MESSAGES } from "./messages.ts";

export interface Field {
  /** "": the fields of a message around it. */
  readonly name: string;
  readonly type: string;
  readonly isZeroSaid: boolean;
}

export type Fields = ReadonlyMap<number, Field>;

const messages = new Map<string, Fields>();

/** Fields by number; undefined: nobody knows the type. */
export function messageOf(type: string): Fields | undefined {
  if (messages.size === 0) {
    for (const entry of MESSAGES.split(";")) {
      const [name, ...fields] = entry.trim().split(/\s+/);
      if (name !== "") messages.set(name, new Map(fields.map(fieldOf)));
    }
  }
  return messages.get(type);
}

function fieldOf(text: string): [number, Field] {
  const [, number, mark, name, type] = /^(\d+)(!?)([^:]+):(.+)$/.exec(text) ?? [];
  return [Number(number), { name: name === "<" ? "" : name, type, isZeroSaid: mark === "!" }];
}
