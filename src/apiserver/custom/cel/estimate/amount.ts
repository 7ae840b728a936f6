// Amounts that are counted up to what 64 bits hold and no further, as an API server counts them. All that is more than
// 2^53 is more than any limit, so that it does not matter that such numbers are no longer exact here.

const MOST = 2 ** 64;

export const plus = (a: number, b: number): number => Math.min(a + b, MOST);
export const times = (a: number, b: number): number => Math.min(a * b, MOST);
/** A share of an amount, rounded up. */
export const share = (amount: number, factor: number): number => Math.min(Math.ceil(amount * factor), MOST);
/** Where nobody takes care: what is too much begins again at nothing. */
export const wrapped = (amount: bigint): number => Number(BigInt.asUintN(64, amount));

/** How long a text is, or how many items there are: at least, and at most. */
export interface Size {
  readonly min: number;
  readonly max: number;
}

export const UNKNOWN: Size = { min: 0, max: MOST };
export const exactly = (size: number): Size => ({ min: size, max: size });
export const sumOf = (a: Size, b: Size): Size => ({ min: plus(a.min, b.min), max: plus(a.max, b.max) });
export const productOf = (a: Size, b: Size): Size => ({ min: times(a.min, b.min), max: times(a.max, b.max) });
export const unionOf = (a: Size, b: Size): Size => ({
  min: Math.min(a.min, b.min),
  max: Math.max(a.max, b.max),
});
