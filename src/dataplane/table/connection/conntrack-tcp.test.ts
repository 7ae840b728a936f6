// The TCP state machine against what nf_conntrack shows for the same packets.
import t from "tap";
import { tcpFlags } from "../../../testing/frames/frame-builder.ts";
import * as conntrack from "./conntrack.ts";
import { Conntrack } from "./conntrack.ts";
import * as ctTcp from "./conntrack-tcp.ts";
import { advance, Segment, TcpOption } from "./conntrack-tcp-window.ts";
import { TCP_STATE_NAMES, Track } from "./ct-states.ts";

const META = (4 << 8) | 6;
const A = 0x0a000001;
const B = 0x0a000002;

function key(src: number, dst: number, sport: number, dport: number): Int32Array {
  return Int32Array.from([0, 0, 0xffff, src, 0, 0, 0xffff, dst, (sport << 16) | dport, META]);
}

/** Bytes of a packet marked P. */
const DATA = 100;

/**
 * A connection whose two ends count as real ones do. ">S" original direction SYN, "<SA" reply direction; after the
 * flags "seq+5", "ack-70000", "win=0", "sack+9", "wscale=7", "len=60000" say what is different. `answer` is what
 * update said of the last packet.
 */
class Connection {
  readonly table = new Conntrack(4);
  readonly slot: number;
  /** What each side sends next. */
  readonly next = [1000, 5_000_000];
  now = 1000;
  answer = -1;

  constructor(first: string, options = TcpOption.LOOSE as number) {
    this.table.header[conntrack.H_TCP_OPTIONS] = options;
    const segment = this.segment(`>${first}`);
    if (ctTcp.firstState(this.table, segment.flags) < 0) throw new Error(`${first} starts nothing`);
    this.slot = conntrack.insert(this.table, key(A, B, 1, 2), key(B, A, 2, 1), this.now);
    ctTcp.open(this.table, this.slot, segment, this.now);
    conntrack.account(this.table, this.slot << 1, 40);
  }

  /** The next segment of that side, which thereby has been sent. */
  segment(packet: string): Segment {
    const [head, ...rest] = packet.split(" ");
    const dir = head[0] === "<" ? 1 : 0;
    const value = (name: string, otherwise: number): number => {
      const found = rest
        .find((word) => word.startsWith(name))
        ?.slice(name.length)
        .replace("=", "");
      return found === undefined ? otherwise : Number(found);
    };
    const segment = new Segment();
    segment.flags = tcpFlags(head.slice(1));
    const { flags } = segment;
    const length = value("len", (flags & 0x08) !== 0 ? DATA : 0) + ((flags >> 1) & 1) + (flags & 1);
    segment.seq = (this.next[dir] + value("seq", 0)) | 0;
    segment.end = (segment.seq + length) | 0;
    segment.ack = (flags & 0x10) === 0 ? 0 : (this.next[dir ^ 1] + value("ack", 0)) | 0;
    segment.sack = (segment.ack + value("sack", 0)) | 0;
    segment.win = value("win", 64_000);
    segment.wscale = value("wscale", -1);
    segment.options = segment.wscale >= 0 ? 4 : 0;
    if (!rest.some((word) => word.startsWith("seq"))) this.next[dir] = segment.end;
    return segment;
  }

  packets(...list: string[]): this {
    for (const packet of list) {
      const ref = (this.slot << 1) | (packet[0] === "<" ? 1 : 0);
      const s = this.segment(packet);
      // As the stage does: the fast way first.
      const isAck = (s.flags & 0x17) === 0x10 && s.sack === s.ack;
      const fast = isAck && advance(this.table, ref, s.seq, s.ack, s.win, s.end, this.now);
      this.answer = fast ? Track.OK : ctTcp.update(this.table, ref, s, this.now);
      if (this.answer === Track.OK) conntrack.account(this.table, ref, 40);
      if (this.answer === Track.PASS && (ref & 1) === 1)
        this.table.status[this.slot << 4] |= conntrack.Status.SEEN_REPLY;
    }
    return this;
  }

  get state(): string {
    return TCP_STATE_NAMES[this.table.state[this.slot << 5]];
  }
  get leftSec(): number {
    return this.table.expiresAtSec[this.slot << 4] - this.now;
  }
  get assured(): boolean {
    return (this.table.status[this.slot << 4] & conntrack.Status.ASSURED) !== 0;
  }
}

const HANDSHAKE = ["<S.", ">."] as const;

// Packets after the first SYN, and what conntrack -L shows then.
const stories: { packets: string[]; state: string; leftSec: number; title: string }[] = [
  { title: "a SYN", packets: [], state: "SYN_SENT", leftSec: 120 },
  { title: "a SYN sent again", packets: [">S"], state: "SYN_SENT", leftSec: 120 },
  { title: "SYN and SYN+ACK", packets: ["<S."], state: "SYN_RECV", leftSec: 60 },
  { title: "simultaneous open", packets: ["<S"], state: "SYN_SENT2", leftSec: 120 },
  { title: "simultaneous open, answered", packets: ["<S", ">S."], state: "SYN_RECV", leftSec: 60 },
  { title: "the handshake", packets: [...HANDSHAKE], state: "ESTABLISHED", leftSec: 432_000 },
  { title: "data", packets: [...HANDSHAKE, ">P."], state: "ESTABLISHED", leftSec: 300 },
  {
    title: "data that was acknowledged",
    packets: [...HANDSHAKE, ">P.", "<."],
    state: "ESTABLISHED",
    leftSec: 432_000,
  },
  { title: "FIN of the client", packets: [...HANDSHAKE, ">F."], state: "FIN_WAIT", leftSec: 120 },
  { title: "FIN of the server", packets: [...HANDSHAKE, "<F."], state: "FIN_WAIT", leftSec: 120 },
  { title: "FIN acknowledged", packets: [...HANDSHAKE, ">F.", "<."], state: "CLOSE_WAIT", leftSec: 60 },
  { title: "FIN both ways", packets: [...HANDSHAKE, ">F.", "<F."], state: "LAST_ACK", leftSec: 30 },
  {
    title: "the whole farewell",
    packets: [...HANDSHAKE, ">F.", "<F.", ">."],
    state: "TIME_WAIT",
    leftSec: 120,
  },
  { title: "RST of the client", packets: [...HANDSHAKE, ">R"], state: "CLOSE", leftSec: 10 },
  { title: "RST of the server", packets: [...HANDSHAKE, "<R."], state: "CLOSE", leftSec: 10 },
  { title: "a refused SYN", packets: ["<R."], state: "CLOSE", leftSec: 0 },
];

for (const { title, packets, state, leftSec } of stories) {
  t.test(`after ${title} the connection is ${state} for ${leftSec} s`, async (t) => {
    const connection = new Connection("S").packets(...packets);
    t.equal(connection.state, state);
    t.equal(connection.leftSec, leftSec);
  });
}

t.test("a connection is assured once its handshake is over, and not before", async (t) => {
  t.notOk(new Connection("S").packets("<S.").assured);
  t.ok(new Connection("S").packets("<S.", ">.", ">P.").assured);
});

t.test("a connection picked up in the middle lives five minutes until its peer speaks", async (t) => {
  const connection = new Connection(".").packets(">P.");
  t.equal(connection.state, "ESTABLISHED");
  t.equal(connection.leftSec, 300);
  t.equal(connection.packets("<.", ">.", "<.").leftSec, 432_000);
});

t.test("a RST without any answer before it ends the connection at once", async (t) => {
  t.equal(new Connection("S").packets(">R").leftSec, 0);
});

for (const before of [["<S.", ">.", ">F.", "<F.", ">."], ["<S.", ">.", ">R"], ["<R."]]) {
  t.test(`a SYN after ${before.join(" ")} begins a new connection`, async (t) => {
    const connection = new Connection("S").packets(...before, ">S");
    t.equal(connection.answer, Track.REPEAT);
    t.equal(conntrack.used(connection.table), 0);
  });
}

t.test("a SYN of the other side after the farewell begins a new connection, too", async (t) => {
  const connection = new Connection("S").packets("<S.", ">.", ">F.", "<F.", ">.", "<S");
  t.equal(connection.answer, Track.REPEAT);
});

t.test("a SYN within an established connection passes and changes nothing", async (t) => {
  const connection = new Connection("S").packets(...HANDSHAKE, ">P.", ">S");
  t.equal(connection.answer, Track.PASS);
  t.equal(connection.state, "ESTABLISHED");
});

for (const packet of [">.", ">F.", "<F.", "<."]) {
  t.test(`${packet} right after the SYN does not open the connection`, async (t) => {
    t.equal(new Connection("S").packets(packet).state, "SYN_SENT");
  });
}

// After the handshake: what a segment is called, and what becomes of it.
const verdicts: { packet: string; answer: number; title: string; before?: string[] }[] = [
  { title: "data within the window", packet: ">P. len=60000", answer: Track.OK },
  { title: "data above the window", packet: ">P. seq+200000", answer: Track.INVALID },
  { title: "a little more than the window", packet: ">P. seq+64001 len=10", answer: Track.PASS },
  { title: "data of long ago", packet: ">P. seq-70000 len=10", answer: Track.PASS },
  { title: "an acknowledgement of what was not sent", packet: ">. ack+1", answer: Track.INVALID },
  { title: "an acknowledgement of long ago", packet: ">. ack-70000", answer: Track.PASS },
  { title: "SACK of what was not sent", packet: ">. ack-100 sack+200", answer: Track.OK },
  { title: "a reset in front of what was acknowledged", packet: ">R seq-1", answer: Track.INVALID },
  { title: "a reset where it must be", packet: ">R", answer: Track.OK },
  { title: "a keep-alive", packet: ">. seq-1", answer: Track.OK },
];

for (const { title, packet, answer, before = [] } of verdicts) {
  t.test(`${title} (${packet}) is ${Object.keys(Track)[answer]}`, async (t) => {
    const connection = new Connection("S").packets(...HANDSHAKE, ">P.", "<.", ...before, packet);
    t.equal(connection.answer, answer);
  });
}

t.test("liberally every segment passes, but a wrong reset", async (t) => {
  const liberal = (packet: string): number =>
    new Connection("S", TcpOption.LOOSE | TcpOption.BE_LIBERAL).packets(...HANDSHAKE, ">P.", "<.", packet)
      .answer;
  t.equal(liberal(">P. seq+200000"), Track.OK);
  t.equal(liberal(">. ack+1"), Track.OK);
  t.equal(liberal(">R seq-1"), Track.INVALID);
});

t.test("a window is as large as both sides' scales make it", async (t) => {
  const scaled = new Connection("S wscale=7").packets("<S. wscale=7", ">.", "<. win=2000");
  t.equal(
    scaled.packets(">P. len=50000", ">P. len=50000", ">P. len=50000").answer,
    Track.OK,
    "256,000 bytes",
  );
  t.equal(scaled.packets(">P. seq+600000").answer, Track.INVALID);
  const plain = new Connection("S wscale=7").packets("<S.", ">.", "<. win=2000");
  t.equal(plain.packets(">P. len=50000", ">P. len=50000").answer, Track.OK);
  t.equal(plain.packets(">P. seq+200000 len=10").answer, Track.INVALID, "the first window of 64,000 was all");
});

t.test("the same segment three times over leaves five minutes", async (t) => {
  const connection = new Connection("S").packets(...HANDSHAKE, ">P.", "<.");
  t.equal(connection.packets(">.", ">.", ">.").leftSec, 432_000);
  t.equal(connection.packets(">.").leftSec, 300);
  t.equal(connection.packets("<P.", ">.").leftSec, 432_000);
});

t.test("a reset that does not fit exactly leaves the state and ten seconds", async (t) => {
  const connection = new Connection("S").packets(...HANDSHAKE, ">P.", "<.", ">R seq+5");
  t.equal(connection.state, "ESTABLISHED");
  t.equal(connection.leftSec, 10);
});

t.test("a SYN+ACK that answers a SYN let through unbelieved makes the connection new", async (t) => {
  const connection = new Connection("S").packets(...HANDSHAKE, ">P.", "<.", ">S seq+9000000");
  t.equal(connection.state, "ESTABLISHED");
  connection.next[0] += 9_000_001;
  t.equal(connection.packets("<S.").state, "SYN_RECV");
  t.equal(connection.packets(">.").state, "ESTABLISHED");
});

t.test("a packet of an expired connection is told to begin anew", async (t) => {
  const connection = new Connection("S");
  connection.now += 120;
  t.equal(connection.packets("<S.").answer, Track.REPEAT);
  t.equal(conntrack.used(connection.table), 0);
});

t.test("flag sets that no honest stack sends are invalid", async (t) => {
  for (const flags of ["", "SF", "SR", "F", "P", "SFRP.U", "U", "FPU"]) {
    t.notOk(ctTcp.flagsValid(tcpFlags(flags)), flags);
  }
  for (const flags of ["S", "S.", "SEW", "R", "R.", "F.", "FP.", ".", "P.", "U.", "PU.", "SP", "SU", ".EW"]) {
    t.ok(ctTcp.flagsValid(tcpFlags(flags)), flags);
  }
});

t.test("only a SYN starts a connection, or loosely an ACK", async (t) => {
  const [lax, strict] = [new Conntrack(4), new Conntrack(4)];
  strict.header[conntrack.H_TCP_OPTIONS] = 0;
  const start = (flags: string, loose: boolean): string =>
    TCP_STATE_NAMES[ctTcp.firstState(loose ? lax : strict, tcpFlags(flags))] ?? "none";
  t.equal(start("S", false), "SYN_SENT");
  t.equal(start(".", true), "ESTABLISHED");
  t.equal(start(".", false), "none");
  for (const flags of ["S.", "F.", "R", "R."]) t.equal(start(flags, true), "none", flags);
});

t.test("every packet in every state leads to a state that has a name and a time-out", async (t) => {
  for (let state = 0; state < TCP_STATE_NAMES.length; state++) {
    for (const packet of [">S", ">S.", ">F.", ">.", ">R", "<S", "<S.", "<F.", "<.", "<R"]) {
      const connection = new Connection("S");
      connection.table.state[connection.slot << 5] = state;
      connection.packets(packet);
      if (connection.answer === Track.REPEAT) continue;
      t.ok(TCP_STATE_NAMES[connection.table.state[connection.slot << 5]] !== undefined);
      t.ok(connection.leftSec >= 0);
    }
  }
});
