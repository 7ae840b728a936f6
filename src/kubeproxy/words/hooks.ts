/**
 * Which of Linux' hooks a packet passes, by where it comes from and goes to:
 *
 *   from a wire   PREROUTING ─▶ routing ─▶ FORWARD ─▶ POSTROUTING, or to the node itself: INPUT
 *   the node's    routing ─▶ OUTPUT ─▶ POSTROUTING
 *
 * What kube-proxy takes itself and sends anew is not forwarded either: ip_vs gets a request at INPUT and sends it by way
 * of OUTPUT (its answers pass FORWARD), a userspace proxy has a socket and a connection of its own.
 */
import type { TraceRecord } from "../../observe/trace-record.ts";
import { Frontend, type Told } from "./explanation.ts";
import { hostPortOwner } from "./kube-chains.ts";

export interface Way {
  /** The node's own stack sent it. */
  readonly isOwn: boolean;
  /** It is delivered to that stack. */
  readonly toNode: boolean;
  /** ip_vs or a proxy's socket has taken it, and sends it on. */
  readonly isRelayed: boolean;
}

export type Hook = "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING";

/** Where a packet is seen first, and destinations are translated. */
export function entryHook({ isOwn }: Pick<Way, "isOwn">): Hook {
  return isOwn ? "OUTPUT" : "PREROUTING";
}

/** Where it is filtered, on the way out if it is both sent and got by the node. */
export function filterHook({ isOwn, toNode, isRelayed }: Way): Hook {
  if (isOwn) return "OUTPUT";
  if (toNode) return "INPUT";
  return isRelayed ? "OUTPUT" : "FORWARD";
}

/** Where kube-proxy's rules refuse it. To a node port of its own a node's packet comes over lo. */
export function refusalHook({ isOwn, toNode }: Pick<Way, "isOwn" | "toNode">): Hook {
  if (toNode) return "INPUT";
  return isOwn ? "OUTPUT" : "FORWARD";
}

/** Where sources are translated. What is delivered has no POSTROUTING; a source that is taken changes at INPUT. */
export function sourceHook({ isOwn, toNode }: Pick<Way, "isOwn" | "toNode">): Hook {
  return toNode && !isOwn ? "INPUT" : "POSTROUTING";
}

/** In this mode, of what a service claims: does the node send it anew? */
function relays(mode: string, isReply: boolean): boolean {
  return mode === "userspace" || (mode === "ipvs" && !isReply);
}

/** Of an explained packet, which begins a connection. */
export function wayTold({ isOwn, endsAtNode, claim, mode }: Told): Way {
  const isServed = claim !== undefined && claim.chosen !== "" && claim.kind <= Frontend.NODE_PORT;
  return { isOwn, toNode: endsAtNode, isRelayed: isServed && relays(mode, false) };
}

/** Of a traced one. */
export function wayOf(step: Omit<TraceRecord, "hook">): Way {
  const { mode, service, translated, ctDirection } = step;
  const isServed = service !== undefined && translated && hostPortOwner(service) === undefined;
  return {
    isOwn: step.own === true,
    toNode: step.toNode === true,
    isRelayed: isServed && relays(mode, ctDirection === "reply"),
  };
}
