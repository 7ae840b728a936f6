/** The one link-local address that belongs to a MAC, for stages that have to tell whose a link-local address is. */

const LINK_LOCAL = 0xfe800000 | 0; // first word of fe80::/64

/** Is w0…w3 the link-local address whose interface identifier the MAC hi:lo makes (RFC 4291, appendix A)? */
export function isLinkLocalOf(
  hi: number,
  lo: number,
  w0: number,
  w1: number,
  w2: number,
  w3: number,
): boolean {
  return (
    w0 === LINK_LOCAL &&
    w1 === 0 &&
    w2 === (((hi ^ 0x0200) << 16) | ((lo >>> 24) << 8) | 0xff) &&
    w3 === ((0xfe << 24) | (lo & 0xffffff))
  );
}
