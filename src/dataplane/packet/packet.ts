/**
 * Packet: the one reused description of the frame that is in the pipeline. `parse` fills it, stages read and
 * refine it, nothing of it survives the frame. Bytes stay in the arena; every `off` is an absolute byte offset
 * into it.
 *
 * Addresses live in `key`, the conntrack tuple (table/connection/tuple.ts), one form for both families.
 * `to` is the same tuple as the packet shall leave: NAT is decided on words and written to the bytes last, so
 * that an ICMP error made on the way quotes the packet as its sender knows it.
 */
import { TUPLE_WORDS } from "../table/connection/tuple.ts";
import { DETAIL_WORDS } from "../trace/layout.ts";

/** Bytes from one packet slot to the next: not a multiple of 4096, so that slots do not share cache sets. */
export const SLOT_STRIDE = 66_048;
/** Bytes before a received frame: room for a virtio-net header and the outer headers of a tunnel. */
export const HEADROOM = 128;
/** Bytes from a frame's first byte to the end of its slot. */
export const SLOT_ROOM = SLOT_STRIDE - HEADROOM;

/** conntrack's view of the packet, as `-m conntrack --ctstate` names it. */
export const CtState = Object.freeze({
  UNTRACKED: 0,
  NEW: 1,
  ESTABLISHED: 2,
  RELATED: 3,
  INVALID: 4,
} as const);
const { NEW } = CtState;
export type CtState = (typeof CtState)[keyof typeof CtState];
export const CT_STATE_NAMES: readonly string[] = ["UNTRACKED", "NEW", "ESTABLISHED", "RELATED", "INVALID"];

/** Why the source is rewritten; 0 = it is not. */
export const Masquerade = Object.freeze({
  NONE: 0,
  SERVICE: 1,
  HAIRPIN: 2,
  POD_EGRESS: 3,
  HOST_PORT: 4,
  KEPT: 5, // it was to be, for a service, and is not: the pod sees the client (kept-client.ts)
} as const);

/**
 * How a packet goes on: as routes say, at layer 2, back to the VTEP that its client came by, by the route it has, or to
 * the node's mesh proxy, whatever its destination.
 */
export const Way = Object.freeze({ ROUTED: 0, BRIDGED: 1, RETURN: 2, MESH: 3 } as const);

export class Packet {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Tuple as received, and tuple as it shall leave. */
  readonly key = new Int32Array(TUPLE_WORDS);
  readonly to = new Int32Array(TUPLE_WORDS);

  off = 0; //            first byte of the Ethernet header
  end = 0; //            first byte past the frame
  slot = -1; //          pool slot that holds it, -1: a receive slot or borrowed memory
  inPort = 0; //         PortId
  fromTunnel = 0; //     1 after VXLAN decapsulation

  csumPartial = 0; //    1: virtio NEEDS_CSUM, the L4 checksum field holds the pseudo-header sum only
  csumValid = 0; //      1: somebody has verified the L4 checksum: virtio DATA_VALID, or track-connection
  csumWrong = 0; //      DropReason when the L4 checksum was found wrong
  csumStart = 0; //      absolute; where the sum begins when partial
  csumOffset = 0; //     bytes from csumStart to the field
  frameSum = -1; //      folded sum of the bytes sumAt … sumEnd, made as the frame was received; -1: none
  sumAt = 0; //          absolute
  sumEnd = 0; //         absolute: the end of the frame as it came
  gsoType = 0; //        virtio GSO type without the ECN bit
  gsoEcn = 0; //         0x80 when a TSO frame has CWR on its first segment
  gsoSize = 0; //        payload bytes of one segment

  etherType = 0; //      after 802.1Q tags
  family = 0; //         4, 6 or 0: not IP
  l3 = 0; //             IP header
  l4 = 0; //             upper-layer header; 0 when this is not a first fragment
  proto = 0; //          upper-layer protocol
  options = 0; //        1: IPv4 header with options
  ipLen = 0; //          bytes of the IP packet, header included
  fragment = 0; //       1: first fragment, 2: later fragment, 0: whole
  fragMax = 0; //        largest fragment it came in, bytes of IP packet; 0: it came whole
  fragId = 0; //         IPv6: identification of those fragments (IPv4 has it in the header), and
  fragHeader = 0; //     bytes of headers that every one of them bore
  tcpFlags = 0; //       low 8 flag bits

  bridged = 0; //        Way. BRIDGED: to another station at layer 2, stays on the bridge unless NAT moves it
  ctSlot = -1;
  ctDir = 0; //          0 original, 1 reply
  ctState = 0; //        CtState
  ctInvalidNat = 0; //   not 0: INVALID, though of a connection that is translated
  nat = 0; //            1: `to` differs from `key`
  helper = 0; //         1: of a connection that a helper reads
  expected = -1; //      expectations index that it fulfils
  icmpInner = 0; //      offset of the IP header that an ICMP error carries, when it was matched
  frontend = -1; //      services frontend that claimed it
  sourceClass = 0; //    SourceClass that the rules took its sender for, when a frontend claimed it
  endpoint = -1; //      services endpoint slot that was chosen for a new connection
  masquerade = 0; //     Masquerade
  pending = -1; //       pending-connections entry, when the plane sends it to another endpoint
  egressVerdict = 0; //  what policies said of a new connection: rule id and PolicyAction; 0: nothing
  ingressVerdict = 0;
  attempt = 0; //        then: number of the attempt | why the last one failed << 3 (pending-connections Reason)

  route = -1; //         routes index
  outPort = -1; //       PortId
  station = -1; //        stations slot when it goes to a pod
  dropReason = 0;
  icmpRequest = 0; //    IcmpRequest: what the sender shall be told
  icmpMtu = 0; //        MTU or pointer that the error shall tell
  traceId = 0; //        bit per watcher that traces it; 0: nobody watches this packet
  watchId = 0; //        its number in trace and capture records
  stage = 0; //          StageId of the stage that was entered last
  acted = 0; //          1: it changed the packet or says more of it in `detail`, its own words of a trace record
  readonly detail = new Int32Array(DETAIL_WORDS);

  constructor(arena: Uint8Array) {
    this.bytes = arena;
    this.view = new DataView(arena.buffer, arena.byteOffset, arena.byteLength);
  }
}

/** Does the packet begin a connection that conntrack has yet to be told of? */
export function isNewConnection(pkt: Packet): boolean {
  return pkt.ctSlot < 0 && (pkt.ctState === NEW || pkt.expected >= 0);
}

/** Prepares `pkt` for a frame at `off` of `len` bytes that came in by `inPort`. Does not look at the bytes. */
export function begin(pkt: Packet, off: number, len: number, inPort: number): void {
  pkt.off = off;
  pkt.end = off + len;
  pkt.slot = -1;
  pkt.inPort = inPort;
  pkt.fromTunnel = 0;
  pkt.csumPartial = 0;
  pkt.csumValid = 0;
  pkt.csumWrong = 0;
  pkt.frameSum = -1;
  pkt.gsoType = 0;
  pkt.gsoEcn = 0;
  pkt.gsoSize = 0;
  pkt.etherType = 0;
  pkt.family = 0;
  pkt.l3 = 0;
  pkt.l4 = 0;
  pkt.proto = 0;
  pkt.options = 0;
  pkt.ipLen = 0;
  pkt.fragment = 0;
  pkt.fragMax = 0;
  pkt.fragId = 0;
  pkt.fragHeader = 0;
  pkt.tcpFlags = 0;
  pkt.bridged = 0;
  pkt.ctSlot = -1;
  pkt.ctDir = 0;
  pkt.ctState = 0;
  pkt.ctInvalidNat = 0;
  pkt.nat = 0;
  pkt.helper = 0;
  pkt.expected = -1;
  pkt.icmpInner = 0;
  pkt.frontend = -1;
  pkt.sourceClass = 0;
  pkt.endpoint = -1;
  pkt.masquerade = 0;
  pkt.pending = -1;
  pkt.egressVerdict = 0;
  pkt.ingressVerdict = 0;
  pkt.attempt = 0;
  pkt.route = -1;
  pkt.outPort = -1;
  pkt.station = -1;
  pkt.dropReason = 0;
  pkt.icmpRequest = 0;
  pkt.icmpMtu = 0;
  pkt.traceId = 0;
  pkt.watchId = 0;
  pkt.stage = 0;
  pkt.acted = 0;
}
