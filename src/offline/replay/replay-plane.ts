/**
 * The plane of an offline node as replay uses it: packets are put in at a port, with the MAC addresses that they have
 * there, and everything that becomes of them is read.
 */

import { planeNames } from "../../api/plane-names.ts";
import { formatIp, type IpWords, sameIp } from "../../base/ip.ts";
import type { Mac } from "../../base/mac.ts";
import { Protocol } from "../../base/protocols.ts";
import { readSegment } from "../../dataplane/packet/tcp-segment.ts";
import * as conntrack from "../../dataplane/table/connection/conntrack.ts";
import * as ctTcp from "../../dataplane/table/connection/conntrack-tcp.ts";
import * as neighbor from "../../dataplane/table/neighbor.ts";
import * as ring from "../../dataplane/trace/record-ring.ts";
import { Mode } from "../../dataplane/trace/watchers.ts";
import { isFromTunnel, readCaptureRecord, readTraceRecord } from "../../kubeproxy/words/read-record.ts";
import type { CaptureRecord, TraceRecord } from "../../observe/trace-record.ts";
import * as eth from "../../wire/link/ethernet.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import { type OfflineNode, type OfflinePort, UPLINK_PORT } from "../offline-node.ts";
import { type CapturedPacket, destinationOf, readPacket, sourceOf } from "./captured-packet.ts";
import { superframeHeader } from "./replay-superframe.ts";
import { segmentsOf, tunnelled } from "./tunnel-frame.ts";

const { TCP } = Protocol;

/** What the plane made of one packet that was put in. */
export interface Outcome {
  /** The packet as it came in, with the plane's verdict. */
  readonly input: CaptureRecord | undefined;
  /** Frames that left, in order. */
  readonly outputs: readonly CaptureRecord[];
  readonly steps: readonly TraceRecord[];
  /** A bug of ours, if the pipeline threw; else "". */
  readonly error: string;
  /** Answers to this connection are missing in the capture. */
  readonly isOneSided: boolean;
}

export interface PlaneOptions {
  /** Leaves MAC addresses as they were captured. */
  readonly keepMacs?: boolean;
  /** Nobody asks for the steps: they are left out. */
  readonly isBrief?: boolean;
}

const RING_LOG2 = 22; // the stages and frames of one packet, a superframe cut in pieces included
const TRACE = 0; //      index of the watcher
const CAPTURE = 1;
/** Whoever is asked for on the fabric: a station that is always there. */
const FABRIC_MAC: Mac = { hi: 0x0a00, lo: 1 };

export class ReplayPlane {
  readonly node: OfflineNode;
  readonly vxlanPort: number;
  readonly #options: PlaneOptions;
  readonly #trace: ring.RecordRing;
  readonly #capture: ring.RecordRing;
  /** Datagrams of which a fragment was cut in the capture: their checksums say nothing. */
  readonly #cutDatagrams = new Set<string>();
  nowMs = 0;

  constructor(node: OfflineNode, options: PlaneOptions) {
    this.node = node;
    this.#options = options;
    const { config, topology } = node.messages;
    this.vxlanPort = config.overlay.type === "vxlan" ? config.overlay.port : 0;
    this.#trace = node.watch(Mode.TRACE, RING_LOG2, TRACE);
    this.#capture = node.watch(Mode.CAPTURE, RING_LOG2, CAPTURE);
    for (const address of [...(topology?.vteps ?? []), ...config.uplink.gateways])
      knowOnFabric(node, address);
  }

  read(data: Uint8Array, original = data.length): CapturedPacket {
    return readPacket(data, original, this.vxlanPort);
  }

  /** The port at which who has the packet's source address is. */
  portOf(packet: CapturedPacket): OfflinePort {
    const isAddressed = packet.family !== 0 || packet.isArp;
    return isAddressed ? this.node.portOf(formatIp(sourceOf(packet))) : this.node.ports[UPLINK_PORT];
  }

  /** Puts a captured packet in. One out of the tunnel that no link can take goes in as the frames it was made of. */
  put(packet: CapturedPacket, port: OfflinePort): Outcome {
    const mtu = port.info.mtu - 70; // of the tunnel, at least
    const { inner } = packet;
    const isLong = inner.length > 1 || inner.some((each) => each.proto === TCP && each.end - each.l3 > mtu);
    if (!isLong) return this.#send(packet, port, packet);
    return this.#each(
      inner.flatMap((each) => segmentsOf(each, mtu)).map((each) => this.#asTunnelled(each)),
      port,
    );
  }

  /** Puts a packet in that was not captured as such: it comes by the tunnel where that is the way from its source. */
  putAsFrom(packet: CapturedPacket, port: OfflinePort): Outcome {
    if (port.id !== UPLINK_PORT || packet.isArp) return this.#send(packet, port, packet);
    if (tunnelled(this.node, packet) === undefined) return this.#send(packet, port, packet);
    const segments = segmentsOf(packet, port.info.mtu - 70);
    return this.#each(
      segments.map((each) => this.#asTunnelled(each)),
      port,
    );
  }

  #asTunnelled(inner: CapturedPacket): { frame: CapturedPacket; inner: CapturedPacket } {
    const frame = tunnelled(this.node, inner);
    return { frame: frame === undefined ? inner : this.read(frame), inner };
  }

  #each(frames: readonly { frame: CapturedPacket; inner: CapturedPacket }[], port: OfflinePort): Outcome {
    const all = frames.map(({ frame, inner }) => this.#send(frame, port, inner));
    const worst = all.find(({ input }) => input?.verdict === "drop") ?? all[0];
    return {
      ...worst,
      outputs: all.flatMap(({ outputs }) => outputs),
      steps: all.flatMap(({ steps }) => steps),
      error: all.find(({ error }) => error !== "")?.error ?? "",
    };
  }

  #send(packet: CapturedPacket, port: OfflinePort, inner: CapturedPacket): Outcome {
    const { header } = this.node.engine.tables.conntrack;
    const verifies = header[conntrack.H_CHECKSUM];
    if (this.#isOfCutDatagram(packet, inner)) header[conntrack.H_CHECKSUM] = 0;
    const outcome = this.#once(packet, port);
    header[conntrack.H_CHECKSUM] = verifies;
    if (!this.#resynchronize(outcome, inner)) return outcome;
    return { ...this.#once(packet, port), isOneSided: true };
  }

  #once(packet: CapturedPacket, port: OfflinePort): Outcome {
    const { node } = this;
    const data = packet.data.slice();
    if (this.#options.keepMacs !== true) adoptMacs(node, data, port, packet);
    if (packet.family !== 0 || packet.isArp) {
      for (const each of [sourceOf(packet), destinationOf(packet)]) knowOnFabric(node, each);
    }
    for (const inner of packet.inner) knowOnFabric(node, destinationOf(inner));
    node.send(port.id, data, this.nowMs, superframeHeader(data, port.info.mtu));
    const error = node.engine.lastError;
    node.engine.lastError = "";
    return { ...this.#take(), error, isOneSided: false };
  }

  /** `inner` is the packet as captured, where `packet` was made for it. */
  #isOfCutDatagram(packet: CapturedPacket, inner: CapturedPacket): boolean {
    for (const { fragment, family, proto, known, end } of [packet, ...packet.inner, inner]) {
      if (fragment === undefined) continue;
      const name = `${family} ${proto} ${fragment.id}`;
      if (known < end) this.#cutDatagrams.add(name);
      if (this.#cutDatagrams.has(name)) return true;
    }
    return false;
  }

  #take(): Pick<Outcome, "input" | "outputs" | "steps"> {
    const { node } = this;
    const portName = (id: number): string => node.ports[id]?.info.name ?? `port ${id}`;
    const names = planeNames(node.messages, node.graph, portName);
    const nodeName = node.messages.config.nodeName;
    const { isBrief = false } = this.#options;
    const steps = drain(this.#trace, (body) =>
      isBrief && !isFromTunnel(this.#trace, body)
        ? undefined
        : readTraceRecord(this.#trace, body, nodeName, names),
    ).filter((step) => step !== undefined);
    const captured = drain(this.#capture, (body) => readCaptureRecord(this.#capture, body, names.rule));
    // What was sent has been seen by the watcher already.
    for (const { station } of node.ports) while (station.takeStored() !== undefined);
    const input = inputOf(captured, steps);
    return {
      input,
      outputs: captured.filter((record) => record.direction === "out"),
      steps: isBrief ? [] : steps,
    };
  }

  /**
   * A capture of one direction alone shows a client that talks to nobody, which conntrack does not believe. Its entry is
   * told to begin here, as it begins with connections that are older than itself.
   */
  #resynchronize({ input, outputs }: Outcome, packet: CapturedPacket): boolean {
    const isInvalid = input?.dropReason === "CT_INVALID";
    if (!isInvalid || outputs.length > 0 || packet.proto !== TCP || packet.fragment !== undefined)
      return false;
    if ((packet.flags & (tcp.FLAG_SYN | tcp.FLAG_RST)) !== 0) return false;
    const t = this.node.engine.tables;
    const ref = conntrack.find(t.conntrack, packet.key);
    if (ref < 0 || conntrack.packetsOf(t.conntrack, ref ^ 1) !== 0) return false;
    readSegment(t.scratch.outer.proto === TCP ? t.scratch.outer : t.scratch.inner, t.scratch.tcpSegment);
    ctTcp.open(t.conntrack, ref >> 1, t.scratch.tcpSegment, conntrack.clockSec(t.conntrack));
    return true;
  }
}

/** The frame's own record; of one out of the tunnel with what was decided about the inside: that is what people ask. */
function inputOf(
  captured: readonly CaptureRecord[],
  steps: readonly TraceRecord[],
): CaptureRecord | undefined {
  const input = captured.find((record) => record.direction === "in");
  const inside = steps.filter((step) => step.fromTunnel && !step.stage.startsWith("send-"));
  const last = inside.find((step) => step.verdict === "drop") ?? inside.at(-1);
  if (input === undefined || last === undefined) return input;
  const { verdict, ctState, ctDirection, masquerade, family, protocol, from, to, translated, outPort } = last;
  const { dropReason, dropText } = last;
  return {
    ...input,
    ...{ verdict, family, protocol, from, to, translated, outPort, fromTunnel: true },
    ...(dropReason !== undefined && { dropReason, dropText }),
    ...(ctState !== undefined && { ctState, ctDirection }),
    ...(masquerade !== undefined && { masquerade }),
  } as CaptureRecord;
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

function adoptMacs(node: OfflineNode, data: Uint8Array, port: OfflinePort, packet: CapturedPacket): void {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (!eth.isWellFormed(view, 0, data.length)) return;
  const own = macAt(node, port);
  if (port.info.kind !== "uplink") eth.setSrc(view, 0, own.hi, own.lo);
  if (eth.isMulticast(eth.dstHi(view, 0))) return;
  const to = destinationMac(node, port, packet);
  if (to !== undefined) eth.setDst(view, 0, to.hi, to.lo);
}

/** A pod speaks to a pod of its own bridge directly, to everybody else through the gateway. */
function destinationMac(node: OfflineNode, port: OfflinePort, packet: CapturedPacket): Mac | undefined {
  if (port.info.kind === "uplink") return macAt(node, port);
  const to = destinationOf(packet);
  const neighbour =
    port.info.kind === "pod" && (packet.family !== 0 || packet.isArp)
      ? node.ports.find((each) => each.info.kind === "pod" && each.addresses.some((a) => sameIp(a, to)))
      : undefined;
  return neighbour === undefined ? node.messages.topology?.own.gatewayMac : macAt(node, neighbour);
}

function macAt(node: OfflineNode, port: OfflinePort): Mac {
  const { macHi, macLo } = node.engine.ports;
  return { hi: macHi[port.id], lo: macLo[port.id] };
}
