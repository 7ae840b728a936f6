/**
 * Captured frames through a node's pipeline. What somebody sent into the plane is put in at the port where it was sent,
 * its MAC addresses made those of this node (a capture from another cluster has others). What the plane sent is found
 * among what it sends here, or else the packet that must have caused it is put in, and the two are compared. The clock
 * runs as it ran when they were captured.
 */
import * as eth from "../../wire/link/ethernet.ts";
import type { OfflineNode, OfflinePort } from "../offline-node.ts";
import { completeChecksums } from "./captured-checksum.ts";
import { type CapturedPacket, sourceOf } from "./captured-packet.ts";
import { ObservationPoints } from "./observation-point.ts";
import { type Judgement, ReceivedPackets } from "./received-packets.ts";
import { type Outcome, type PlaneOptions, ReplayPlane } from "./replay-plane.ts";
import { isGroup, isOfLink, type Seen, type Way } from "./seen-packet.ts";

export interface ReplayFrame {
  /** An Ethernet frame. */
  readonly data: Uint8Array;
  readonly timestampNs: bigint;
  /** Bytes on the wire, when the capture was cut. */
  readonly originalLength?: number;
  /** Name of the interface in the capture: when it is the name of a port, the frame is of that port. */
  readonly interfaceName?: string;
  /** Tells apart interfaces that have no name of a port. */
  readonly group?: string;
  /** By the plane's word at a port of its name, else by that of the machine whose interface it was. */
  readonly direction?: Way;
  readonly macs?: "both" | "source" | "none";
  /** Why this is nothing for the plane. */
  readonly foreign?: string;
}

export type Via = "pod" | "uplink" | "host";

export interface ReplayOptions extends PlaneOptions {
  /** Takes all frames for coming by this kind of port. */
  readonly via?: Via;
  /** Where the capture was taken, unless its interfaces have the names of ports. */
  readonly at?: OfflinePort;
  /** The frames come as they are captured: they are replayed as soon as it is quiet, or after two seconds. */
  readonly isLive?: boolean;
  /** Is given what the user should know of the capture as a whole, before its first frame. */
  readonly tell?: (notice: string) => void;
}

/** What became of one frame. */
export interface Replayed {
  readonly frame: ReplayFrame;
  /** The port where it was captured. */
  readonly port: OfflinePort;
  /** It was captured at no port of the node. */
  readonly isElsewhere?: boolean;
  /** "in": put in as captured. "out": the plane sent it, and `input` is of the packet that caused it. */
  readonly way: Way;
  readonly judgement?: Judgement;
  /** It tells somebody that a packet of his was dropped, as the plane does. */
  readonly answersDrop?: boolean;
  readonly differences: readonly string[];
  readonly notes: readonly string[];
  readonly input: Outcome["input"];
  /** Frames that left, in order. */
  readonly outputs: Outcome["outputs"];
  readonly steps: Outcome["steps"];
  /** A bug of ours, if the pipeline threw; else "". */
  readonly error: string;
}

/** Frames from which is learned where a capture was taken, before the first of them is replayed. */
const LEARN_FROM = 1000;
/** Of a capture that is being made: so long is waited for more of them, at most. */
const QUIET_MS = 300;
const WAIT_MS = 2000;

/** Runs frame after frame. Lazy: the plane is where the last frame taken has brought it. */
export async function* replayFrames(
  node: OfflineNode,
  frames: AsyncIterable<ReplayFrame> | Iterable<ReplayFrame>,
  options: ReplayOptions = {},
): AsyncGenerator<Replayed> {
  const replayer = new Replayer(node, options);
  const source = oneByOne(frames);
  try {
    const { first, next } = await firstFrames(source, options, replayer);
    replayer.learn(first);
    for (const each of first) yield replayer.replay(each);
    for (let frame = await next; frame.done !== true; frame = await source.next()) {
      replayer.learn([frame.value]);
      yield replayer.replay(frame.value);
    }
  } finally {
    void source.return(undefined).catch(() => {}); // it may be waiting for a frame that does not come
  }
}

async function* oneByOne(
  frames: AsyncIterable<ReplayFrame> | Iterable<ReplayFrame>,
): AsyncGenerator<ReplayFrame, undefined> {
  yield* frames;
  return undefined;
}

/** The frames to learn from, and what comes behind them. */
async function firstFrames(
  source: AsyncGenerator<ReplayFrame, undefined>,
  { isLive = false }: ReplayOptions,
  replayer: Replayer,
): Promise<{ first: ReplayFrame[]; next: Promise<IteratorResult<ReplayFrame, undefined>> }> {
  const first: ReplayFrame[] = [];
  const untilMs = { at: Number.POSITIVE_INFINITY };
  for (;;) {
    const next = source.next();
    const waitMs = isLive && first.length > 0 ? Math.min(QUIET_MS, untilMs.at - performance.now()) : -1;
    const came = waitMs === -1 ? await next : await within(next, waitMs);
    if (came === undefined || came.done === true || first.length === LEARN_FROM) return { first, next };
    if (replayer.needsNothing(came.value) && first.length === 0)
      return { first, next: Promise.resolve(came) };
    if (first.length === 0) untilMs.at = performance.now() + WAIT_MS;
    first.push(came.value);
  }
}

/** Undefined when it takes longer. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((done) => {
    timer = setTimeout(done, Math.max(0, ms), undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

class Replayer {
  readonly #node: OfflineNode;
  readonly #options: ReplayOptions;
  readonly #plane: ReplayPlane;
  readonly #points: ObservationPoints;
  readonly #received: ReceivedPackets;
  readonly #seen = new Set<string>();
  /** Frames that moved connections on were cut off. */
  #lacksFrames = false;
  #startNs: bigint | undefined;

  constructor(node: OfflineNode, options: ReplayOptions) {
    this.#node = node;
    this.#options = options;
    this.#plane = new ReplayPlane(node, options);
    this.#points = new ObservationPoints(node, options.at, options.tell ?? (() => {}));
    this.#received = new ReceivedPackets(this.#plane, this.#points.addresses);
  }

  /** Is it known at once where the frame was captured? */
  needsNothing(frame: ReplayFrame): boolean {
    return this.#options.via !== undefined || this.#named(frame) !== undefined;
  }

  learn(frames: readonly ReplayFrame[]): void {
    if (this.#options.via !== undefined) return;
    const seen = frames
      .filter((frame) => frame.foreign === undefined && this.#named(frame) === undefined)
      .map((frame) => this.#seenOf(frame, this.#read(frame)));
    this.#points.learn(seen);
  }

  replay(frame: ReplayFrame): Replayed {
    this.#startNs ??= frame.timestampNs;
    const ms = Number((frame.timestampNs - this.#startNs) / 1_000_000n);
    this.#plane.nowMs = Math.max(this.#plane.nowMs, ms); // time never runs backwards
    const packet = this.#read(frame);
    completeChecksums(packet);
    const port = this.#named(frame) ?? this.#points.pointOf(groupOf(frame)) ?? this.#plane.portOf(packet);
    const notes = cutNotes(frame, packet);
    if (frame.foreign !== undefined) return skipped(frame, port, [frame.foreign]);
    if (packet.isHeadless) return skipped(frame, port, notes);
    const result = this.#judge(frame, packet);
    this.#lacksFrames ||= packet.lacksInner;
    if (packet.lacksInner) notes.push("frames that left with it were cut off");
    // A damaged header behind the cut is the recording's fault.
    const isCutsFault = notes.length > 0 && result.input?.dropReason?.startsWith("MALFORMED") === true;
    if (isCutsFault) return skipped(frame, result.port, notes);
    if (this.#lacksFrames && result.input?.dropReason === "CT_INVALID")
      return skipped(frame, result.port, [...notes, MAY_BE_OF_CUT]);
    return { ...result, notes: [...notes, ...result.notes] };
  }

  #judge(frame: ReplayFrame, packet: CapturedPacket): Replayed {
    const { via } = this.#options;
    const { ports } = this.#node;
    if (via !== undefined) {
      const owner = this.#plane.portOf(packet);
      const port = owner.info.kind === via ? owner : (ports.find((each) => each.info.kind === via) ?? owner);
      return this.#in(frame, packet, port);
    }
    const named = this.#named(frame);
    if (named !== undefined) {
      return frame.direction === "out" ? this.#out(frame, packet, named) : this.#in(frame, packet, named);
    }
    const point = this.#points.pointOf(groupOf(frame));
    const isScattered = point === undefined;
    const foreign = this.#points.foreignAt(groupOf(frame));
    const unknown = foreign ?? this.#missing(packet, point);
    if (unknown !== undefined) {
      const isElsewhere = foreign !== undefined;
      return { ...skipped(frame, this.#plane.portOf(packet), [unknown]), isElsewhere };
    }
    if (isScattered) {
      const before = this.#received.seenAlready(packet);
      if (before !== undefined) return { ...base(frame, before.port), ...before, way: "out" };
      if (this.#isRepeated(packet)) {
        return skipped(frame, this.#plane.portOf(packet), [
          "the same packet as before, at another interface",
        ]);
      }
    }
    const seen = this.#seenOf(frame, packet);
    const located = this.#points.locate(seen);
    if (located === undefined) return skipped(frame, this.#plane.portOf(packet), ["not of this node"]);
    const { port, way } = located;
    if (this.#points.isForOther(seen, located))
      return skipped(frame, port, ["for another station's MAC address"]);
    if (way === "in") return this.#in(frame, packet, port);
    return this.#out(frame, packet, port, this.#points.macFaults(seen, located));
  }

  /** Of a packet that was seen outside of the pods. */
  #missing(packet: CapturedPacket, point: OfflinePort | undefined): string | undefined {
    return point === undefined || point.info.kind === "uplink" ? this.#points.missing(packet) : undefined;
  }

  #in(frame: ReplayFrame, packet: CapturedPacket, port: OfflinePort): Replayed {
    const outcome = this.#plane.put(packet, port);
    this.#received.sent(packet, port, outcome, this.#points.areKnown);
    const notes = outcome.isOneSided ? ["the other direction is not in the capture"] : [];
    if (outcome.input?.verdict === "drop" && isNoise(packet, outcome.input.dropReason ?? ""))
      return skipped(frame, port, [`of the link alone, nothing for the plane (${outcome.input.dropText})`]);
    return { ...base(frame, port), ...outcome, notes };
  }

  #out(
    frame: ReplayFrame,
    packet: CapturedPacket,
    port: OfflinePort,
    faults: readonly string[] = [],
  ): Replayed {
    return { ...base(frame, port), ...this.#received.judge(packet, port, faults), way: "out" };
  }

  /** In a capture of all interfaces, or one that was merged: has this very packet been put in? */
  #isRepeated(packet: CapturedPacket): boolean {
    if (packet.family === 0 || isGroup(packet)) return false;
    const { key, seq, ack, flags, view, l3, end, payload, family } = packet;
    const id = family === 4 ? view.getUint16(l3 + 4) : 0;
    const body = Buffer.from(packet.data.subarray(payload, Math.min(end, packet.known))).toString("base64");
    const sign = [...key, seq, ack, flags, id, packet.fragment?.offset ?? 0, body].join();
    // What has no identification may be sent twice; an answer to it comes in between.
    if (this.#seen.has(sign) && (id !== 0 || packet.proto !== 6)) return true;
    this.#seen.add(sign);
    if (this.#seen.size > SEEN_MAX)
      for (const oldest of this.#seen) return this.#seen.delete(oldest) && false;
    return false;
  }

  #read({ data, originalLength }: ReplayFrame): CapturedPacket {
    const packet = this.#plane.read(new Uint8Array(data), originalLength); // a copy: slices of a Buffer are none
    const isTagged = packet.l3 > eth.HEADER_LEN && (packet.family !== 0 || packet.isArp);
    // On a machine with VLANs the node's packets may be seen below its interface. A pod's own tags stay.
    if (!isTagged || this.#points.addresses.podOf(sourceOf(packet)) !== undefined) return packet;
    const bare = new Uint8Array(packet.data.length - packet.l3 + eth.HEADER_LEN);
    bare.set(packet.data.subarray(0, eth.HEADER_LEN - 2));
    bare.set(packet.data.subarray(packet.l3 - 2), eth.HEADER_LEN - 2);
    const known = packet.known - (packet.data.length - bare.length);
    return this.#plane.read(bare.subarray(0, known), bare.length);
  }

  #seenOf(frame: ReplayFrame, packet: CapturedPacket): Seen {
    const { direction, macs = "both" } = frame;
    return {
      group: groupOf(frame),
      packet,
      macs,
      ...(direction !== undefined && { hostDirection: direction }),
    };
  }

  #named({ interfaceName = "" }: ReplayFrame): OfflinePort | undefined {
    return this.#node.ports.find((port) => isNamed(interfaceName, port));
  }
}

const SEEN_MAX = 1024;
const MAY_BE_OF_CUT =
  "INVALID here, as it may be for want of frames that were cut off before: capture without -s";

const groupOf = ({ group, interfaceName }: ReplayFrame): string => group ?? interfaceName ?? "";

function base(frame: ReplayFrame, port: OfflinePort): Replayed {
  const nothing = { input: undefined, outputs: [], steps: [], error: "" };
  return { frame, port, way: "in", differences: [], notes: [], ...nothing };
}

function skipped(frame: ReplayFrame, port: OfflinePort, notes: readonly string[]): Replayed {
  return { ...base(frame, port), judgement: "not compared", notes };
}

function cutNotes({ data, originalLength = 0 }: ReplayFrame, packet: CapturedPacket): string[] {
  if (data.length === 0 && originalLength === 0) return ["no bytes in the capture"];
  if (originalLength <= data.length) return [];
  const headers = packet.isHeadless ? ", within its headers" : "";
  return [`cut in the capture (${data.length} of ${originalLength} bytes${headers})`];
}

/** What stations say to all of their link and no router carries on, and what is no IP; whatever is no lie. */
function isNoise(packet: CapturedPacket, reason: string): boolean {
  const isLinks =
    isGroup(packet) || isOfLink(packet) || (packet.family === 0 && !packet.isArp && !packet.isHeadless);
  if (packet.isArp && reason === "UNSUPPORTED_L3") return true; // an answer to the node: it asks nobody here
  return isLinks && !/^(SPOOFED|MALFORMED|BAD)/.test(reason);
}

/** "eth0 default/web", or with the node in front; an uplink's name may go on with its interface. */
function isNamed(name: string, { info }: OfflinePort): boolean {
  if (info.kind === "uplink") return /(^| )uplink( |$)/.test(name);
  return name === info.name || name.endsWith(` ${info.name}`);
}
