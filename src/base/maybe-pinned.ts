/** A typed array whose memory the addon has looked up before (`pin` of native/binding.ts); only it can look inside. */
export interface Pin<T> {
  readonly pinned: T;
}

/** A typed array, or what was pinned of one. */
export type MaybePinned<T> = T | Pin<T>;

/** Whoever takes pinned arrays. Who has no `pin` is given the arrays themselves. */
export interface Pins {
  pin?<T extends Uint8Array | Int32Array | Float64Array>(array: T): MaybePinned<T>;
}

/** `array` as `by` wants it in its calls. Cold. */
export function createPin<T extends Uint8Array | Int32Array>(by: Pins | null, array: T): MaybePinned<T> {
  return by?.pin === undefined ? array : by.pin(array);
}
