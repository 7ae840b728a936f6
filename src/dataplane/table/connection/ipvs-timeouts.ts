/**
 * IPVS has time-outs of its own (ipvsadm --set tcp tcpfin udp): in ipvs mode they, not nf_conntrack's, say how long a
 * translated connection to a Service lasts, since the kernel's virtual server goes by its own table. Only what was set
 * counts; 0 leaves a connection what conntrack gave it.
 */
import { Protocol } from "../../../base/protocols.ts";
import type { Conntrack } from "./conntrack.ts";
import { TcpState } from "./ct-states.ts";

const { TCP, UDP } = Protocol;

/** Words of conntrack's header, seconds. */
export const H_IPVS_SET = 52; // 1: any of the three
export const H_IPVS_TCP = 53;
export const H_IPVS_TCP_FIN = 54;
export const H_IPVS_UDP = 55;

const { ESTABLISHED, FIN_WAIT } = TcpState;

/** Gives a connection to a service's endpoint, which a packet has just renewed, the time that IPVS would. */
export function renew(t: Conntrack, slot: number, proto: number, nowSec: number): void {
  const h = t.header;
  let sec = 0;
  if (proto === UDP) sec = h[H_IPVS_UDP];
  else if (proto === TCP) {
    const state = t.state[slot << 5];
    if (state === ESTABLISHED) sec = h[H_IPVS_TCP];
    else if (state === FIN_WAIT) sec = h[H_IPVS_TCP_FIN];
  }
  if (sec !== 0) t.expiresAtSec[slot << 4] = (nowSec + sec) | 0;
}
