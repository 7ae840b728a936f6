// A random TCP conversation: an opening, things that happen on the way, perhaps a farewell, perhaps the same ports
// once more. Two hosts count as real ones do, and now and then one of them says something that does not belong.
import type { Prng } from "../prng.ts";

/** One packet of a conversation of any protocol. */
export interface Step {
  readonly from: "client" | "server";
  /** TCP: tcpdump's letters. */
  readonly flags?: string;
  readonly seq?: number;
  readonly ack?: number;
  readonly window?: number;
  readonly mss?: number;
  readonly wscale?: number;
  readonly sackPermitted?: boolean;
  readonly sack?: readonly (readonly [number, number])[];
  readonly timestamps?: readonly [number, number];
  readonly payload?: number;
  /** ICMP */
  readonly type?: number;
  /** More than the client's own port, or ICMP id. */
  readonly strayPort?: number;
  readonly note: string;
  /** Checksum of the transport: damaged on the way, or, of UDP over IPv4, left out. */
  readonly sum?: "wrong" | "none";
}

type Side = "client" | "server";
type Segment = Omit<Step, "from" | "note">;

const MSS = 1400;
const FAR = [1, 1400, 30_000, 70_000, 200_000, 1_000_000, 0x4000_0000, 0x7fff_0000];
const ODD_FLAGS = ["", "SF.", "FPU", "SR", "F", "FU.", "SU", "R.U", "FSRPU.", "P.EW", "U."];

interface Host {
  /** What it sends next, and what the other one last acknowledged of it. */
  next: number;
  acked: number;
  window: number;
}

export class TcpTalk {
  readonly #random: Prng;
  readonly #steps: Step[] = [];
  #hosts: Record<Side, Host>;

  constructor(random: Prng) {
    this.#random = random;
    this.#hosts = this.#newHosts();
  }

  steps(): Step[] {
    const lives = this.#random.below(4) === 0 ? 2 : 1;
    for (let life = 0; life < lives; life++) {
      if (life > 0) this.#reuse();
      this.#open();
      const turns = this.#random.below(9);
      for (let i = 0; i < turns; i++) this.#turn();
      if (this.#random.below(2) === 0) this.#farewell();
      const after = this.#random.below(3);
      for (let i = 0; i < after; i++) this.#turn();
    }
    return this.#steps;
  }

  #newHosts(): Record<Side, Host> {
    const host = (): Host => {
      const next = this.#random.next();
      return { next, acked: next, window: this.#random.pick([64_240, 65_535, 29_200, 512, 8192]) };
    };
    return { client: host(), server: host() };
  }

  #chance(n: number): boolean {
    return this.#random.below(n) === 0;
  }

  #anybody(): Side {
    return this.#random.pick(["client", "server"]);
  }

  /** Sends a segment of this side's, from where it stands; the letters S and F and the payload move it on. */
  #say(from: Side, flags: string, note: string, more: Segment = {}): void {
    const self = this.#hosts[from];
    const other = this.#hosts[opposite(from)];
    const seq = more.seq ?? self.next;
    const ack = more.ack ?? (flags.includes(".") ? other.next : 0);
    this.#steps.push({ from, flags, window: self.window, ...more, seq: seq >>> 0, ack: ack >>> 0, note });
    if (more.seq !== undefined) return;
    self.next += (more.payload ?? 0) + (flags.includes("S") ? 1 : 0) + (flags.includes("F") ? 1 : 0);
    if (flags.includes(".") && more.ack === undefined) other.acked = other.next;
  }

  #synOptions(): Segment {
    return {
      ...(!this.#chance(4) && { mss: MSS }),
      ...(this.#chance(2) && { wscale: this.#random.pick([0, 2, 7, 7, 14, 15]) }),
      ...(this.#chance(2) && { sackPermitted: true }),
    };
  }

  #open(): void {
    const kind = this.#random.below(20);
    if (kind < 11) {
      this.#handshake();
      return;
    }
    const openings = [
      () => this.#crossing(),
      () => this.#refused(),
      () => this.#challenged(),
      () => this.#say("client", ".", "in the middle"),
      () => this.#say("client", "P.", "data in the middle", { payload: 100 }),
      () => this.#say(this.#anybody(), this.#random.pick(["F.", "R", "R.", "S.", ""]), "out of the blue"),
      () => this.#say("server", ".", "the server, in the middle"),
      () => this.#say("client", "S", "SYN only", this.#synOptions()),
      () => this.#lateAnswer(),
    ];
    openings[kind - 11]();
  }

  #handshake(): void {
    const options = this.#synOptions();
    const { next } = this.#hosts.client;
    this.#say("client", "S", "SYN", options);
    if (this.#chance(6)) this.#say("client", "S", "SYN again", { ...options, seq: next });
    if (this.#chance(12)) this.#newSyn(options);
    if (this.#chance(15)) this.#turn();
    const server = this.#hosts.server.next;
    const answer = this.#synOptions();
    if (this.#chance(15))
      this.#say("server", "S.", "SYN+ACK of something else", { seq: server, ack: next + 77 });
    this.#say("server", "S.", "SYN+ACK", answer);
    if (this.#chance(8)) this.#say("server", "S.", "SYN+ACK again", { ...answer, seq: server });
    if (this.#chance(10)) return;
    if (this.#chance(15)) this.#turn();
    this.#say(
      "client",
      this.#chance(8) ? "P." : ".",
      "handshake over",
      this.#chance(8) ? { payload: 50 } : {},
    );
  }

  /** The client gave up and begins again, with a number before or behind the old one. */
  #newSyn(options: Segment): void {
    const { client } = this.#hosts;
    client.next += this.#random.pick([5000, -5000, 1_000_000, -1_000_000, 0x4000_0000]);
    this.#say("client", "S", "another SYN", options);
  }

  #crossing(): void {
    this.#say("client", "S", "SYN", this.#synOptions());
    const { client, server } = this.#hosts;
    this.#say("server", "S", "crossing SYN", this.#synOptions());
    this.#say("client", "S.", "SYN+ACK of the client", { seq: client.next - 1, ...this.#synOptions() });
    if (this.#chance(2)) this.#say("server", "S.", "SYN+ACK of the server", { seq: server.next - 1 });
    this.#say("server", ".", "ACK");
    this.#say("client", ".", "ACK");
  }

  #refused(): void {
    this.#say("client", "S", "SYN");
    this.#say("server", "R.", "refused", { seq: this.#chance(3) ? this.#hosts.server.next : 0 });
    if (this.#chance(2)) this.#say("client", "S", "SYN again");
  }

  /** The server holds a connection of which nobody else knows. */
  #challenged(): void {
    const { client, server } = this.#hosts;
    this.#say("client", "S", "SYN");
    const ack = this.#random.next();
    this.#say("server", ".", "challenge ACK", { seq: server.next, ack });
    if (this.#chance(4)) return;
    this.#say("client", "R", "reset to the challenge", { seq: this.#chance(5) ? ack + 1 : ack });
    if (this.#chance(2)) this.#say("client", "S", "SYN again", { seq: client.next - 1 });
  }

  #lateAnswer(): void {
    this.#handshake();
    this.#say("server", "S.", "an old SYN+ACK", { seq: this.#hosts.server.next - 1 });
  }

  #reuse(): void {
    if (this.#chance(4)) this.#hosts = this.#newHosts();
    else {
      this.#hosts.client.next += this.#random.pick([100_000, -100_000, 1]);
      this.#hosts.server.next += 500_000;
    }
  }

  #farewell(): void {
    const first = this.#anybody();
    const second = opposite(first);
    if (this.#chance(4)) {
      this.#say(first, this.#random.pick(["R", "R."]), "reset");
      return;
    }
    this.#say(first, "F.", "FIN");
    if (this.#chance(6)) this.#say(first, "F.", "FIN again", { seq: this.#hosts[first].next - 1 });
    if (this.#chance(2)) this.#say(second, ".", "FIN acknowledged");
    if (this.#chance(3)) this.#say(second, "P.", "half-closed", { payload: this.#random.below(MSS) });
    if (this.#chance(6)) return;
    this.#say(second, "F.", "FIN back");
    if (this.#chance(8)) this.#strangeSyn("client");
    if (!this.#chance(6)) this.#say(first, ".", "last ACK");
  }

  #turn(): void {
    const from = this.#anybody();
    const turns: (() => void)[] = [
      () => this.#data(from),
      () => this.#data(from),
      () => this.#say(from, ".", "ACK"),
      () => this.#say(from, ".", "ACK of a part", this.#partial(from)),
      () => this.#again(from),
      () => this.#repeated(from),
      () => this.#keepAlive(from),
      () => this.#window(from),
      () => this.#selective(from),
      () => this.#outOfWindow(from),
      () => this.#wrongAck(from),
      () => this.#reset(from),
      () => this.#strangeSyn(from),
      () => this.#strangeFin(from),
      () => this.#say(from, this.#random.pick(ODD_FLAGS), "odd flags"),
      () => this.#stamped(from),
    ];
    this.#random.pick(turns)();
  }

  #data(from: Side): void {
    const count = 1 + this.#random.below(3);
    for (let i = 0; i < count; i++) {
      this.#say(from, this.#random.pick(["P.", "."]), "data", { payload: 1 + this.#random.below(MSS) });
    }
    if (this.#chance(2)) this.#say(opposite(from), ".", "ACK of it");
  }

  #partial(from: Side): Segment {
    const other = this.#hosts[opposite(from)];
    return { ack: other.next - this.#random.below(3000) };
  }

  #again(from: Side): void {
    const back = this.#random.pick([1, 100, 1400, 5000, 66_000, 140_000]);
    this.#say(from, "P.", "sent again", {
      seq: this.#hosts[from].next - back,
      payload: Math.min(back, this.#random.below(MSS)),
    });
  }

  #repeated(from: Side): void {
    const count = 2 + this.#random.below(4);
    const payload = this.#chance(2) ? 0 : 200;
    const { next } = this.#hosts[from];
    for (let i = 0; i < count; i++) this.#say(from, ".", "the same again", { seq: next, payload });
    this.#hosts[from].next += payload;
  }

  #keepAlive(from: Side): void {
    this.#say(from, ".", "keep-alive", { seq: this.#hosts[from].next - 1, payload: this.#random.below(2) });
    if (this.#chance(2)) this.#say(opposite(from), ".", "answer to the keep-alive");
  }

  #window(from: Side): void {
    this.#say(from, ".", "window closes", { window: 0 });
    if (this.#chance(2))
      this.#say(opposite(from), ".", "probe", { seq: this.#hosts[opposite(from)].next, payload: 1 });
    if (this.#chance(2)) this.#say(from, ".", "window opens");
  }

  #selective(from: Side): void {
    const other = this.#hosts[opposite(from)];
    const ack = other.next - 3000;
    const right = other.next - this.#random.pick([0, 1000, -500]);
    const blocks: [number, number][] = [[(right - 500) >>> 0, right >>> 0]];
    if (this.#chance(3)) blocks.push([(ack + 100) >>> 0, (ack + 300) >>> 0]);
    this.#say(from, ".", "SACK", { ack, sack: blocks, ...(this.#chance(3) && { timestamps: [1, 2] }) });
  }

  #outOfWindow(from: Side): void {
    const by = this.#random.pick(FAR) * (this.#chance(2) ? 1 : -1);
    this.#say(from, "P.", "far away", { seq: this.#hosts[from].next + by, payload: this.#random.below(MSS) });
  }

  #wrongAck(from: Side): void {
    const by = this.#random.pick(FAR) * (this.#chance(2) ? 1 : -1);
    this.#say(from, ".", "ACK far away", { ack: this.#hosts[opposite(from)].next + by });
  }

  #reset(from: Side): void {
    const self = this.#hosts[from];
    const seq = this.#random.pick([
      self.next,
      self.next,
      self.next - 1,
      self.next + 1,
      self.next + 1000,
      0,
      self.acked,
    ]);
    this.#say(from, this.#random.pick(["R", "R.", "R."]), "reset", {
      seq,
      ...(this.#chance(4) && { ack: 0 }),
    });
    if (this.#chance(3)) this.#say(opposite(from), ".", "challenge ACK");
    if (this.#chance(4)) this.#say(from, "R", "reset to the challenge", { seq: self.acked });
  }

  /** A SYN within a connection, and perhaps the answers to it. */
  #strangeSyn(from: Side): void {
    const seq = this.#random.pick([
      this.#hosts[from].next,
      this.#random.next(),
      this.#hosts[from].next - 5000,
    ]);
    const other = opposite(from);
    this.#say(from, "S", "a SYN within", { seq, ...this.#synOptions() });
    const kind = this.#random.below(5);
    if (kind === 0) {
      this.#hosts[from].next = seq + 1;
      this.#hosts[other].next = this.#random.next();
      this.#say(other, "S.", "SYN+ACK to it", this.#synOptions());
      this.#say(from, ".", "ACK to that");
    } else if (kind === 1) this.#say(other, ".", "challenge ACK");
    else if (kind === 2) this.#say(other, "R.", "reset to it", { seq: 0, ack: seq + 1 });
  }

  #strangeFin(from: Side): void {
    const by = this.#random.pick([0, -1, -1000, 1000, 100_000, 0x3000_0000]);
    this.#say(from, "F.", "a FIN somewhere", { seq: this.#hosts[from].next + by });
    if (this.#chance(3))
      this.#say(opposite(from), this.#random.pick(["F.", "R"]), "answer to it", { seq: 1234 });
  }

  #stamped(from: Side): void {
    this.#say(from, "P.", "data with timestamps", {
      timestamps: [this.#random.below(9999), 7],
      payload: 300,
    });
  }
}

function opposite(side: Side): Side {
  return side === "client" ? "server" : "client";
}
