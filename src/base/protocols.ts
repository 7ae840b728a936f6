/**
 * IP protocol numbers (IANA protocol-numbers). Frozen, and taken apart at module level by whoever needs some of them:
 * numbers in the compiled code, where an imported `const` would be loaded each time.
 */
export const Protocol = Object.freeze({
  ICMP: 1,
  IGMP: 2,
  IPIP: 4,
  TCP: 6,
  UDP: 17,
  IPV6_IN_IP: 41,
  GRE: 47,
  ESP: 50,
  ICMPV6: 58,
  SCTP: 132,
  UDPLITE: 136,
} as const);
