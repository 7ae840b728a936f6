// Expressions of nftables' rules, as the kernel takes them: each works on one register. Numbers are those of
// linux/netfilter/nf_tables.h.
import type { NumberRange } from "../base/taken.ts";
import { type Writer, wordBytes } from "./netlink/message.ts";

/** Its name, and how its attributes are written. */
export type Expression = readonly [name: string, write: (w: Writer) => void];

export const Verdict = Object.freeze({ DROP: 0, ACCEPT: 1, GOTO: -4 } as const);
/** Where a payload is counted from. */
export const Base = Object.freeze({ LINK: 0, NETWORK: 1, TRANSPORT: 2 } as const);
export const Compare = Object.freeze({ EQUAL: 0, UNEQUAL: 1, AT_MOST: 3, AT_LEAST: 5 } as const);
const VALUE = 1;
const VERDICT = 2;
const REGISTER = 1;
const PACKET_TYPE = 19;

export const packetType: Expression = ["meta", (w) => w.word(1, REGISTER).word(2, PACKET_TYPE)];

/** As many bytes as are compared; big-endian. */
export const half = (value: number): number[] => [value >> 8, value & 255];

export function load(base: number, offset: number, bytes: number): Expression {
  return ["payload", (w) => w.word(1, REGISTER).word(2, base).word(3, offset).word(4, bytes)];
}

export function compare(operator: number, bytes: readonly number[]): Expression {
  const write = (w: Writer): void => {
    w.word(1, REGISTER).word(2, operator);
    w.nested(3, () => w.attribute(VALUE, bytes));
  };
  return ["cmp", write];
}

export function mask(bytes: readonly number[]): Expression {
  const nothing = new Uint8Array(bytes.length);
  const write = (w: Writer): void => {
    w.word(1, REGISTER).word(2, REGISTER).word(3, bytes.length);
    w.nested(4, () => w.attribute(VALUE, bytes)).nested(5, () => w.attribute(VALUE, nothing));
  };
  return ["bitwise", write];
}

export function inSet(name: string): Expression {
  return ["lookup", (w) => w.text(1, name).word(2, REGISTER)];
}

export function verdict(code: number, chain = ""): Expression {
  const write = (w: Writer): void => {
    w.word(1, 0).nested(2, () =>
      w.nested(VERDICT, () => {
        w.attribute(1, wordBytes(code));
        if (chain !== "") w.text(2, chain);
      }),
    );
  };
  return ["immediate", write];
}

export const equals = (base: number, offset: number, bytes: readonly number[]): Expression[] => [
  load(base, offset, bytes.length),
  compare(Compare.EQUAL, bytes),
];

export const isBetween = (base: number, offset: number, { first, last }: NumberRange): Expression[] => [
  load(base, offset, 2),
  compare(Compare.AT_LEAST, half(first)),
  compare(Compare.AT_MOST, half(last)),
];
