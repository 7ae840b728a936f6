/**
 * Stage `choose-backend` (Linux: nat PREROUTING and OUTPUT, KUBE-SERVICES …). For a NEW packet only: is its
 * destination a service, what do the rules say for this class of source, and which endpoint gets it. Reads
 * services and the tuple, writes the packet's `to`. Drops what kube-proxy would drop or reject.
 */
import { drop } from "../drop.ts";
import { DropReason } from "../drop-reason.ts";
import { findFrontend } from "../find-frontend.ts";
import { requestPortUnreachable } from "../icmp-request.ts";
import { CtState, Masquerade, type Packet } from "../packet.ts";
import { PortRole } from "../port.ts";
import * as conntrack from "../table/conntrack.ts";
import * as localAddresses from "../table/local-addresses.ts";
import * as prefixSet from "../table/prefix-set.ts";
import * as services from "../table/services.ts";
import { DetectLocal, type Tables } from "../tables.ts";
import { Verdict } from "../verdict.ts";

const { NEXT } = Verdict;
const { Action, SourceClass } = services;

export function chooseBackend(pkt: Packet, t: Tables): Verdict {
  if (pkt.ctState !== CtState.NEW || pkt.ctSlot >= 0) return NEXT;
  const s = t.services;
  const key = pkt.key;
  const to = pkt.to;
  for (let i = 0; i < 10; i++) to[i] = key[i];
  const proto = pkt.proto;
  if (proto !== 6 && proto !== 17 && proto !== 132) return NEXT;
  const f = findFrontend(t, key);
  if (f < 0) return NEXT;
  pkt.frontend = f;
  if (services.sourceRefused(s, f, key)) return drop(pkt, t, DropReason.SERVICE_SOURCE_RANGE);
  const sourceClass = classOf(pkt, t);
  const action = services.actionOf(s, f, sourceClass);
  if (action === Action.NONE) {
    pkt.frontend = -1;
    return NEXT;
  }
  if (action === Action.DROP) return drop(pkt, t, DropReason.SERVICE_NO_LOCAL_ENDPOINTS);
  const endpoint =
    action === Action.REJECT ? -1 : services.pick(s, f, sourceClass, conntrack.random(t.conntrack));
  if (endpoint < 0) {
    requestPortUnreachable(pkt);
    return drop(pkt, t, DropReason.SERVICE_NO_ENDPOINTS);
  }
  const e = endpoint << 2;
  let hairpin = true;
  for (let i = 0; i < 4; i++) {
    to[4 + i] = s.epAddr[e + i];
    if (s.epAddr[e + i] !== key[i]) hairpin = false;
  }
  to[8] = (key[8] & ~0xffff) | s.epPort[endpoint];
  pkt.nat = 1;
  pkt.endpoint = endpoint;
  s.hits[f]++;
  s.epHits[endpoint]++;
  if (services.masquerades(s, f, sourceClass)) pkt.masquerade = Masquerade.SERVICE;
  else if (hairpin) pkt.masquerade = Masquerade.HAIRPIN;
  return NEXT;
}

/** Whom the rules take the sender for: a pod, the node itself, or the outside. */
function classOf(pkt: Packet, t: Tables): number {
  const key = pkt.key;
  const detect = t.config.detectLocal;
  if (detect === DetectLocal.CIDR && prefixSet.contains(t.podSources, key[0], key[1], key[2], key[3])) {
    return SourceClass.POD;
  }
  if (detect === DetectLocal.POD_PORT && t.ports.role[pkt.inPort] === PortRole.POD && pkt.fromTunnel === 0) {
    return SourceClass.POD;
  }
  return localAddresses.has(t.local, key[0], key[1], key[2], key[3]) ? SourceClass.NODE : SourceClass.OUTSIDE;
}
