/**
 * The life of a packet, in one place. Every frame of the node goes through `forward`: pods', the node's own stack's,
 * the fabric's. Each step is one stage, one file; the order is Linux': bridge, PREROUTING (conntrack, nat), routing,
 * FORWARD (or INPUT, OUTPUT), POSTROUTING, output.
 */

import { drop } from "./drop.ts";
import { DropReason } from "./drop-reason.ts";
import { passFast, passLaidOut } from "./fast/fast-path.ts";
import { setSum } from "./packet/frame-sum.ts";
import { IcmpRequest, WITHHELD } from "./packet/icmp-request.ts";
import { begin, type Packet } from "./packet/packet.ts";
import { JOINED_MAX } from "./scratch.ts";
import * as tx from "./send/tx-queue.ts";
import * as pool from "./slot-pool.ts";
import { chooseBackend } from "./stage/connection/choose-backend.ts";
import { enterConnection } from "./stage/connection/enter-connection.ts";
import { helpFtp } from "./stage/connection/help-ftp.ts";
import { holdConnection } from "./stage/connection/hold-connection.ts";
import { masquerade } from "./stage/connection/masquerade.ts";
import { recheckPolicy } from "./stage/connection/recheck-policy.ts";
import { resetRemoved } from "./stage/connection/reset-removed.ts";
import { retryConnection } from "./stage/connection/retry-connection.ts";
import { makeTcpReset, makeTcpResetFor } from "./stage/connection/send-tcp-reset.ts";
import { steerToMesh } from "./stage/connection/steer-to-mesh.ts";
import { trackConnection } from "./stage/connection/track-connection.ts";
import { translate } from "./stage/connection/translate.ts";
import { answerEcho } from "./stage/ip/answer-echo.ts";
import { checkOptions } from "./stage/ip/check-options.ts";
import { clampMss } from "./stage/ip/clamp-mss.ts";
import {
  beginInner,
  decapsulate,
  innerAt,
  innerFrames,
  innerLen,
  isForTunnel,
  isLaidOutPlainly,
  tunnelPayload,
} from "./stage/ip/decapsulate.ts";
import { enforcePolicy } from "./stage/ip/enforce-policy.ts";
import { parse, parseTransport } from "./stage/ip/parse.ts";
import { reassemble } from "./stage/ip/reassemble.ts";
import { route } from "./stage/ip/route.ts";
import { makeIcmpError } from "./stage/ip/send-icmp-error.ts";
import { answerArp } from "./stage/link/answer-arp.ts";
import { answerNd } from "./stage/link/answer-nd.ts";
import { checkSource } from "./stage/link/check-source.ts";
import { classify } from "./stage/link/classify.ts";
import { learnSource } from "./stage/link/learn-source.ts";
import { output } from "./stage/link/output.ts";
import * as conntrack from "./table/connection/conntrack.ts";
import * as ctTcp from "./table/connection/conntrack-tcp.ts";
import * as pending from "./table/service/pending-connections.ts";
import type { Tables } from "./tables.ts";
import { TunnelDetail } from "./trace/layout.ts";
import { acted, ended, passed } from "./trace/note.ts";
import { StageId } from "./trace/stage-id.ts";
import { after, afterInner, before } from "./trace/watch.ts";
import { Verdict } from "./verdict.ts";

const { NEXT, DROP, FORWARD, CONSUMED } = Verdict;
const S = StageId;

/**
 * Takes one received frame (`len` bytes at `off`) to its end. What is to be sent is queued in `t.tx`. `sum` is that of
 * the frame from byte `sumFrom` on (see frame-sum.ts), -1 where nobody made one.
 */
export function receive(
  t: Tables,
  off: number,
  len: number,
  inPort: number,
  nowSec: number,
  sum: number,
  sumFrom: number,
): Verdict {
  const watched = t.watchers.active !== 0;
  if (!watched) {
    const fast = passFast(t, off, len, inPort, nowSec, sum, sumFrom); // known and plain: all of it in one go
    if (fast !== NEXT) return fast;
  }
  const pkt = t.scratch.outer;
  begin(pkt, off, len, inPort);
  if (sum >= 0) setSum(pkt, sum, off + sumFrom, off + len);
  if (watched) before(pkt, t);
  const v = forward(pkt, t, nowSec, t.nowMs);
  t.scratch.fast.isNew = false;
  if (watched) after(pkt, t, v, inPort);
  return v;
}

/** The stages in order. Also the way of a frame that came out of the tunnel. */
export function forward(pkt: Packet, t: Tables, nowSec: number, nowMs: number): Verdict {
  let v: Verdict = parse(pkt, t); //                     offsets, tuple; refuses malformed frames
  passed(pkt, t, v);
  if (v === NEXT) v = checkSource(pkt, t); //            the sender is who he says he is
  if (v === NEXT && pkt.fromTunnel === 0) {
    v = learnSource(pkt, t, nowSec); //                  bridge fdb
    if (v === NEXT) v = answerArp(pkt, t, nowMs);
    if (v === NEXT) v = answerNd(pkt, t, nowMs);
    acted(pkt, t, v);
  }
  if (v === NEXT) {
    v = classify(pkt, t, nowSec); //                     bridged, routed, or for everybody
    passed(pkt, t, v);
  }
  if (v === NEXT && pkt.fragment !== 0) {
    v = reassemble(pkt, t, nowSec); //                   NAT and policy see whole datagrams
    if (v === NEXT && pkt.fragment === 0) v = parseTransport(pkt, t);
    passed(pkt, t, v);
  }
  if (v === NEXT)
    v = isForTunnel(pkt, t) ? untunnel(pkt, t, nowSec, nowMs) : forwardIp(pkt, t, nowSec, nowMs);
  const isAsked = pkt.icmpRequest !== IcmpRequest.NONE;
  const isTold = isAsked && v === DROP && makeRefusal(pkt, t, nowMs);
  ended(pkt, t, v); //                                   whichever stage it was: a trace tells all
  if (isTold) sendRefusal(pkt, t, nowSec, nowMs);
  else if (isAsked) v = answerPing(pkt, t, v, nowSec, nowMs);
  if (pkt.slot >= 0) release(pkt, t);
  return v;
}

/** PREROUTING to output: what a packet of a known connection runs through is one lookup and one rewrite. */
function forwardIp(pkt: Packet, t: Tables, nowSec: number, nowMs: number): Verdict {
  let v: Verdict = trackConnection(pkt, t, nowSec); //   conntrack: known flows carry their translation
  passed(pkt, t, v);
  if (pkt.ctSlot >= 0 && t.config.guard.policyRecheck !== 0 && t.rulesKept !== 0) {
    v = recheckPolicy(pkt, t, nowSec); //                an extension: what policies forbid by now is cut
  }
  if (v === NEXT && pkt.ctSlot >= 0 && t.config.extra.resetRemoved !== 0) {
    v = resetRemoved(pkt, t, nowSec); //                 an extension: no endpoint, no waiting
  }
  if (v === NEXT && pkt.ctSlot >= 0 && pending.used(t.pending) !== 0) {
    v = retryConnection(pkt, t, nowMs); //               userspace mode: has the endpoint answered?
  }
  if (v === NEXT && pkt.ctSlot < 0) {
    v = chooseBackend(pkt, t, nowMs); //                  new flow to a service: DNAT
    passed(pkt, t, v);
    if (v === CONSUMED && t.policy.active !== 0) v = takeIn(pkt, t, nowSec);
  }
  if (v === NEXT) {
    v = route(pkt, t); //                                local stack, pod, fabric or tunnel; TTL, MTU
    passed(pkt, t, v);
  }
  if (v === NEXT && pkt.options !== 0) v = checkOptions(pkt, t); // IPv4 options: what a router may act on
  if (v === NEXT) {
    v = enforcePolicy(pkt, t, nowSec); //                filter FORWARD
    passed(pkt, t, v);
  }
  if (v === NEXT && pkt.ctSlot < 0 && t.config.mesh.on !== 0) {
    v = steerToMesh(pkt, t); //                          an extension: TPROXY, to the node's mesh proxy
    acted(pkt, t, v);
  }
  if (v === NEXT && pkt.ctSlot < 0) {
    v = masquerade(pkt, t, nowSec); //                   SNAT: a source whose answers are nobody else's
    passed(pkt, t, v);
    if (v === NEXT) {
      v = enterConnection(pkt, t, nowSec); //            conntrack knows it from here on
      passed(pkt, t, v);
    }
  }
  if (pkt.frontend >= 0 && t.config.proxy.retry !== 0) {
    v = hold(pkt, t, v, nowMs); //                       kept, should another endpoint be asked
  }
  if (v === NEXT) {
    v = translate(pkt, t); //                            the bytes change here, once
    acted(pkt, t, v);
  }
  if (v === NEXT && t.config.extra.mssClamp !== 0) {
    v = clampMss(pkt, t); //                             mangle FORWARD
    acted(pkt, t, v);
  }
  if (v === NEXT && pkt.helper !== 0) {
    v = helpFtp(pkt, t, nowSec); //                      and the addresses that a payload names
    acted(pkt, t, v);
  }
  if (v === NEXT) v = output(pkt, t, nowSec, nowMs);
  return v;
}

/** A ping of the node itself by the address of a service: who may not reach that gets no answer (filter INPUT). */
function takeIn(pkt: Packet, t: Tables, nowSec: number): Verdict {
  if (pkt.icmpRequest !== IcmpRequest.ECHO_REPLY) return CONSUMED;
  const { stage } = pkt;
  if (enforcePolicy(pkt, t, nowSec) !== NEXT) {
    pkt.icmpRequest = IcmpRequest.NONE;
    return DROP;
  }
  pkt.stage = stage;
  return CONSUMED;
}

/** A packet that found no way is told of as such, then as one that is kept. */
function hold(pkt: Packet, t: Tables, verdict: Verdict, nowMs: number): Verdict {
  const { stage } = pkt;
  const v = holdConnection(pkt, t, verdict, nowMs);
  acted(pkt, t, v);
  if (verdict === DROP && v !== DROP) {
    pkt.stage = stage;
    ended(pkt, t, DROP);
    pkt.stage = S.HOLD_CONNECTION;
  }
  return v;
}

/** A VXLAN packet for this node: its inner frames take the same way, one by one. */
function untunnel(pkt: Packet, t: Tables, nowSec: number, nowMs: number): Verdict {
  const v = decapsulate(pkt, t);
  passed(pkt, t, v);
  if (v !== NEXT) return v;
  const isPlain = t.watchers.active === 0 && isLaidOutPlainly(pkt);
  let frames = 0;
  let at = tunnelPayload(pkt);
  while (at < pkt.end) {
    const n = innerFrames(pkt, t, at, pkt.gsoSize === 0 ? -1 : takeArea(t));
    if (n <= 0) break;
    at += t.scratch.joined[2 * JOINED_MAX];
    frames += n;
    for (let i = 0; i < n; i++) {
      if (isPlain && passLaidOut(t, innerAt(t, i), innerLen(t, i), pkt.inPort, nowSec)) continue;
      let w = beginInner(pkt, t, i);
      if (w === NEXT) w = forward(t.scratch.inner, t, nowSec, nowMs);
      else ended(t.scratch.inner, t, w);
      if (t.watchers.active !== 0) afterInner(t.scratch.inner, t, w);
    }
  }
  pkt.acted = 1;
  pkt.detail[TunnelDetail.FRAMES] = frames;
  // Frames queued from inside a reassembled datagram must leave before its slot is used again.
  if (pkt.slot >= 0) tx.flush(t.tx);
  return frames > 0 ? CONSUMED : drop(pkt, t, DropReason.VXLAN_INNER);
}

/** First of two slots for joined inner frames. What lies in them may wait for the next flush, so they go round. */
function takeArea(t: Tables): number {
  const { areas } = t.scratch;
  if (areas.next === areas.count) tx.flush(t.tx);
  if (areas.flushes !== t.tx.flushes || areas.next === areas.count) {
    areas.flushes = t.tx.flushes;
    areas.next = 0;
  }
  return areas.first + 2 * areas.next++;
}

/** The answer to a ping that was taken in. */
function answerPing(pkt: Packet, t: Tables, verdict: Verdict, nowSec: number, nowMs: number): Verdict {
  if (verdict !== CONSUMED || pkt.icmpRequest !== IcmpRequest.ECHO_REPLY) return verdict;
  let v: Verdict = answerEcho(pkt, t);
  if (v === NEXT) v = route(pkt, t);
  if (v === NEXT) v = output(pkt, t, nowSec, nowMs);
  pkt.stage = S.ANSWER_ECHO;
  pkt.icmpRequest = IcmpRequest.NONE; // of an answer nobody is told
  ended(pkt, t, v);
  return v;
}

function release(pkt: Packet, t: Tables): void {
  pool.release(t.pool, pkt.slot);
  pkt.slot = -1;
}

/**
 * The router tells the sender why: makes the answer, and takes the request back where there is none, before a record of
 * the drop says what its sender hears. The answer is a packet of the node's own, routed like any. It quotes what the
 * sender sent, or answers it, untranslated, so there is nothing for conntrack to turn back.
 */
export function makeRefusal(pkt: Packet, t: Tables, nowMs: number): boolean {
  const isReset = pkt.icmpRequest === IcmpRequest.TCP_RESET;
  if (isReset ? makeTcpReset(pkt, t) : makeIcmpError(pkt, t, nowMs)) return true;
  if ((pkt.icmpRequest & WITHHELD) === 0) pkt.icmpRequest = IcmpRequest.NONE;
  return false;
}

/** Sends what `makeRefusal` made of `pkt`. */
export function sendRefusal(pkt: Packet, t: Tables, nowSec: number, nowMs: number): void {
  const isReset = pkt.icmpRequest === IcmpRequest.TCP_RESET;
  sendOwn(t, isReset ? S.SEND_TCP_RESET : S.SEND_ICMP_ERROR, nowSec, nowMs);
}

/** Tells the client of a connection that it is over. */
export function sendReset(t: Tables, slot: number, nowSec: number, nowMs: number): void {
  const ct = t.conntrack;
  conntrack.loadTuple(ct, slot << 1, t.scratch.keyA);
  if (makeTcpResetFor(t.scratch.keyA, t, ctTcp.endOf(ct, slot, 1), ctTcp.endOf(ct, slot, 0))) {
    sendOwn(t, S.SEND_TCP_RESET, nowSec, nowMs);
  }
}

function sendOwn(t: Tables, stage: StageId, nowSec: number, nowMs: number): void {
  const own = t.scratch.own;
  let v: Verdict = route(own, t);
  if (v === NEXT) v = output(own, t, nowSec, nowMs);
  own.stage = stage;
  own.icmpRequest = IcmpRequest.NONE; // of what the plane says itself nobody is told
  ended(own, t, v);
  if (v !== FORWARD && own.slot >= 0) release(own, t);
}
