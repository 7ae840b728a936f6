// Bits of a packet's mark, as Felix takes them from its mask 0xffff0000.
export const MARK_ACCEPT = 0x10000; //   a policy or profile has accepted it
export const MARK_PASS = 0x20000; //     a policy has passed it on to the next tier
export const MARK_DROP = 0x40000; //     a policy denies it
export const MARK_ALL_BLOCKS = 0x80000; // while a rule takes several of iptables': all parts so far match
export const MARK_THIS_BLOCK = 0x100000; // and the part in hand
export const MARK_ALL = MARK_ACCEPT | MARK_PASS | MARK_DROP | MARK_ALL_BLOCKS | MARK_THIS_BLOCK;
