// Another server to be asked, and a client: on loopback, with messages of dns-packet.
import { createSocket, type Socket } from "node:dgram";
import { connect, createServer, type Server } from "node:net";
import { type Answer, decode, encode, type Question, TRUNCATED_RESPONSE } from "dns-packet";
import { FrameReader, framed } from "../../dns/tcp-frames.ts";

/** What it says to a question; undefined: nothing. */
export type Says = (
  question: Question,
  protocol: "udp" | "tcp",
) =>
  | { rcode?: number; answers?: Answer[]; authorities?: Answer[]; truncated?: boolean; id?: number }
  | undefined;

export class DnsPeer {
  readonly asked: string[] = [];
  readonly ports = new Set<number>();
  says: Says = () => ({});
  port = 0;
  readonly #udp: Socket = createSocket("udp4");
  readonly #tcp: Server;

  constructor() {
    this.#udp.on("message", (bytes, from) => {
      this.ports.add(from.port);
      const answer = this.#answer(bytes, "udp");
      if (answer !== undefined) this.#udp.send(answer, from.port, from.address);
    });
    this.#tcp = createServer((socket) => {
      const frames = new FrameReader();
      socket.on("error", () => {});
      socket.on("data", (chunk: Buffer) => {
        for (const bytes of frames.take(chunk)) {
          const answer = this.#answer(bytes, "tcp");
          if (answer !== undefined) socket.write(framed(answer));
        }
      });
    });
  }

  static async start(tries = 10): Promise<DnsPeer> {
    const peer = new DnsPeer();
    await new Promise<void>((resolve) => peer.#udp.bind(0, "127.0.0.1", resolve));
    peer.port = peer.#udp.address().port;
    const listens = await new Promise<boolean>((resolve) => {
      peer.#tcp.once("error", () => resolve(false)); // a port that is free for UDP may be somebody's for TCP
      peer.#tcp.listen(peer.port, "127.0.0.1", () => resolve(true));
    });
    if (listens || tries === 0) return peer;
    await new Promise<void>((resolve) => peer.#udp.close(resolve));
    return DnsPeer.start(tries - 1);
  }

  get server(): { address: string; port: number } {
    return { address: "127.0.0.1", port: this.port };
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#udp.close(resolve));
    await new Promise((resolve) => this.#tcp.close(resolve));
  }

  #answer(bytes: Buffer, protocol: "udp" | "tcp"): Buffer | undefined {
    const { id = 0, questions = [] } = decode(bytes);
    if (!questions[0].name.endsWith("podwire-loop.test"))
      this.asked.push(`${protocol} ${questions[0].type} ${questions[0].name}`);
    const said = this.says(questions[0], protocol);
    if (said === undefined) return undefined;
    const { rcode = 0, truncated = false, answers = [], authorities = [] } = said;
    const flags = rcode | (truncated ? TRUNCATED_RESPONSE : 0);
    return encode({ type: "response", id: said.id ?? id, flags, questions, answers, authorities });
  }
}

/** One query by UDP. Rejects when nothing comes in time. */
export function askUdp(port: number, bytes: Buffer, timeoutMs = 5000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4");
    const timer = setTimeout(() => socket.close(() => reject(new Error("no answer"))), timeoutMs);
    socket.once("message", (answer) => {
      clearTimeout(timer);
      socket.close(() => resolve(answer));
    });
    socket.send(bytes, port, "127.0.0.1");
  });
}

/** All on one connection, without waiting; answers as they come. Ends early when the server closes. */
export function askTcp(
  port: number,
  queries: readonly Buffer[],
  cut = Number.POSITIVE_INFINITY,
): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const frames = new FrameReader();
    const answers: Buffer[] = [];
    socket.on("error", reject);
    socket.on("close", () => resolve(answers));
    socket.on("data", (chunk: Buffer) => {
      answers.push(...frames.take(chunk));
      if (answers.length >= queries.length) socket.destroy();
    });
    const bytes = Buffer.concat(queries.map(framed));
    for (let at = 0; at < bytes.length; at += cut)
      socket.write(bytes.subarray(at, Math.min(bytes.length, at + cut)));
  });
}
