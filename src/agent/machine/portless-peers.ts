/**
 * Whom pods speak to beyond a shared NIC in protocols without ports (GRE, ESP): answers bear the node's address and
 * nothing by which a filter tells them from the machine's own, so they are taken by protocol and sender. Looked up in the
 * table of connections when the plane says that it has begun such a connection, and now and then while there are some. In
 * what protocols the machine itself speaks pods get no answers: a pod could have the machine's own tunnel otherwise.
 */
import type { Ip } from "../../base/ip.ts";
import { Protocol } from "../../base/protocols.ts";
import { gatherPeers, type TakenPeers } from "../../base/taken.ts";
import { type Counters, Event } from "../../dataplane/counters.ts";
import * as conntrack from "../../dataplane/table/connection/conntrack.ts";
import * as tuple from "../../dataplane/table/connection/tuple.ts";
import { machineProtocols } from "./machine-protocols.ts";

const { ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE } = Protocol;
const { SRC0, SRC1, SRC2, SRC3, META } = tuple.TupleWord;
const { FAMILY, V6 } = tuple.Meta;
const { SRC_NAT } = conntrack.Status;
const WITH_NUMBERS: ReadonlySet<number> = new Set([ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE]);
const AGAIN_MS = 10_000;
/** Hosts at most, of all protocols: each takes instructions of the socket's filter. */
const MOST = 64;

interface Tables {
  readonly conntrack: conntrack.Conntrack;
  readonly counters: Counters;
}

export class PortlessPeers {
  readonly #tables: Tables;
  #begun = -1;
  #due = 0;
  #lookedMs = 0;
  #key = "[]";
  #list: readonly TakenPeers[] = [];
  #mine: readonly number[] = [];
  /** As `settle` has left it. */
  answers: readonly TakenPeers[] = [];

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** True: it is time to settle again. */
  look(nowMs: number): boolean {
    const begun = this.#tables.counters.events[Event.SNAT_PORTLESS];
    // The plane counts a connection a moment before it is in the table.
    if (begun !== this.#begun) this.#due = 2;
    this.#begun = begun;
    const isLate = this.#list.length > 0 && nowMs - this.#lookedMs >= AGAIN_MS;
    if (this.#due === 0 && !isLate) return false;
    this.#due = Math.max(0, this.#due - 1);
    this.#lookedMs = nowMs;
    const list = gatherPeers(this.#read());
    const key = JSON.stringify(list);
    if (key === this.#key) return isLate;
    this.#key = key;
    this.#list = list;
    return true;
  }

  /** Leaves out what the machine speaks itself; what it says is for the log, "": nothing new. */
  async settle(read: (argv: readonly string[]) => Promise<string>): Promise<string> {
    const own = this.#list.length === 0 ? new Set<number>() : await machineProtocols(read);
    this.answers = this.#list.filter(({ protocol }) => !own.has(protocol));
    const mine = [...new Set(this.#list.map(({ protocol }) => protocol))].filter((each) => own.has(each));
    const isNew = mine.some((each) => !this.#mine.includes(each));
    this.#mine = mine;
    return isNew ? `the machine itself speaks protocol ${mine.join(", ")}: pods are not answered in it` : "";
  }

  #read(): TakenPeers[] {
    const t = this.#tables.conntrack;
    const key = new Int32Array(tuple.TUPLE_WORDS);
    const found = new Map<string, TakenPeers>();
    const end = conntrack.highWater(t);
    for (let slot = 0; slot < end && found.size < MOST; slot++) {
      const protocol = conntrack.protoOf(t, slot);
      if (WITH_NUMBERS.has(protocol) || (t.status[slot << 4] & SRC_NAT) === 0) continue;
      if (conntrack.isExpired(t, slot, conntrack.clockSec(t))) continue;
      conntrack.loadTuple(t, (slot << 1) | 1, key);
      const family = (key[META] & FAMILY) === V6 ? 6 : 4;
      const peer: Ip = { family, w0: key[SRC0], w1: key[SRC1], w2: key[SRC2], w3: key[SRC3] };
      found.set([protocol, ...key.slice(SRC0, SRC3 + 1)].join(), { protocol, family, peers: [peer] });
    }
    return [...found.values()];
  }
}
