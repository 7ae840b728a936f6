// Fuzz target `wire`: every parser of wire/ and dissect/ over one frame. The view ends where the frame ends,
// so that a read past it is an exception, and an exception is a finding, as is a broken promise about what
// was parsed.
import { dissect } from "../../dissect/dissect.ts";
import { summary } from "../../dissect/summary.ts";
import * as checksum from "../../wire/bytes/checksum.ts";
import * as icmpv4 from "../../wire/ip/icmpv4.ts";
import * as icmpv6 from "../../wire/ip/icmpv6.ts";
import * as ipv4 from "../../wire/ip/ipv4.ts";
import * as options from "../../wire/ip/ipv4-options.ts";
import * as ipv6 from "../../wire/ip/ipv6.ts";
import * as ndp from "../../wire/ip/ndp.ts";
import * as arp from "../../wire/link/arp.ts";
import * as ethernet from "../../wire/link/ethernet.ts";
import * as virtio from "../../wire/link/virtio-net.ts";
import * as vxlan from "../../wire/link/vxlan.ts";
import * as sctp from "../../wire/transport/sctp.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import * as udp from "../../wire/transport/udp.ts";
import { viewOf } from "../frames/bytes.ts";
import { checkFrame } from "../frames/frame-checker.ts";

type Accessor = (view: DataView, off: number) => unknown;
type Probe = (view: DataView, off: number, end: number) => void;

/** What may be called without further questions once isWellFormed said yes. */
const ACCESSORS: readonly {
  isWellFormed: (view: DataView, off: number, end: number) => boolean;
  all: Accessor[];
}[] = [
  {
    isWellFormed: ethernet.isWellFormed,
    all: [
      ethernet.dstHi,
      ethernet.dstLo,
      ethernet.srcHi,
      ethernet.srcLo,
      ethernet.etherType,
      ethernet.isTagged,
    ],
  },
  {
    isWellFormed: arp.isWellFormed,
    all: [arp.op, arp.senderHi, arp.senderLo, arp.senderIp, arp.targetHi, arp.targetLo, arp.targetIp],
  },
  {
    isWellFormed: ipv4.isWellFormed,
    all: [
      ...[ipv4.tos, ipv4.totalLen, ipv4.id, ipv4.flagsFragment, ipv4.fragOffset, ipv4.moreFragments],
      ...[ipv4.dontFragment, ipv4.isFragment, ipv4.ttl, ipv4.proto, ipv4.checksum, ipv4.src, ipv4.dst],
      ...[ipv4.headerLen, ipv4.hasSourceRoute, options.findProblem, ipv4.checksumOk],
    ],
  },
  {
    isWellFormed: ipv6.isWellFormed,
    all: [
      ...[ipv6.payloadLen, ipv6.nextHeader, ipv6.hopLimit, ipv6.trafficClass, ipv6.flowLabel],
      (view, off) => ipv6.srcWord(view, off, 3),
      (view, off) => ipv6.dstWord(view, off, 3),
    ],
  },
  {
    isWellFormed: tcp.isWellFormed,
    all: [
      ...[tcp.srcPort, tcp.dstPort, tcp.seq, tcp.ack, tcp.flags, tcp.window, tcp.checksum, tcp.urgent],
      ...[tcp.mss, tcp.mssOffset, tcp.wscale, tcp.sackPermitted, tcp.timestampsOffset],
    ],
  },
  { isWellFormed: udp.isWellFormed, all: [udp.srcPort, udp.dstPort, udp.length, udp.checksum] },
  {
    isWellFormed: icmpv4.isWellFormed,
    all: [icmpv4.type, icmpv4.code, icmpv4.checksum, icmpv4.rest, icmpv4.id, icmpv4.seq, icmpv4.mtu],
  },
  {
    isWellFormed: icmpv6.isWellFormed,
    all: [icmpv6.type, icmpv6.code, icmpv6.checksum, icmpv6.rest, icmpv6.id, icmpv6.seq, icmpv6.mtu],
  },
  { isWellFormed: sctp.isWellFormed, all: [sctp.srcPort, sctp.dstPort, sctp.vtag, sctp.checksum] },
  { isWellFormed: vxlan.isWellFormed, all: [vxlan.vni, vxlan.flags] },
  {
    isWellFormed: (_view, off, end) => end - off >= virtio.HEADER_LEN,
    all: [virtio.flags, virtio.gsoType, virtio.hdrLen, virtio.gsoSize, virtio.csumStart, virtio.csumOffset],
  },
];

const PROBES: readonly Probe[] = [probeTags, probeIpv4, probeIpv6, probeNdp, probeSctp, probePartial];

/** Throws when a parser threw or broke a promise. */
export function fuzzWire(frame: Uint8Array): void {
  const bytes = frame.slice(); // exactly as long as the frame: over-reads throw; and setters may write
  const view = viewOf(bytes);
  for (const off of [0, 10, 14, 18, 22, 34, 42, 50, 54]) {
    if (off > bytes.length) break;
    for (const module of ACCESSORS) {
      if (module.isWellFormed(view, off, bytes.length))
        for (const accessor of module.all) accessor(view, off);
    }
    for (const probe of PROBES) probe(view, off, bytes.length);
  }
  fuzzDissect(frame);
}

function fuzzDissect(frame: Uint8Array): void {
  const taken = dissect(frame);
  const line = summary(taken);
  expect(line.length > 0 && !/[\n\r]|undefined|NaN/.test(line), `summary is ${JSON.stringify(line)}`);
  expect(JSON.stringify(taken).length > 0, "not fit for JSON");
  checkFrame(frame);
  checkFrame(frame.subarray(Math.min(10, frame.length)), { virtio: frame.slice(0, 10) });
}

function probeTags(view: DataView, off: number, end: number): void {
  const payload = ethernet.payloadOffset(view, off, end);
  ethernet.payloadType(view, off, end);
  expect(
    payload === -1 || (payload >= off + ethernet.HEADER_LEN && payload <= end),
    "payload offset leaves the frame",
  );
}

function probeIpv4(view: DataView, off: number, end: number): void {
  if (!ipv4.isWellFormed(view, off, end)) return;
  expect(ipv4.headerLen(view, off) <= ipv4.totalLen(view, off), "header longer than the packet");
  expect(off + ipv4.totalLen(view, off) <= end, "packet longer than the frame");
  ipv4.computeChecksum(view, off);
  expect(ipv4.checksumOk(view, off), "computed checksum is wrong");
  ipv4.decrementTtl(view, off);
  ipv4.setSrcAndChecksum(view, off, ipv4.dst(view, off));
  ipv4.setTosAndChecksum(view, off, 0xb8);
  expect(ipv4.checksumOk(view, off), "repaired checksum is wrong");
}

function probeIpv6(view: DataView, off: number, end: number): void {
  if (!ipv6.isWellFormed(view, off, end)) return;
  const found = ipv6.findUpperLayer(view, off, end);
  if (found < 0) return;
  const upper = ipv6.upperLayerOffset(off, found);
  const stop = off + ipv6.HEADER_LEN + ipv6.payloadLen(view, off);
  expect(upper >= off + ipv6.HEADER_LEN && upper <= stop, "upper layer leaves the packet");
  if (ipv6.upperLayerProto(found) === ipv6.PROTO_FRAGMENT) {
    ipv6.fragNextHeader(view, upper);
    ipv6.fragOffset(view, upper);
    ipv6.fragMore(view, upper);
    ipv6.fragId(view, upper);
  }
  if (icmpv6.isWellFormed(view, upper, stop)) {
    icmpv6.computeChecksum(view, upper, stop - upper, off);
    expect(icmpv6.checksumOk(view, upper, stop, off), "computed ICMPv6 checksum is wrong");
  }
}

function probeNdp(view: DataView, off: number, end: number): void {
  if (icmpv6.isWellFormed(view, off, end)) ndp.findOption(view, off, end, ndp.OPTION_TARGET_LINK);
  if (!ndp.isWellFormed(view, off, end)) return;
  const kind = icmpv6.type(view, off);
  const hasTarget = kind === icmpv6.TYPE_NEIGHBOR_SOLICITATION || kind === icmpv6.TYPE_NEIGHBOR_ADVERTISEMENT;
  if (hasTarget) ndp.targetWord(view, off, 3);
  const link = ndp.findOption(view, off, end, ndp.OPTION_SOURCE_LINK);
  if (link >= 0) ndp.linkLo(view, link);
}

function probeSctp(view: DataView, off: number, end: number): void {
  if (!sctp.isWellFormed(view, off, end)) return;
  sctp.chunksWellFormed(view, off, end);
  let chunks = 0;
  for (let at = sctp.firstChunk(view, off, end); at >= 0; at = sctp.nextChunk(view, at, end)) chunks++;
  expect(chunks <= (end - off) / sctp.CHUNK_HEADER_LEN, "chunk walk does not move on");
  sctp.computeChecksum(view, off, end);
  expect(sctp.checksumOk(view, off, end), "computed CRC is wrong");
}

function probePartial(view: DataView, off: number, end: number): void {
  if (end - off < 8) return;
  checksum.completePartial(view, off, off + 6, end);
  expect(view.getUint16(off + 6) !== 0, "a completed checksum of UDP is 0");
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}
