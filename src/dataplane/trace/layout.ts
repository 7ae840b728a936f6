/**
 * Where things lie in the records of watched packets (bodies of record-ring; words are i32, as the machine has them): the
 * plane writes by these names, `observe` reads by them, nobody counts. Both kinds begin with the same words. Every value
 * has a word of its own: rings are written for watched packets only, and codes will be added.
 */

/** Of both kinds: who, what was decided, and the packet as it stands. */
export const Word = Object.freeze({
  PACKET: 0, //       number of the watched packet; its records have the same
  VERDICT: 1,
  REASON: 2, //       DropReason
  FLAGS: 3, //        Flag
  CT_STATE: 4,
  MASQUERADE: 5,
  IN_PORT: 6, //      PortId, -1: by none
  OUT_PORT: 7, //     PortId, -1: not known
  SERVICE: 8, //      id of the service port, -1: none
  LENGTH: 9, //       bytes: of the IP packet in a trace record, of the frame in a capture record
  TIME_US: 10, //     f64, µs since 1970, of the batch
  FAMILY: 12, //      4, 6 or 0: no IP packet, the tuples mean nothing
  PROTOCOL: 13,
  KEY: 14, //         tuple as received, 10 words
  TO: 24, //          tuple as it leaves
  EGRESS: 34, //      what policies said of it when its connection was opened: rule id and PolicyAction, 0: nothing
  INGRESS: 35,
} as const);

/** Bits of Word.FLAGS. */
export const Flag = Object.freeze({
  REPLY: 1,
  NAT: 2,
  BRIDGED: 4,
  FROM_TUNNEL: 8,
  WAITS: 16, // a frame of it waits for its neighbour's address
  RANGES: 32, // source ranges hold for the address that it was sent to
  LATE: 64, //  of a packet that had been kept or queued: only the plane's own decision is known, no tuple
  OWN: 128, //  the node's own stack sent it
  TO_NODE: 256, // it is delivered to that stack; before it is routed: its destination is an address of the node
  RETURN: 512, // goes back to the VTEP that its connection's client came by
  TO_PROXY: 1024, // goes to the node's mesh proxy
} as const);

/** Of a trace record alone: one stage of one packet. */
export const TraceWord = Object.freeze({
  STAGE: 36, //       StageId
  TIME_MS: 37, //     engine clock
  ETHER_TYPE: 38,
  TCP_FLAGS: 39,
  GSO_SIZE: 40,
  FRONTEND: 41, //    FrontendKind of what claims it, -1: nothing does
  SOURCE_CLASS: 42, // SourceClass that its sender was taken for, where something claims it
  ROUTE: 43, //       routes index
  ICMP_REQUEST: 44, // IcmpRequest
  ATTEMPT: 45, //     of a connection that is dialled again
  FAILURE: 46, //     why the attempt before failed: pending-connections Reason
  DETAIL: 47, //      DETAIL_WORDS that mean what the stage says they mean
} as const);
export const DETAIL_WORDS = 8;
export const TRACE_WORDS = 55;

/** Detail of answer-arp and answer-nd: the question, and the answer if there was one. */
export const NeighborDetail = Object.freeze({
  ANSWERED: 0, //     1: with the MAC address that follows
  MAC_HI: 1,
  MAC_LO: 2,
  IS_REQUEST: 3, //   1: who has; 0: somebody says where he is
  TARGET: 4, //       four words, ARP's one in the last
} as const);
/** Detail of clamp-mss: the MSS that was offered, and what it became. */
export const MssDetail = Object.freeze({ OFFERED: 0, CLAMPED: 1 } as const);
/** Detail of help-ftp: what it did, and the port that a data connection is expected at. */
export const FtpDetail = Object.freeze({ DID: 0, PORT: 1 } as const);
export const FtpDid = Object.freeze({ EXPECTED: 1, REWRITTEN: 2, RENUMBERED: 4 } as const);
/** Detail of decapsulate: how many frames were inside. */
export const TunnelDetail = Object.freeze({ FRAMES: 0 } as const);
/** Detail of hold-connection: which attempt the packet is kept for. */
export const HoldDetail = Object.freeze({ ATTEMPT: 0 } as const);

/** Detail of steer-to-mesh: 1: of a pod here that asks a service; 2: of somebody who asks a pod here. */
export const MeshDetail = Object.freeze({ WAY: 0 } as const);
export const MeshWay = Object.freeze({ OUTBOUND: 1, INBOUND: 2 } as const);

/** Of a capture record alone: one frame at one port. The bytes that were kept follow. */
export const CaptureWord = Object.freeze({
  DIRECTION: 36, //   0 in, 1 out
  PORT: 37,
  KEPT: 38, //        bytes that follow
  VNET_FLAGS: 39, //  from here on as in the virtio header
  GSO_TYPE: 40,
  GSO_SIZE: 41,
  CSUM_START: 42,
  CSUM_OFFSET: 43,
} as const);
export const CAPTURE_WORDS = 44;

export const RecordType = Object.freeze({ TRACE: 1, CAPTURE: 2 } as const);
