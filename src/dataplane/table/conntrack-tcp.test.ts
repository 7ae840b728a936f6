// The TCP state machine against what nf_conntrack shows for the same packets.
import t from "tap";
import { tcpFlags } from "../../testing/frame-builder.ts";
import * as conntrack from "./conntrack.ts";
import { Conntrack } from "./conntrack.ts";
import * as ctTcp from "./conntrack-tcp.ts";

const { Track, TCP_STATE_NAMES } = ctTcp;
const META = (4 << 8) | 6;
const A = 0x0a000001;
const B = 0x0a000002;

function key(src: number, dst: number, sport: number, dport: number): Int32Array {
  return Int32Array.from([0, 0, 0xffff, src, 0, 0, 0xffff, dst, (sport << 16) | dport, META]);
}

/** ">S" original direction SYN, "<SA" reply direction; `answer` collects what update said of the last packet. */
class Connection {
  readonly table = new Conntrack(4);
  readonly slot: number;
  now = 1000;
  answer = -1;

  constructor(first: string) {
    this.slot = conntrack.insert(this.table, key(A, B, 1, 2), key(B, A, 2, 1), this.now);
    const state = ctTcp.firstState(tcpFlags(first), true);
    if (state < 0) throw new Error(`${first} starts nothing`);
    this.table.state[this.slot] = state;
    this.table.expiresAtSec[this.slot] = this.now + conntrack.timeoutOf(this.table, state);
  }

  packets(...list: string[]): this {
    for (const packet of list) {
      const ref = (this.slot << 1) | (packet[0] === "<" ? 1 : 0);
      this.answer = ctTcp.update(this.table, ref, tcpFlags(packet.slice(1)), this.now);
      if (this.answer !== Track.REPEAT) conntrack.account(this.table, ref, 40);
    }
    return this;
  }

  get state(): string {
    return TCP_STATE_NAMES[this.table.state[this.slot]];
  }
  get leftSec(): number {
    return this.table.expiresAtSec[this.slot] - this.now;
  }
  get assured(): boolean {
    return (this.table.status[this.slot] & conntrack.Status.ASSURED) !== 0;
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
  { title: "data both ways", packets: [...HANDSHAKE, ">P.", "<P."], state: "ESTABLISHED", leftSec: 432_000 },
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
  { title: "a refused SYN", packets: ["<R."], state: "CLOSE", leftSec: 10 },
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
  t.equal(connection.packets("<P.", ">.").leftSec, 432_000);
});

t.test("a RST without any answer before it leaves ten seconds", async (t) => {
  t.equal(new Connection("S").packets(">R").leftSec, 10);
});

for (const before of [["<S.", ">.", ">F.", "<F.", ">."], ["<R."]]) {
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
  t.equal(connection.answer, Track.OK);
  t.equal(connection.state, "ESTABLISHED");
});

for (const packet of [">.", ">F.", "<F.", "<."]) {
  t.test(`${packet} right after the SYN does not open the connection`, async (t) => {
    t.equal(new Connection("S").packets(packet).state, "SYN_SENT");
  });
}

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
  for (const flags of ["S", "S.", "SEW", "R", "R.", "F.", "FP.", ".", "P.", "U.", "PU.", "SP", ".EW"]) {
    t.ok(ctTcp.flagsValid(tcpFlags(flags)), flags);
  }
});

t.test("only a SYN starts a connection, or loosely an ACK", async (t) => {
  const start = (flags: string, loose: boolean): string =>
    TCP_STATE_NAMES[ctTcp.firstState(tcpFlags(flags), loose)] ?? "none";
  t.equal(start("S", false), "SYN_SENT");
  t.equal(start(".", true), "ESTABLISHED");
  t.equal(start(".", false), "none");
  for (const flags of ["S.", "F.", "R", "R."]) t.equal(start(flags, true), "none", flags);
});

t.test("every packet in every state leads to a state that has a name and a time-out", async (t) => {
  for (let state = 0; state < TCP_STATE_NAMES.length; state++) {
    for (const packet of [">S", ">S.", ">F.", ">.", ">R", "<S", "<S.", "<F.", "<.", "<R"]) {
      const connection = new Connection("S");
      connection.table.state[connection.slot] = state;
      connection.packets(packet);
      if (connection.answer === Track.REPEAT) continue;
      t.ok(TCP_STATE_NAMES[connection.table.state[connection.slot]] !== undefined);
      t.ok(connection.leftSec > 0);
    }
  }
});
