/** `GET /capture` and `GET /trace`: watchers whose records are streamed to the caller until it hangs up. */
import type { ServerResponse } from "node:http";
import type { BpfInstruction } from "../base/bpf-program.ts";
import { parseMac } from "../base/mac.ts";
import { PcapngWriter } from "../capture/pcapng-writer.ts";
import { captureComment } from "../kubeproxy/words/capture-comment.ts";
import { readCaptureRecord, readTraceRecord } from "../kubeproxy/words/read-record.ts";
import type { CaptureRecord, PlaneNames, TraceRecord } from "../observe/trace-record.ts";
import { captureFrames } from "./capture-frames.ts";
import type { PortInfo } from "./show.ts";
import type { Watching } from "./watching.ts";

export interface StreamNames extends PlaneNames {
  node: string;
  ports: () => PortInfo[];
}

/** Bytes that may wait for a slow reader before records are let go. */
const BACKLOG_MAX = 64 * 1024 * 1024;
const SNAP_MAX = 65_536;

export interface CaptureQuery {
  ports: Set<number> | null;
  program: BpfInstruction[] | null;
  snapLen: number;
}

export async function streamCapture(
  watching: Watching,
  names: StreamNames,
  query: CaptureQuery,
  response: ServerResponse,
): Promise<void> {
  const snapLen = query.snapLen > 0 ? query.snapLen : SNAP_MAX;
  let out: CaptureStream | undefined;
  const watch = await watching.start(
    { mode: "capture", program: query.program, limit: -1, snapLen },
    (r, body) => out?.packet(readCaptureRecord(r, body, names.rule), watch.lost),
  );
  // The first bytes of the answer tell the caller that we are watching: they must not come before it is so.
  out = new CaptureStream(names, query, response);
  await untilClosed(response);
  await watch.stop();
}

class CaptureStream {
  readonly #names: StreamNames;
  readonly #query: CaptureQuery;
  readonly #response: ServerResponse;
  readonly #writer: PcapngWriter;
  readonly #interfaces = new Map<number, number>();
  #dropped = 0; // since the last packet written
  #lost = 0; //    records that the ring had no room for, as counted by now

  constructor(names: StreamNames, query: CaptureQuery, response: ServerResponse) {
    this.#names = names;
    this.#query = query;
    this.#response = response;
    response.writeHead(200, { "content-type": "application/x-pcapng" });
    const application = "podwire capture";
    this.#writer = new PcapngWriter((block) => response.write(block), { application, hardware: names.node });
    for (const port of names.ports()) if (this.#wants(port.id)) this.#declare(port);
  }

  packet(record: CaptureRecord, lost: number): void {
    this.#dropped += lost - this.#lost;
    this.#lost = lost;
    if (!this.#wants(record.port)) return;
    if (this.#response.writableLength > BACKLOG_MAX) {
      this.#dropped++;
      return;
    }
    const interfaceId = this.#interfaces.get(record.port) ?? this.#declareLate(record.port);
    const out = this.#names.ports().find((p) => p.id === record.outPort)?.name;
    const comment = captureComment(record, this.#names.service(record.serviceId), out);
    const frames = captureFrames(record);
    for (const [index, data] of frames.entries()) {
      const piece = frames.length > 1 ? [`segment ${index + 1} of ${frames.length}`] : [];
      this.#writer.packet({
        interfaceId,
        timestampNs: BigInt(Math.round(record.timeUs * 1000)),
        data,
        originalLength: frames.length > 1 ? data.length : record.length,
        comments: [comment, ...piece],
        direction: record.direction,
        packetId: BigInt(record.packet),
        ...(this.#dropped > 0 ? { dropCount: this.#dropped } : {}),
      });
      this.#dropped = 0;
    }
  }

  #wants(port: number): boolean {
    return this.#query.ports === null || this.#query.ports.has(port);
  }

  #declare(port: PortInfo): number {
    const mac = parseMac(port.mac);
    const bytes = new Uint8Array(6);
    if (mac !== undefined) {
      const view = new DataView(bytes.buffer);
      view.setUint16(0, mac.hi);
      view.setInt32(2, mac.lo);
    }
    const id = this.#writer.addInterface({ name: port.name, description: port.kind, mac: bytes });
    this.#interfaces.set(port.id, id);
    return id;
  }

  #declareLate(id: number): number {
    const port = this.#names.ports().find((p) => p.id === id);
    if (port !== undefined) return this.#declare(port);
    const made = this.#writer.addInterface({ name: `port ${id}` });
    this.#interfaces.set(id, made);
    return made;
  }
}

export async function streamTrace(
  watching: Watching,
  names: StreamNames,
  query: { count: number; program: BpfInstruction[] | null },
  response: ServerResponse,
): Promise<void> {
  const story = new TraceProgress(query.count);
  const watch = await watching.start(
    { mode: "trace", program: query.program, limit: query.count, snapLen: 0 },
    (r, body) => {
      const record = readTraceRecord(r, body, names.node, names);
      story.add(record, performance.now());
      response.write(`${JSON.stringify(record)}\n`);
    },
  );
  // Not before the plane watches: the caller takes the head of the answer for "go ahead".
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.flushHeaders();
  await untilClosed(response, () => story.isDone(performance.now()));
  await watch.stop();
  if (watch.lost > 0) response.write(`${JSON.stringify({ node: names.node, lost: watch.lost })}\n`);
  response.end();
}

/** Longer than a neighbour is asked for, ms. */
const WAIT_MS = 5000;

/** Whether all packets that were asked for have been told of to their end. */
export class TraceProgress {
  readonly #count: number;
  readonly #seen = new Set<number>();
  /** By packet that waits for a neighbour: since when. */
  readonly #waiting = new Map<number, number>();

  /** `count`: packets; 0: without end. */
  constructor(count: number) {
    this.#count = count;
  }

  add({ packet, waits }: Pick<TraceRecord, "packet" | "waits">, nowMs: number): void {
    this.#seen.add(packet);
    if (waits === true) this.#waiting.set(packet, nowMs);
    else this.#waiting.delete(packet);
  }

  isDone(nowMs: number): boolean {
    if (this.#count <= 0 || this.#seen.size < this.#count) return false;
    for (const since of this.#waiting.values()) if (nowMs - since < WAIT_MS) return false;
    return true;
  }
}

/** Resolves when the caller hangs up, or when `isDone` has held for a moment. */
function untilClosed(response: ServerResponse, isDone?: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (isDone?.() === true) finish();
    }, 50);
    const finish = (): void => {
      clearInterval(timer);
      resolve();
    };
    response.on("close", finish);
    response.on("error", finish);
  });
}
