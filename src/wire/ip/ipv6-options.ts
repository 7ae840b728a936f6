// Options of an IPv6 hop-by-hop or destination options header (RFC 8200 §4.2). `at` is the header. Pure over
// (view, off); nothing allocates. The header itself has been walked by ipv6.findUpperLayer.
const OPTION_PAD1 = 0;
const OPTION_PADN = 1;
const OPTION_ROUTER_ALERT = 5; // RFC 2711: every MLD message has one

/** What the two highest bits of an option's type want done where it is not known. */
export const Action = Object.freeze({ SKIP: 0, DISCARD: 1, REPORT: 2, REPORT_UNICAST: 3 } as const);

/** findUnknown: an option runs past its header. */
export const MALFORMED = -2;

/** Offset of the first option that is not known and must not be skipped; -1: none; or MALFORMED. */
export function findUnknown(view: DataView, at: number): number {
  const end = at + ((view.getUint8(at + 1) + 1) << 3);
  let option = at + 2;
  while (option < end) {
    const type = view.getUint8(option);
    if (type === OPTION_PAD1) {
      option += 1;
      continue;
    }
    if (option + 2 > end) return MALFORMED;
    const next = option + 2 + view.getUint8(option + 1);
    if (next > end) return MALFORMED;
    if (type !== OPTION_PADN && type !== OPTION_ROUTER_ALERT && actionOf(type) !== Action.SKIP) return option;
    option = next;
  }
  return -1;
}

/** Action of an option's type. */
export function actionOf(type: number): number {
  return type >>> 6;
}
