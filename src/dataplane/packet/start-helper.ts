/** Which new connections a helper reads (netfilter: nf_ct_helper). Stage `help-ftp` is what it does with them. */
import { Protocol } from "../../base/protocols.ts";
import { Status } from "../table/connection/conntrack.ts";
import * as seqadj from "../table/connection/conntrack-seqadj.ts";
import { Meta, TupleWord } from "../table/connection/tuple.ts";
import type { Tables } from "../tables.ts";
import type { Packet } from "./packet.ts";

const { TCP } = Protocol;

const { PORTS, META } = TupleWord;
const { PROTO } = Meta;
const { HELPER } = Status;
const FTP_PORT = 21;

/** Begins to keep things for a connection that was just entered, if a helper reads it. Returns its Status bits, or 0. */
export function startHelper(pkt: Packet, t: Tables, slot: number): number {
  if (!isHelped(pkt, t)) return 0;
  return seqadj.add(t.seqadj, t.conntrack, slot) ? HELPER : 0;
}

/** Is it of a new connection that a helper will read? */
export function isHelped(pkt: Packet, t: Tables): boolean {
  return t.config.extra.ftpHelper !== 0 && isFtp(pkt.key, pkt.to);
}

/** A control connection by either end's port, as nf_conntrack_ftp's default has it. */
function isFtp(key: Int32Array, to: Int32Array): boolean {
  if ((key[META] & PROTO) !== TCP) return false;
  return (key[PORTS] & 0xffff) === FTP_PORT || (to[PORTS] & 0xffff) === FTP_PORT;
}
