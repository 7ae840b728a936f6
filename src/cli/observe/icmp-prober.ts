// ICMP echo over npm raw-socket: one socket, requests by sequence number, answers and errors as plain
// objects. raw-socket is an optional package (it needs a C++ compiler to install), so it is loaded when it is
// needed.
import type * as RawSocket from "raw-socket";
import { CliError, Exit } from "../errors.ts";

export interface EchoAnswer {
  kind: "reply" | "error" | "timeout" | "too-big";
  sequence: number;
  /** Who answered; not set for a timeout or a packet that this host's own stack refused. */
  from?: string;
  /** ICMP bytes of a reply: header and data. */
  bytes?: number;
  ttl?: number;
  rttMs?: number;
  /** ping(8)'s words for an ICMP error. */
  text?: string;
  /** Next-hop MTU of "fragmentation needed" or "packet too big". */
  mtu?: number;
}

interface Pending {
  sentAt: bigint;
  timer: NodeJS.Timeout;
  resolve(answer: EchoAnswer): void;
}

const ICMP_HEADER_BYTES = 8;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const MAX_MESSAGE_BYTES = 65_535;
const IPPROTO_IP = 0;
const IPPROTO_IPV6 = 41;
const IP_TTL = 2;
const IP_MTU_DISCOVER = 10;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MTU_DISCOVER = 23;
const PMTUDISC_DONT = 0; //   the kernel may fragment
const PMTUDISC_PROBE = 3; //  DF set, the kernel's cached path MTU ignored
const V4 = { request: 8, reply: 0, unreachable: 3, exceeded: 11 };
const V6 = { request: 128, reply: 129, unreachable: 1, tooBig: 2, exceeded: 3 };

export interface ProberOptions {
  address: string;
  dontFragment?: boolean;
  ttl?: number;
}

export class IcmpProber {
  readonly #socket: RawSocket.Socket;
  readonly #isV6: boolean;
  readonly #address: string;
  readonly #id = 1 + Math.floor(Math.random() * 0xfffe);
  readonly #pending = new Map<number, Pending>();
  /** Answers that nobody waits for any more: duplicates and latecomers. */
  onStray: (answer: EchoAnswer) => void = () => {};

  private constructor(socket: RawSocket.Socket, options: ProberOptions) {
    this.#socket = socket;
    this.#address = options.address;
    this.#isV6 = options.address.includes(":");
    const [level, discover, hops] = this.#isV6
      ? [IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_UNICAST_HOPS]
      : [IPPROTO_IP, IP_MTU_DISCOVER, IP_TTL];
    socket.setOption(level, discover, options.dontFragment ? PMTUDISC_PROBE : PMTUDISC_DONT);
    if (options.ttl !== undefined) socket.setOption(level, hops, options.ttl);
    socket.on("message", (message: Buffer, source: string) => this.#receive(message, source));
    socket.on("error", () => {}); // an ICMP error on the socket: the message itself tells more
  }

  static async open(options: ProberOptions): Promise<IcmpProber> {
    const raw = await loadRawSocket();
    const isV6 = options.address.includes(":");
    try {
      const socket = raw.createSocket({
        protocol: isV6 ? raw.Protocol.ICMPv6 : raw.Protocol.ICMP,
        addressFamily: isV6 ? raw.AddressFamily.IPv6 : raw.AddressFamily.IPv4,
        bufferSize: MAX_MESSAGE_BYTES,
      });
      return new IcmpProber(socket, options);
    } catch (error) {
      const { message } = error as Error;
      const isDenied = /not permitted|denied/i.test(message);
      throw new CliError(
        `ping: ${isDenied ? "a raw socket needs root (CAP_NET_RAW): run as root" : message}`,
        Exit.FAILED,
        "PING_SOCKET",
        error,
      );
    }
  }

  /** Sends one echo request with `dataBytes` of data and waits for what becomes of it. */
  probe(sequence: number, dataBytes: number, timeoutMs: number): Promise<EchoAnswer> {
    return new Promise((resolve) => {
      const finish = (answer: EchoAnswer): void => {
        clearTimeout(this.#pending.get(sequence)?.timer);
        this.#pending.delete(sequence);
        resolve(answer);
      };
      const timer = setTimeout(() => finish({ kind: "timeout", sequence }), timeoutMs);
      const sentAt = process.hrtime.bigint();
      this.#pending.set(sequence, { sentAt, timer, resolve: finish });
      const message = this.#request(sequence, dataBytes);
      const before = (): void => {
        const pending = this.#pending.get(sequence);
        if (pending) pending.sentAt = process.hrtime.bigint();
      };
      this.#socket.send(message, 0, message.length, this.#address, before, (error) => {
        if (error) finish(localError(error, sequence));
      });
    });
  }

  close(): void {
    for (const { timer } of this.#pending.values()) clearTimeout(timer);
    this.#socket.close();
  }

  #request(sequence: number, dataBytes: number): Buffer {
    const message = Buffer.alloc(ICMP_HEADER_BYTES + dataBytes);
    message.writeUInt8(this.#isV6 ? V6.request : V4.request, 0);
    message.writeUInt16BE(this.#id, 4);
    message.writeUInt16BE(sequence & 0xffff, 6);
    for (let i = 0; i < dataBytes; i++) message[ICMP_HEADER_BYTES + i] = i & 0xff;
    // The kernel fills in the checksum of ICMPv6 (RFC 3542 §3.1), of ICMP it does not.
    if (!this.#isV6) message.writeUInt16BE(internetChecksum(message), 2);
    return message;
  }

  #receive(message: Buffer, source: string): void {
    const answer = this.#isV6 ? this.#readV6(message) : this.#readV4(message);
    if (answer === undefined) return;
    answer.from = source;
    const pending = this.#pending.get(answer.sequence);
    if (pending === undefined) {
      this.onStray(answer);
      return;
    }
    if (answer.kind === "reply") answer.rttMs = Number(process.hrtime.bigint() - pending.sentAt) / 1e6;
    pending.resolve(answer);
  }

  /** A raw IPv4 socket hands out the IP header as well. */
  #readV4(packet: Buffer): EchoAnswer | undefined {
    const headerBytes = (packet[0] & 0x0f) * 4;
    if (packet.length < headerBytes + ICMP_HEADER_BYTES) return undefined;
    const icmp = packet.subarray(headerBytes);
    const ttl = packet[8];
    if (icmp[0] === V4.reply) return this.#reply(icmp, ttl);
    if (icmp[0] !== V4.unreachable && icmp[0] !== V4.exceeded) return undefined;
    const inner = icmp.subarray(ICMP_HEADER_BYTES);
    if (inner.length < IPV4_HEADER_BYTES) return undefined;
    const sequence = this.#ownSequence(inner.subarray((inner[0] & 0x0f) * 4), V4.request);
    if (sequence === undefined) return undefined;
    const mtu = icmp[0] === V4.unreachable && icmp[1] === 4 ? icmp.readUInt16BE(6) : undefined;
    return errorAnswer(sequence, errorTextV4(icmp[0], icmp[1], mtu), mtu);
  }

  #readV6(icmp: Buffer): EchoAnswer | undefined {
    if (icmp.length < ICMP_HEADER_BYTES) return undefined;
    if (icmp[0] === V6.reply) return this.#reply(icmp, undefined);
    if (icmp[0] < V6.unreachable || icmp[0] > V6.exceeded) return undefined;
    const inner = icmp.subarray(ICMP_HEADER_BYTES + IPV6_HEADER_BYTES);
    const sequence = this.#ownSequence(inner, V6.request);
    if (sequence === undefined) return undefined;
    const mtu = icmp[0] === V6.tooBig ? icmp.readUInt32BE(4) : undefined;
    return errorAnswer(sequence, errorTextV6(icmp[0], icmp[1], mtu), mtu);
  }

  #reply(icmp: Buffer, ttl: number | undefined): EchoAnswer | undefined {
    if (icmp.readUInt16BE(4) !== this.#id) return undefined;
    const answer: EchoAnswer = { kind: "reply", sequence: icmp.readUInt16BE(6), bytes: icmp.length };
    if (ttl !== undefined) answer.ttl = ttl;
    return answer;
  }

  /** The sequence number in a quoted request of ours. */
  #ownSequence(quoted: Buffer, request: number): number | undefined {
    if (quoted.length < ICMP_HEADER_BYTES || quoted[0] !== request) return undefined;
    return quoted.readUInt16BE(4) === this.#id ? quoted.readUInt16BE(6) : undefined;
  }
}

async function loadRawSocket(): Promise<typeof RawSocket> {
  try {
    const module = (await import("raw-socket")) as typeof RawSocket & { default?: typeof RawSocket };
    return module.default ?? module;
  } catch (error) {
    const message =
      "ping needs the optional package raw-socket: apt-get install g++ make python3, then npm ci";
    throw new CliError(message, Exit.FAILED, "PING_NO_RAW_SOCKET", error);
  }
}

function errorAnswer(sequence: number, text: string, mtu: number | undefined): EchoAnswer {
  if (mtu === undefined) return { kind: "error", sequence, text };
  return { kind: "too-big", sequence, text, mtu };
}

/** What our own kernel says before anything is sent. */
function localError(error: Error, sequence: number): EchoAnswer {
  if (/too long|EMSGSIZE/i.test(error.message)) {
    return { kind: "too-big", sequence, text: "local error: message too long" };
  }
  return { kind: "error", sequence, text: `local error: ${error.message}` };
}

/** ping(8)'s words. */
function errorTextV4(type: number, code: number, mtu: number | undefined): string {
  if (type === V4.exceeded) return code === 0 ? "Time to live exceeded" : "Frag reassembly time exceeded";
  if (code === 4) return `Frag needed and DF set (mtu = ${mtu})`;
  const texts: Readonly<Record<number, string>> = {
    0: "Destination Net Unreachable",
    1: "Destination Host Unreachable",
    2: "Destination Protocol Unreachable",
    3: "Destination Port Unreachable",
    9: "Destination Net Prohibited",
    10: "Destination Host Prohibited",
    13: "Packet filtered",
  };
  return texts[code] ?? `Dest Unreachable, Bad Code: ${code}`;
}

function errorTextV6(type: number, code: number, mtu: number | undefined): string {
  if (type === V6.tooBig) return `Packet too big: mtu=${mtu}`;
  if (type === V6.exceeded)
    return code === 0 ? "Time exceeded: Hop limit" : "Time exceeded: Defragmentation failure";
  const texts = ["No route", "Administratively prohibited", "Beyond scope of source address"];
  const more = ["Address unreachable", "Port unreachable"];
  return `Destination unreachable: ${[...texts, ...more][code] ?? `Unknown code ${code}`}`;
}

/** RFC 1071. */
export function internetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length - 1; i += 2) sum += bytes.readUInt16BE(i);
  if (bytes.length % 2 === 1) sum += bytes[bytes.length - 1] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}
