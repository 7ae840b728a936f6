/** `GET /conntrack/events`: what becomes of connections, one line of JSON each, until the caller hangs up. */
import type { ServerResponse } from "node:http";
import * as connectionRules from "../dataplane/table/connection/connection-rules.ts";
import { ConnectionRules } from "../dataplane/table/connection/connection-rules.ts";
import * as conntrack from "../dataplane/table/connection/conntrack.ts";
import { Conntrack } from "../dataplane/table/connection/conntrack.ts";
import * as eventRing from "../dataplane/table/connection/event-ring.ts";
import { EventType } from "../dataplane/table/connection/event-ring.ts";
import type { ConntrackEvent, ConntrackEventType } from "../observe/conntrack-entry.ts";
import type { ConntrackFilter } from "../observe/conntrack-filter.ts";
import type { RuleOfConnection } from "./connection-rule.ts";
import { entryAt, type NodeOfVtep } from "./conntrack-view.ts";

const DRAIN_MS = 10;
/** Bytes that may wait for a slow caller before events are let go. */
const BACKLOG_MAX = 8 * 1024 * 1024;
const TYPE_NAMES: Readonly<Record<number, ConntrackEventType>> = {
  [EventType.NEW]: "NEW",
  [EventType.UPDATE]: "UPDATE",
  [EventType.DESTROY]: "DESTROY",
};

/** One reader's place in the ring. The plane tells nothing while there is no reader. */
export class ConntrackEvents {
  /** Events that were overwritten before this reader came to them. */
  lost = 0;
  readonly #table: Conntrack;
  readonly #node: string;
  readonly #event = new Int32Array(eventRing.EVENT_WORDS);
  readonly #octets = new Float64Array(this.#event.buffer);
  /** The smallest table there is: its first entry is the event, read as the real table is. */
  readonly #one = new Conntrack(2);
  /** Asked anew for each event: policies change while one looks on. */
  readonly #ruleOf: (() => RuleOfConnection) | undefined;
  readonly #viaOf: (() => NodeOfVtep) | undefined;
  #number: number;

  constructor(table: Conntrack, node: string, ruleOf?: () => RuleOfConnection, viaOf?: () => NodeOfVtep) {
    this.#table = table;
    this.#node = node;
    this.#ruleOf = ruleOf;
    this.#viaOf = viaOf;
    this.#one.rules = new ConnectionRules(2);
    this.#number = Atomics.load(table.header, conntrack.H_EVENTS);
    Atomics.add(table.header, conntrack.H_EVENT_READERS, 1);
  }

  close(): void {
    Atomics.sub(this.#table.header, conntrack.H_EVENT_READERS, 1);
  }

  /** The next event, or undefined when there is none yet. */
  next(): ConntrackEvent | undefined {
    const { events, header } = this.#table;
    for (;;) {
      const behind = (Atomics.load(header, conntrack.H_EVENTS) - this.#number) | 0;
      if (behind <= 0) return undefined;
      // The oldest is the one that the writer takes next.
      const skipped = behind - (events.capacity - 1);
      if (skipped > 0) {
        this.lost += skipped;
        this.#number = (this.#number + skipped) | 0;
      }
      this.#number = (this.#number + 1) | 0 || 1;
      if (eventRing.read(events, this.#number, this.#event)) return this.#describe();
      this.lost++;
    }
  }

  #describe(): ConntrackEvent {
    const e = this.#event;
    const t = this.#one;
    conntrack.setClock(t, e[eventRing.E_NOW]);
    t.status[0] = e[eventRing.E_STATUS];
    t.state[0] = e[eventRing.E_STATE];
    t.expiresAtSec[0] = e[eventRing.E_EXPIRES];
    t.startSec[0] = e[eventRing.E_START];
    t.tuple.set(e.subarray(eventRing.E_TUPLE, eventRing.E_TUPLE + 4));
    t.tuple.set(e.subarray(eventRing.E_TUPLE + 4, eventRing.E_TUPLE + 8), 8);
    t.wide.set(e.subarray(eventRing.E_WIDE, eventRing.E_WIDE + 12));
    for (let dir = 0; dir < 2; dir++) {
      conntrack.setCounts(t, dir, e[eventRing.E_PACKETS + dir], this.#octets[eventRing.E_OCTETS / 2 + dir]);
    }
    t.via.set(e.subarray(eventRing.E_VIA, eventRing.E_VIA + 2));
    connectionRules.set(t.rules, 0, e[eventRing.E_EGRESS], e[eventRing.E_INGRESS], e[eventRing.E_EPOCH]);
    const { timeoutSec = 0, ...entry } = entryAt(t, 0, this.#node, this.#ruleOf?.(), this.#viaOf?.());
    const type = TYPE_NAMES[e[eventRing.E_TYPE]];
    return {
      type,
      timeMs: Date.now(),
      ...entry,
      id: e[eventRing.E_SLOT],
      ...(timeoutSec > 0 ? { timeoutSec } : {}),
    };
  }
}

interface EventSource {
  readonly table: Conntrack;
  readonly node: string;
  readonly ruleOf: () => RuleOfConnection;
  readonly viaOf: () => NodeOfVtep;
}

export function streamConntrackEvents(
  { table, node, ruleOf, viaOf }: EventSource,
  wants: (event: ConntrackEvent) => boolean,
  response: ServerResponse,
): void {
  const events = new ConntrackEvents(table, node, ruleOf, viaOf);
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.flushHeaders(); // "go ahead": from here on nothing is missed unsaid
  let told = 0;
  const drain = (): void => {
    for (let event = events.next(); event !== undefined; event = events.next()) {
      if (!wants(event)) continue;
      if (response.writableLength > BACKLOG_MAX) events.lost++;
      else response.write(`${JSON.stringify(event)}\n`);
    }
    if (events.lost === told || response.writableLength > BACKLOG_MAX) return;
    response.write(`${JSON.stringify({ node, lost: events.lost - told })}\n`);
    told = events.lost;
  };
  const timer = setInterval(drain, DRAIN_MS);
  response.on("close", () => {
    clearInterval(timer);
    events.close();
  });
  response.on("error", () => {}); // "close" follows
}

/** The test of a call: `types` is NEW, UPDATE and DESTROY separated by commas, or empty for all. */
export function createEventFilter(
  types: string,
  matches: ConntrackFilter,
): (event: ConntrackEvent) => boolean {
  const wanted = new Set(types.split(",").filter((word) => word !== ""));
  return (event) => (wanted.size === 0 || wanted.has(event.type)) && matches(event);
}
