/**
 * Captured frames through a node's pipeline: each is put in at the port it would have come by, its MAC
 * addresses made those of this node (a capture from another cluster has others), and the clock runs as it ran
 * when they were captured.
 */
import { formatIp, type IpWords, sameIp, V4_MAPPED } from "../base/ip.ts";
import type { Mac } from "../base/mac.ts";
import * as ring from "../dataplane/record-ring.ts";
import * as conntrack from "../dataplane/table/conntrack.ts";
import * as neighbor from "../dataplane/table/neighbor.ts";
import { Mode } from "../dataplane/watch.ts";
import {
  type CaptureRecord,
  readCaptureRecord,
  readTraceRecord,
  type TraceRecord,
} from "../observe/trace-record.ts";
import * as arp from "../wire/arp.ts";
import * as eth from "../wire/ethernet.ts";
import * as ipv4 from "../wire/ipv4.ts";
import * as ipv6 from "../wire/ipv6.ts";
import { type OfflineNode, type OfflinePort, UPLINK_PORT } from "./offline-node.ts";
import { superframeHeader } from "./replay-superframe.ts";
import { routeText } from "./route-text.ts";

export interface ReplayFrame {
  readonly data: Uint8Array;
  readonly timestampNs: bigint;
  /** Name of the interface in the capture: when it is the name of a port, the frame comes by that port. */
  readonly interfaceName?: string;
}

export type Via = "pod" | "uplink" | "host";

export interface ReplayOptions {
  /** Takes all frames for coming by this kind of port. */
  readonly via?: Via;
  /** Leaves MAC addresses as they were captured. */
  readonly keepMacs?: boolean;
  /** Of the random choices of endpoints and source ports. */
  readonly seed?: number;
}

/** What became of one frame. */
export interface Replayed {
  readonly frame: ReplayFrame;
  readonly port: OfflinePort;
  /** The frame as it came in, with the plane's verdict. */
  readonly input: CaptureRecord | undefined;
  /** Frames that left, in order. */
  readonly outputs: readonly CaptureRecord[];
  readonly steps: readonly TraceRecord[];
  /** A bug of ours, if the pipeline threw; else "". */
  readonly error: string;
}

const RING_LOG2 = 22; // the stages and frames of one packet, a superframe cut in pieces included
const TRACE = 0; //      index of the watcher
const CAPTURE = 1;
/** Whoever is asked for on the fabric: a station that is always there. */
const FABRIC_MAC: Mac = { hi: 0x0a00, lo: 1 };

/** Runs frame after frame. Lazy: the plane is where the last frame taken has brought it. */
export async function* replayFrames(
  node: OfflineNode,
  frames: AsyncIterable<ReplayFrame> | Iterable<ReplayFrame>,
  options: ReplayOptions = {},
): AsyncGenerator<Replayed> {
  conntrack.createSeed(node.engine.tables.conntrack, options.seed ?? 1);
  const records = new Records(node);
  const { vteps = [] } = node.messages.topology ?? {};
  for (const address of [...vteps, ...node.messages.config.uplink.gateways]) knowOnFabric(node, address);
  let startNs: bigint | undefined;
  let ms = 0;
  for await (const frame of frames) {
    startNs ??= frame.timestampNs;
    ms = Math.max(ms, Number((frame.timestampNs - startNs) / 1_000_000n)); // time never runs backwards
    const ends = endsOf(frame.data);
    const port = choosePort(node, frame, ends, options.via);
    const data = frame.data.slice();
    if (!options.keepMacs) adoptMacs(node, data, port, ends);
    for (const address of ends === undefined ? [] : [ends.src, ends.dst]) knowOnFabric(node, address);
    node.send(port.id, data, ms, superframeHeader(data, port.info.mtu));
    const error = node.engine.lastError;
    node.engine.lastError = "";
    yield { frame, port, ...records.take(), error };
  }
}

/** What two watchers see: one of stages, one of frames. */
class Records {
  readonly #node: OfflineNode;
  readonly #trace: ring.RecordRing;
  readonly #capture: ring.RecordRing;

  constructor(node: OfflineNode) {
    this.#node = node;
    this.#trace = node.watch(Mode.TRACE, RING_LOG2, TRACE);
    this.#capture = node.watch(Mode.CAPTURE, RING_LOG2, CAPTURE);
  }

  take(): Pick<Replayed, "input" | "outputs" | "steps"> {
    const node = this.#node;
    const names = {
      port: (id: number): string => node.ports[id]?.info.name ?? `port ${id}`,
      service: (id: number): string | undefined => node.messages.services.nameOf(id),
      route: (index: number): string | undefined => routeText(node.messages.topology, index),
    };
    const nodeName = node.messages.config.nodeName;
    const steps = drain(this.#trace, (body) => readTraceRecord(this.#trace, body, nodeName, names));
    const captured = drain(this.#capture, (body) => readCaptureRecord(this.#capture, body));
    // What was sent has been seen by the watcher already.
    for (const { station } of node.ports) while (station.takeStored() !== undefined);
    const input = captured.find((record) => record.direction === "in");
    return { input, outputs: captured.filter((record) => record.direction === "out"), steps };
  }
}

function drain<T>(records: ring.RecordRing, read: (body: number) => T): T[] {
  const list: T[] = [];
  for (let body = ring.peek(records); body >= 0; body = ring.peek(records)) {
    list.push(read(body));
    ring.consume(records, body);
  }
  return list;
}

/** Makes it so that an address on the fabric answers at once, as a station that was spoken to before. */
function knowOnFabric(node: OfflineNode, { w0, w1, w2, w3 }: IpWords): void {
  const table = node.engine.tables.fabric;
  if (neighbor.find(table, w0, w1, w2, w3) >= 0) return;
  neighbor.addPermanent(table, w0, w1, w2, w3, FABRIC_MAC.hi, FABRIC_MAC.lo, UPLINK_PORT);
}

interface Ends {
  src: IpWords;
  dst: IpWords;
}

/** The outermost addresses; an ARP message's sender and target. Undefined when the frame has none. */
function endsOf(data: Uint8Array): Ends | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const end = data.length;
  if (!eth.isWellFormed(view, 0, end)) return undefined;
  const l3 = eth.payloadOffset(view, 0, end);
  const type = eth.payloadType(view, 0, end);
  const v4 = (w3: number): IpWords => ({ w0: 0, w1: 0, w2: V4_MAPPED, w3 });
  if (type === eth.ETHERTYPE_IPV4 && ipv4.isWellFormed(view, l3, end)) {
    return { src: v4(ipv4.src(view, l3)), dst: v4(ipv4.dst(view, l3)) };
  }
  if (type === eth.ETHERTYPE_ARP && arp.isWellFormed(view, l3, end)) {
    return { src: v4(arp.senderIp(view, l3)), dst: v4(arp.targetIp(view, l3)) };
  }
  if (type !== eth.ETHERTYPE_IPV6 || !ipv6.isWellFormed(view, l3, end)) return undefined;
  const words = (word: (view: DataView, off: number, i: number) => number): IpWords => {
    const [w0, w1, w2, w3] = [0, 1, 2, 3].map((i) => word(view, l3, i));
    return { w0, w1, w2, w3 };
  };
  return { src: words(ipv6.srcWord), dst: words(ipv6.dstWord) };
}

/**
 * By the capture's own word, else by whose address the source is: a pod's, the node's, somebody outside's.
 */
function choosePort(
  node: OfflineNode,
  frame: ReplayFrame,
  ends: Ends | undefined,
  via: Via | undefined,
): OfflinePort {
  const { ports } = node;
  const owner = ends === undefined ? ports[UPLINK_PORT] : node.portOf(formatIp(ends.src));
  if (via !== undefined) {
    return owner.info.kind === via ? owner : (ports.find((port) => port.info.kind === via) ?? owner);
  }
  return ports.find((port) => isNamed(frame.interfaceName ?? "", port)) ?? owner;
}

/** "eth0 default/web", or with the node in front; an uplink's name may go on with its interface. */
function isNamed(name: string, { info }: OfflinePort): boolean {
  if (info.kind === "uplink") return /(^| )uplink( |$)/.test(name);
  return name === info.name || name.endsWith(` ${info.name}`);
}

function adoptMacs(node: OfflineNode, data: Uint8Array, port: OfflinePort, ends: Ends | undefined): void {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (!eth.isWellFormed(view, 0, data.length)) return;
  const own = macAt(node, port);
  if (port.info.kind !== "uplink") eth.setSrc(view, 0, own.hi, own.lo);
  if (eth.isMulticast(eth.dstHi(view, 0))) return;
  const to = destinationMac(node, port, ends);
  if (to !== undefined) eth.setDst(view, 0, to.hi, to.lo);
}

/** A pod speaks to a pod of its own bridge directly, to everybody else through the gateway. */
function destinationMac(node: OfflineNode, port: OfflinePort, ends: Ends | undefined): Mac | undefined {
  if (port.info.kind === "uplink") return macAt(node, port);
  const neighbour =
    port.info.kind === "pod" && ends !== undefined
      ? node.ports.find((each) => each.info.kind === "pod" && each.addresses.some((a) => sameIp(a, ends.dst)))
      : undefined;
  return neighbour === undefined ? node.messages.topology?.own.gatewayMac : macAt(node, neighbour);
}

function macAt(node: OfflineNode, port: OfflinePort): Mac {
  const { macHi, macLo } = node.engine.ports;
  return { hi: macHi[port.id], lo: macLo[port.id] };
}
