// Branded numbers: identifiers that are all "just a number" at run time and must never be swapped. The brand
// exists for the compiler alone and vanishes from the emitted code. Brand what crosses a function border;
// inside a loop body a plain number is fine. A value read from a column gets its brand by `as`.

declare const brand: unique symbol;

/** `T` that can only be made by an explicit `as`. */
export type Branded<T, B extends string> = T & { readonly [brand]: B };

/**
 * IPv4 address as a signed 32-bit integer, most significant byte first on the wire: 10.0.0.1 is 0x0a000001.
 */
export type Ipv4Addr = Branded<number, "Ipv4Addr">;
/** TCP, UDP or SCTP port, 0…65535, host order. */
export type L4Port = Branded<number, "L4Port">;
/** VXLAN network identifier, 24 bits (RFC 7348 §5). */
export type Vni = Branded<number, "Vni">;
/** IP protocol number, 0…255 (IANA protocol-numbers). */
export type IpProto = Branded<number, "IpProto">;
