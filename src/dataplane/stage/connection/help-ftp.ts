/**
 * Stage `help-ftp` (Linux: nf_conntrack_ftp, nf_nat_ftp, nf_ct_seq_adjust; in nf_confirm, after the translation). Reads
 * the control connections that are marked for it: a data connection announced there is expected, and the announced
 * address becomes the one by which the other side knows the speaker. That may change the payload's length, so from
 * there on sequence numbers are shifted. Reads conntrack, writes expectations and the packet. Drops: half an
 * announcement, as nf_conntrack_ftp (what follows could not be told apart); no port, no slot for what grew.
 */
import * as checksum from "../../../wire/bytes/checksum.ts";
import * as ipv4 from "../../../wire/ip/ipv4.ts";
import * as ipv6 from "../../../wire/ip/ipv6.ts";
import * as vnet from "../../../wire/link/virtio-net.ts";
import * as ftp from "../../../wire/transport/ftp.ts";
import * as tcp from "../../../wire/transport/tcp.ts";
import { Event } from "../../counters.ts";
import { drop } from "../../drop.ts";
import { DropReason } from "../../drop-reason.ts";
import { CtState, type Packet } from "../../packet/packet.ts";
import * as pool from "../../slot-pool.ts";
import * as conntrack from "../../table/connection/conntrack.ts";
import * as seqadj from "../../table/connection/conntrack-seqadj.ts";
import * as expectations from "../../table/connection/expectations.ts";
import { TupleWord } from "../../table/connection/tuple.ts";
import type { Tables } from "../../tables.ts";
import { FtpDetail, FtpDid } from "../../trace/layout.ts";
import { StageId } from "../../trace/stage-id.ts";
import { Verdict } from "../../verdict.ts";

const { PORTS } = TupleWord;

const { NEXT } = Verdict;
const { Status } = conntrack;
const NAT_BITS = Status.SRC_NAT | Status.DST_NAT;
const NEWLINE = 0x0a;
/** Ports tried for an expectation that somebody else's would be mistaken for. */
const PORT_TRIES = 128;

export function helpFtp(pkt: Packet, t: Tables, nowSec: number): Verdict {
  pkt.stage = StageId.HELP_FTP;
  const at = seqadj.find(t.seqadj, pkt.ctSlot);
  if (at < 0) return NEXT;
  pkt.detail[FtpDetail.DID] = 0;
  let v: Verdict = NEXT;
  if (pkt.ctState === CtState.ESTABLISHED) v = read(pkt, t, at, nowSec);
  if (v === NEXT) adjust(pkt, t, at);
  return v;
}

function read(pkt: Packet, t: Tables, at: number, nowSec: number): Verdict {
  const view = pkt.view;
  const from = pkt.l4 + tcp.headerLen(view, pkt.l4);
  const len = pkt.end - from;
  if (len === 0) return NEXT;
  const dir = 2 * at + pkt.ctDir;
  const seq = tcp.seq(view, pkt.l4);
  const endsLine = view.getUint8(pkt.end - 1) === NEWLINE;
  let v: Verdict = NEXT;
  if (seqadj.isLineStart(t.seqadj, dir, seq)) {
    const kind = ftp.find(view, from, pkt.end, pkt.ctDir === 1, pkt.family === 6, t.scratch.ftpFound);
    if (kind === ftp.INCOMPLETE) return drop(pkt, t, DropReason.HELPER_INCOMPLETE);
    if (kind !== ftp.FtpKind.NONE) v = announce(pkt, t, dir, kind, nowSec);
  }
  if (endsLine) seqadj.endLine(t.seqadj, dir, (seq + len) | 0);
  return v;
}

/** Somebody said where it can be reached. Expects the other one there. */
function announce(pkt: Packet, t: Tables, dir: number, kind: number, nowSec: number): Verdict {
  const ct = t.conntrack;
  const { keyA: own, keyB: other, ftpFound: found } = t.scratch;
  const ref = (pkt.ctSlot << 1) | pkt.ctDir;
  conntrack.loadTuple(ct, ref, own);
  conntrack.loadTuple(ct, ref ^ 1, other);
  // Another address than its own: a bounce, or nobody we translate for (nf_conntrack_ftp without `loose`).
  if (found[ftp.R_HAS_ADDRESS] !== 0) {
    for (let i = 0; i < 4; i++) if (found[ftp.R_ADDRESS + i] !== own[i]) return NEXT;
  }
  const wanted = found[ftp.R_PORT];
  let port = wanted;
  let index = -1;
  for (let tries = 0; tries < PORT_TRIES && index < 0; tries++) {
    other[PORTS] = port;
    index = expectations.expect(t.expectations, ct, pkt.ctSlot, other, nowSec);
    if (index < 0) port = 1024 + ((conntrack.random(ct) >>> 16) % 28_976); // below the node ports
  }
  if (index < 0) return drop(pkt, t, DropReason.SNAT_PORTS_EXHAUSTED);
  t.counters.events[Event.CT_EXPECTED]++;
  pkt.detail[FtpDetail.PORT] = port;
  did(pkt, FtpDid.EXPECTED);
  if ((ct.status[pkt.ctSlot << 4] & NAT_BITS) === 0) return NEXT;
  expectations.translate(t.expectations, index, own, wanted);
  const bytes = ftp.write(t.scratch.ftpText, 0, kind, pkt.family === 6, other, 4, port);
  return replace(pkt, t, dir, bytes);
}

/** Puts the first `bytes` of the text in the place of what was found, and repairs lengths and checksums. */
function replace(pkt: Packet, t: Tables, dir: number, bytes: number): Verdict {
  const { ftpFound, ftpText } = t.scratch;
  const offset = ftpFound[ftp.R_OFF] - pkt.off;
  const before = ftpFound[ftp.R_LEN];
  const growth = bytes - before;
  // A damaged segment must not look sound afterwards.
  if (pkt.csumPartial === 0 && transportSum(pkt, t) !== 0xffff) return NEXT;
  if (pkt.slot < 0 && !moveToPool(pkt, t)) return drop(pkt, t, DropReason.NO_SLOT);
  const view = pkt.view;
  const at = pkt.off + offset;
  t.arena.copyWithin(at + bytes, at + before, pkt.end);
  for (let i = 0; i < bytes; i++) t.arena[at + i] = ftpText[i];
  const l4Len = pkt.end - pkt.l4;
  pkt.end += growth;
  pkt.ipLen += growth;
  if (pkt.family === 4) {
    ipv4.setTotalLen(view, pkt.l3, pkt.ipLen);
    ipv4.computeChecksum(view, pkt.l3);
  } else ipv6.setPayloadLen(view, pkt.l3, pkt.ipLen - ipv6.HEADER_LEN);
  const field = pkt.l4 + tcp.CSUM_OFFSET;
  if (pkt.csumPartial !== 0) checksum.adjustPartial16(view, field, l4Len, l4Len + growth);
  else {
    view.setUint16(field, 0);
    view.setUint16(field, ~transportSum(pkt, t) & 0xffff);
  }
  did(pkt, FtpDid.REWRITTEN);
  if (growth !== 0) seqadj.shift(t.seqadj, dir, tcp.seq(view, pkt.l4), growth);
  return NEXT;
}

/** For a trace. */
function did(pkt: Packet, what: number): void {
  pkt.acted = 1;
  pkt.detail[FtpDetail.DID] |= what;
}

/** Folded sum of segment and pseudo-header: 0xffff when the checksum in it is right. */
function transportSum(pkt: Packet, t: Tables): number {
  const view = pkt.view;
  const len = pkt.end - pkt.l4;
  const seed =
    pkt.family === 4
      ? checksum.pseudoSumV4(view.getInt32(pkt.l3 + 12), view.getInt32(pkt.l3 + 16), pkt.proto, len)
      : checksum.pseudoSumV6(view, pkt.l3, pkt.proto, len);
  return t.offload.checksum(t.arenaPin, pkt.l4, len, checksum.fold(seed));
}

/** A frame may lie close before another one (several came out of one tunnel packet): what grows needs its own slot. */
function moveToPool(pkt: Packet, t: Tables): boolean {
  const slot = pool.acquire(t.pool);
  if (slot < 0) return false;
  const off = pool.frameOffset(slot);
  t.arena.copyWithin(off - vnet.HEADER_LEN, pkt.off - vnet.HEADER_LEN, pkt.end);
  const by = off - pkt.off;
  pkt.slot = slot;
  pkt.off += by;
  pkt.end += by;
  pkt.l3 += by;
  pkt.l4 += by;
  pkt.csumStart += by;
  return true;
}

/** nf_ct_seq_adjust: the sender's numbers by what its own side was shifted, its answers by what the other's was. */
function adjust(pkt: Packet, t: Tables, at: number): void {
  const view = pkt.view;
  const l4 = pkt.l4;
  const s = t.seqadj;
  const own = 2 * at + pkt.ctDir;
  const other = own ^ 1;
  if ((s.offsetAfter[own] | s.offsetBefore[own] | s.offsetAfter[other] | s.offsetBefore[other]) === 0) return;
  const seq = tcp.seq(view, l4);
  writeNumber(pkt, l4 + 4, seq, (seq + seqadj.offsetOf(s, own, seq)) | 0);
  if ((pkt.tcpFlags & tcp.FLAG_ACK) === 0) return;
  const ack = tcp.ack(view, l4);
  writeNumber(pkt, l4 + 8, ack, (ack - seqadj.ackOffsetOf(s, other, ack)) | 0);
  const sack = tcp.findOption(view, l4, tcp.OPTION_SACK);
  if (sack < 0) return;
  const end = sack + view.getUint8(sack + 1);
  for (let edge = sack + 2; edge + 4 <= end; edge += 4) {
    const was = view.getInt32(edge);
    writeNumber(pkt, edge, was, (was - seqadj.ackOffsetOf(s, other, was)) | 0);
  }
}

/** A partial checksum does not cover the header yet: nothing to repair. */
function writeNumber(pkt: Packet, at: number, before: number, now: number): void {
  if (before === now) return;
  pkt.view.setInt32(at, now);
  did(pkt, FtpDid.RENUMBERED);
  if (pkt.csumPartial !== 0) return;
  const field = pkt.l4 + tcp.CSUM_OFFSET;
  if (((at - pkt.l4) & 1) === 0) checksum.adjust32(pkt.view, field, before, now);
  else checksum.adjust32(pkt.view, field, swapped(before), swapped(now));
}

/** Bytes of each 16-bit word exchanged: how a word at an odd offset stands in the sum (RFC 1071 §2(B)). */
function swapped(word: number): number {
  return ((word & 0xff00ff) << 8) | ((word >>> 8) & 0xff00ff);
}
