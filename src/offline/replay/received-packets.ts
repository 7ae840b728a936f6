/**
 * Judges what the plane sent, as captured, by what it sends here. Which endpoint a connection got, and which source port,
 * is chance: where the capture shows the choice that was made, the connection here is given the same.
 */

import { sameIp } from "../../base/ip.ts";
import { Protocol } from "../../base/protocols.ts";
import * as conntrack from "../../dataplane/table/connection/conntrack.ts";
import * as tuple from "../../dataplane/table/connection/tuple.ts";
import * as affinity from "../../dataplane/table/service/affinity.ts";
import * as tcp from "../../wire/transport/tcp.ts";
import { type OfflinePort, UPLINK_PORT } from "../offline-node.ts";
import { completeChecksums, wrongChecksums } from "./captured-checksum.ts";
import { type CapturedPacket, destinationOf, sourceOf } from "./captured-packet.ts";
import { connectionOf, counterpartOf, rebind } from "./counterpart.ts";
import {
  differences,
  differsInEndsOnly,
  type Expected,
  ExpectedPackets,
  hopDifferences,
  isNeighborDiscovery,
} from "./expected-packets.ts";
import type { NodeAddresses } from "./node-addresses.ts";
import type { Outcome, ReplayPlane } from "./replay-plane.ts";
import { isGroup, isOfLink } from "./seen-packet.ts";
import { type Whole, WholeDatagrams } from "./whole-datagrams.ts";
import { withTuple } from "./with-tuple.ts";

const { PORTS } = tuple.TupleWord;

/** What is made of a packet that the plane sent, or of one that is not to be replayed. */
export type Judgement = "as captured" | "differs" | "not compared";

export interface Judged extends Partial<Outcome> {
  readonly judgement: Judgement;
  readonly differences: readonly string[];
  readonly notes: readonly string[];
  /** It tells somebody that a packet of his was dropped. */
  readonly answersDrop?: boolean;
}

/** The first packet of a connection for which the plane drew an endpoint or a source port. */
interface Choice {
  readonly packet: CapturedPacket; // as it went in
  readonly frame: CapturedPacket; //  the same with the tunnel around it
  readonly port: OfflinePort;
  outputs: readonly Expected[];
  isSettled: boolean;
}

const CHOICES_MAX = 256;
const DRAWS_MAX = 2048;
const TCP = Protocol.TCP;
const UDP = Protocol.UDP;
const SYN_ACK = tcp.FLAG_SYN | tcp.FLAG_ACK;
const AS_CAPTURED: Judged = { judgement: "as captured", differences: [], notes: [] };

export class ReceivedPackets {
  readonly #plane: ReplayPlane;
  readonly #addresses: NodeAddresses;
  readonly #expected = new ExpectedPackets();
  readonly #choices: Choice[] = [];
  readonly #seen: readonly [WholeDatagrams, WholeDatagrams]; // outer, inner
  readonly #peeked: readonly [WholeDatagrams, WholeDatagrams];
  readonly #sent: readonly [WholeDatagrams, WholeDatagrams];

  constructor(plane: ReplayPlane, addresses: NodeAddresses) {
    this.#plane = plane;
    this.#addresses = addresses;
    const pair = (): [WholeDatagrams, WholeDatagrams] => [
      new WholeDatagrams(plane.vxlanPort),
      new WholeDatagrams(0),
    ];
    this.#seen = pair();
    this.#peeked = pair();
    this.#sent = pair();
  }

  /** Takes note of what became of a packet that was put in. `isFirstSight`: it has passed nothing of the node before. */
  sent(frame: CapturedPacket, port: OfflinePort, outcome: Outcome, isFirstSight = false): void {
    const outputs = this.#outputsOf(outcome);
    const countsHops = isFirstSight && port.info.kind !== "host"; // the node's own stack may count it, or not
    const { input } = outcome;
    const answersDrop = input?.verdict === "drop";
    for (const each of outputs) this.#expected.add({ ...each, countsHops, answersDrop });
    if (input?.ctState !== "NEW" || !input.translated || input.verdict === "drop") return;
    const packet = frame.inner[0] ?? frame;
    this.#choices.push({ packet, frame, port, outputs, isSettled: false });
    if (this.#choices.length > CHOICES_MAX) this.#choices.shift();
  }

  /** Of a capture of several places: is this what the plane has just sent? */
  seenAlready(packet: CapturedPacket): (Judged & { port: OfflinePort }) | undefined {
    for (const { packet: each } of wholesOf(this.#peekable(packet), packet)) {
      const found = this.#expected.take(each, undefined) ?? this.#settle(each, undefined);
      if (found !== undefined) return { ...AS_CAPTURED, port: this.#plane.node.ports[found.port] };
    }
    return undefined;
  }

  /** Apart from those that `judge` collects: a datagram that nothing here has sent is judged with its last fragment. */
  #peekable(packet: CapturedPacket): readonly [WholeDatagrams, WholeDatagrams] {
    const isPiece = packet.fragment !== undefined || packet.inner.some((each) => each.fragment !== undefined);
    const { vxlanPort } = this.#plane;
    return isPiece ? this.#peeked : [new WholeDatagrams(vxlanPort), new WholeDatagrams(0)];
  }

  /** `packet` left by `port`, says the capture; `faults` of its frame are known. */
  judge(packet: CapturedPacket, port: OfflinePort, faults: readonly string[]): Judged {
    const judged = this.#judge(packet, port);
    if (faults.length === 0 || judged.judgement === "not compared") return judged;
    return { ...judged, judgement: "differs", differences: [...judged.differences, ...faults] };
  }

  #judge(packet: CapturedPacket, port: OfflinePort): Judged {
    const wholes = wholesOf(this.#seen, packet);
    if (wholes.length === 0)
      return { ...AS_CAPTURED, notes: ["fragment, judged with the last of its datagram"] };
    const all = wholes.map((whole) => this.#judgeWhole(whole, port));
    const worst = all.find(({ judgement }) => judgement === "differs") ?? all[0];
    return { ...worst, differences: all.flatMap((each) => each.differences) };
  }

  #judgeWhole(whole: Whole, port: OfflinePort): Judged {
    const { packet } = whole;
    const found = this.#expected.take(packet, port.id);
    const wrong = packet.end - packet.l3 > port.info.mtu ? [] : wrongChecksums(packet); // a superframe's may be anything
    if (found !== undefined) {
      const all = [...wrong, ...hopDifferences(packet, found)];
      return { ...judged(all, []), ...(found.answersDrop && { answersDrop: true }) };
    }
    const other = this.#judgeOther(whole, port);
    return wrong.length === 0 ? other : { ...other, judgement: "differs", differences: wrong };
  }

  #judgeOther(whole: Whole, port: OfflinePort): Judged {
    const { packet } = whole;
    if (packet.family === 0 && !packet.isArp) return notCompared("neither IP nor ARP");
    if (isGroup(packet) && !packet.isArp && !isNeighborDiscovery(packet)) return notCompared("to a group");
    if (packet.isArp) return this.#judgeArp(packet, port);
    if (isNeighborDiscovery(packet)) return this.#judgeArp(packet, port);
    if (isListenerOrRouter(packet) || isOfLink(packet)) return notCompared("of the link alone");
    if (this.#settle(packet, port) !== undefined) return AS_CAPTURED;
    const rewritten = this.#expected.withOtherEnds(packet, port.id);
    if (rewritten !== undefined) return judged(differences(packet, [rewritten.packet]), []);
    const notes = this.#presume(packet) ? ["begins before the capture"] : [];
    return this.#judgeByCause(whole, port, notes);
  }

  #judgeArp(packet: CapturedPacket, port: OfflinePort): Judged {
    const from = this.#addresses.podOf(sourceOf(packet));
    if (from === undefined || from === port)
      return notCompared("asked, or answered, on the other side's behalf");
    const outcome = this.#plane.putAsFrom(packet, from);
    const sent = this.#outputsOf(outcome).filter((each) => each.port === port.id);
    if (sent.length === 0) return notCompared("not sent here");
    return { ...judged(differences(packet, [sent[0].packet]), []), ...outcome };
  }

  #judgeByCause({ packet, pieces }: Whole, port: OfflinePort, notes: readonly string[]): Judged {
    const { node } = this.#plane;
    const { isKnown, packet: cause } = counterpartOf(node, packet);
    const from = this.#plane.portOf(cause);
    if (from === port && !isKnown) {
      const who =
        port.id === UPLINK_PORT ? "no connection of this node's has it" : "the pod's own address as source";
      return judged([`the plane does not send it: ${who}`], notes);
    }
    const causes = pieces.length === 1 ? [cause] : pieces.map((piece) => pieceOf(cause, piece));
    const outcomes = causes.map((each) => this.#plane.putAsFrom(each, from));
    const outcome = { ...outcomes[outcomes.length - 1], outputs: outcomes.flatMap(({ outputs }) => outputs) };
    const sent = this.#outputsOf(outcome);
    const here = sent.filter((each) => each.port === port.id).map((each) => each.packet);
    const { input } = outcome;
    const more = outcome.isOneSided ? [...notes, "the other direction is not in the capture"] : notes;
    if (input?.verdict === "drop")
      return { ...judged([`the plane drops it: ${whyDropped(packet, outcome)}`], more), ...outcome };
    if (here.length === 0) {
      const other = sent.find((each) => each.port !== from.id);
      const where = other === undefined ? "nothing" : `it to ${node.ports[other.port].info.name}`;
      return { ...judged([`the plane sends ${where}`], more), ...outcome };
    }
    const list = differences(packet, here);
    const isAnswer = packet.proto === TCP && (packet.flags & SYN_ACK) === SYN_ACK;
    if (list.length === 0 && !isKnown && isAnswer) list.push("no SYN came before it: nobody asked for it");
    return { ...judged(list, more), ...outcome };
  }

  /**
   * A packet from a service's address belongs to a connection. One that nobody opened in the capture is older: its client
   * is made to say something, so that the plane picks it up. Answers to a SYN do not come without it.
   */
  #presume(packet: CapturedPacket): boolean {
    const { node } = this.#plane;
    if (packet.proto !== TCP && packet.proto !== UDP) return false;
    if (connectionOf(node, packet.key) >= 0) return false;
    if ((packet.flags & tcp.FLAG_SYN) !== 0) return false;
    const isDirect = !this.#addresses.isService(packet, "source");
    if (isDirect) return packet.proto === TCP && (packet.flags & tcp.FLAG_RST) === 0;
    const key = new Int32Array(tuple.TUPLE_WORDS);
    tuple.invert(packet.key, key);
    const question = withTuple({ ...packet, end: packet.end }, key);
    if (packet.proto === TCP) {
      tcp.setFlags(question.view, packet.l4, tcp.FLAG_ACK);
      tcp.setSeq(question.view, packet.l4, packet.ack);
      tcp.setAck(question.view, packet.l4, packet.seq);
    }
    const whole = this.#plane.read(question.data.subarray(0, packet.payload), question.data.length);
    whole.data.set(question.data.subarray(packet.payload), packet.payload);
    completeChecksums(whole);
    const port = this.#plane.portOf(whole);
    this.sent(whole, port, this.#plane.putAsFrom(whole, port));
    return true;
  }

  #outputsOf({ outputs }: Outcome): Expected[] {
    return outputs.flatMap(({ port, data }) => {
      const wholes = wholesOf(this.#sent, this.#plane.read(data));
      return wholes.map(({ packet }) => ({ port, packet }));
    });
  }

  /** The choice that the capture shows is made here as well, if the packet is one that the plane could have sent. */
  #settle(packet: CapturedPacket, port: OfflinePort | undefined): Expected | undefined {
    for (let i = this.#choices.length - 1; i >= 0; i--) {
      const choice = this.#choices[i];
      if (choice.isSettled || !mayBe(packet, choice.outputs)) continue;
      const drawn = choice.outputs.find((each) => differsInEndsOnly(packet, each.packet));
      if (drawn === undefined) continue;
      const found = this.#draw(choice, packet);
      if (found === undefined || (port !== undefined && found.port !== port.id)) continue;
      choice.isSettled = true;
      return found;
    }
    return undefined;
  }

  /** Draws until the endpoint is the captured one; the port is then set. */
  #draw(choice: Choice, packet: CapturedPacket): Expected | undefined {
    const { affinity: remembered } = this.#plane.node.engine.tables;
    for (let draws = 0; draws < DRAWS_MAX; draws++) {
      const [sent] = choice.outputs;
      const isIt = sent !== undefined && isSameDestination(sent.packet, packet);
      if (isIt) return this.#setPort(choice, sent, packet);
      if (draws > 0 && choice.outputs.length === 0) return undefined;
      this.#forget(choice.packet);
      affinity.clear(remembered);
      choice.outputs = this.#outputsOf(this.#plane.put(choice.frame, choice.port));
    }
    return undefined;
  }

  #forget(packet: CapturedPacket): void {
    const ct = this.#plane.node.engine.tables.conntrack;
    const ref = conntrack.find(ct, packet.key);
    if (ref >= 0) conntrack.remove(ct, ref >> 1);
  }

  #setPort({ packet: first }: Choice, sent: Expected, packet: CapturedPacket): Expected | undefined {
    if (!sameIp(sourceOf(sent.packet), sourceOf(packet))) return undefined;
    if (sent.packet.key[PORTS] === packet.key[PORTS]) return sent;
    if (sameIp(sourceOf(first), sourceOf(packet))) return undefined; // not masqueraded: the port is the client's
    const ct = this.#plane.node.engine.tables.conntrack;
    const ref = conntrack.find(ct, first.key);
    const reply = new Int32Array(tuple.TUPLE_WORDS);
    tuple.invert(packet.key, reply);
    return ref >= 0 && rebind(ct, ref >> 1, reply) ? { port: sent.port, packet } : undefined;
  }
}

function wholesOf(
  [outer, inner]: readonly [WholeDatagrams, WholeDatagrams],
  packet: CapturedPacket,
): Whole[] {
  const whole = outer.add(packet);
  if (whole === undefined) return [];
  if (whole.packet.inner.length === 0) return [whole];
  return whole.packet.inner.flatMap((each) => inner.add(each) ?? []);
}

function judged(list: readonly string[], notes: readonly string[]): Judged {
  return { judgement: list.length === 0 ? "as captured" : "differs", differences: list, notes };
}

function notCompared(note: string): Judged {
  return { judgement: "not compared", differences: [], notes: [note] };
}

function whyDropped(packet: CapturedPacket, { input }: Outcome): string {
  const isUnasked = input?.dropReason === "CT_INVALID" && packet.proto === TCP;
  return `${input?.dropText} (${input?.dropReason})${isUnasked ? ", nobody asked for it" : ""}`;
}

/** Of the datagram that caused another one: the part that one of its fragments has. */
function pieceOf(cause: CapturedPacket, piece: CapturedPacket): CapturedPacket {
  const part = withTuple(piece, cause.key);
  const from = cause.l4 + (piece.fragment?.offset ?? 0);
  part.data.set(cause.data.subarray(from, Math.min(from + piece.end - piece.l4, cause.end)), piece.l4);
  return part;
}

function isListenerOrRouter(p: CapturedPacket): boolean {
  const type = tuple.icmpType(p.key);
  return p.proto === Protocol.ICMPV6 && ((type >= 130 && type <= 134) || type === 137 || type === 143);
}

/** Told by one comparison of most: of a TCP segment alone, by its number. */
function mayBe(packet: CapturedPacket, sent: readonly Expected[]): boolean {
  if (sent.length !== 1 || packet.proto !== TCP) return true;
  return sent[0].packet.proto === TCP && sent[0].packet.seq === packet.seq;
}

function isSameDestination(a: CapturedPacket, b: CapturedPacket): boolean {
  const isIcmp = a.proto === Protocol.ICMP || a.proto === Protocol.ICMPV6;
  return (
    sameIp(destinationOf(a), destinationOf(b)) &&
    (isIcmp || tuple.destinationPort(a.key) === tuple.destinationPort(b.key))
  );
}
