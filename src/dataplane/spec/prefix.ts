/** A range of addresses in the words of a table, as messages to the plane and routes name it. */

/**
 * `bits` counts from the top of the 128-bit form: an IPv4 /24 has 120. Bits of w0–w3 below it are ignored.
 */
export interface Prefix {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  readonly bits: number;
}
