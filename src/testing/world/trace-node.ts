// Traces what goes through a test node, as an agent would: every packet, every stage.
import type { Tables } from "../../dataplane/tables.ts";
import * as ring from "../../dataplane/trace/record-ring.ts";
import { Mode } from "../../dataplane/trace/watchers.ts";
import { readTraceRecord } from "../../kubeproxy/words/read-record.ts";
import type { TraceRecord } from "../../observe/trace-record.ts";

/** What is asked of a node that is traced; a TestNode has it all. */
export interface TracedNode {
  readonly tables: Tables;
  readonly ports: ReadonlyMap<unknown, { readonly id: number; readonly name: string }>;
  readonly index: number;
  serviceName(id: number): string | undefined;
}

/** Starts tracing. What comes back takes the records that were written since it was last called. */
export function traceNode(node: TracedNode, mode = "iptables", ringLog2 = 18): () => TraceRecord[] {
  const records = new ring.RecordRing(ringLog2);
  const { watchers } = node.tables;
  Object.assign(watchers.list[0], {
    ...{ mode: Mode.TRACE, remaining: -1, ring: records, program: null, firstId: watchers.nextId },
  });
  watchers.active++;
  const ports = [...node.ports.values()];
  const names = {
    mode,
    port: (id: number): string => ports.find((port) => port.id === id)?.name ?? `port ${id}`,
    service: (id: number): string | undefined => node.serviceName(id),
  };
  return () => {
    const list: TraceRecord[] = [];
    for (let body = ring.peek(records); body >= 0; body = ring.peek(records)) {
      list.push(readTraceRecord(records, body, `node${node.index}`, names));
      ring.consume(records, body);
    }
    return list;
  };
}
