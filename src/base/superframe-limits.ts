/** A superframe plus 50 bytes of VXLAN per segment must stay below 65,535 bytes. */
export const POD_GSO_MAX = 61_900; // 44 segments of 1398 bytes: with VXLAN headers still one UDP datagram (65,507)
