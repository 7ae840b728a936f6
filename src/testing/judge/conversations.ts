// Random conversations from a seed: what two hosts say to each other over TCP, UDP or ICMP, sensible and senseless.
// They are scripts: nobody reacts, so that the kernel and podwire are given the same packets, whatever became of those
// before. The client's numbers are relative to what it sent, the addresses come with the sending.
import { Prng } from "../prng.ts";
import { type Step, TcpTalk } from "./tcp-talk.ts";

export type Protocol = "TCP" | "UDP" | "ICMP";

/** Where a conversation takes place; `talk-places.ts` knows the addresses. */
const ROUTES = ["service", "egress", "node-port", "plain"] as const;
export type Route = (typeof ROUTES)[number];

export interface Conversation {
  readonly number: number;
  readonly protocol: Protocol;
  readonly route: Route;
  /** Before and after a pause that makes a UDP flow a stream. */
  readonly early: readonly Step[];
  readonly late: readonly Step[];
}

const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const TIMESTAMP_REQUEST = 13;
const TIMESTAMP_REPLY = 14;
const V6_ECHO_REQUEST = 128;
const V6_ECHO_REPLY = 129;

/** Conversation `number` of a seed. */
export function conversation(seed: number, number: number, family: 4 | 6): Conversation {
  const random = new Prng((Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)) >>> 0);
  const protocol: Protocol = random.pick(["TCP", "TCP", "TCP", "TCP", "TCP", "TCP", "UDP", "UDP", "ICMP"]);
  const routes: readonly Route[] = protocol === "ICMP" ? ["egress", "plain"] : ROUTES;
  const route = random.pick([...routes]);
  const told =
    protocol === "TCP"
      ? new TcpTalk(random).steps()
      : protocol === "UDP"
        ? datagrams(random)
        : queries(random, family);
  const steps = told.map((step) => damage(step, random, protocol, family));
  const late = random.below(4) === 0 ? random.below(4) : 0;
  const split = Math.max(1, steps.length - late);
  return { number, protocol, route, early: steps.slice(0, split), late: steps.slice(split) };
}

/** Now and then a packet is damaged on its way. What it would have moved stays: nobody reacts. */
function damage(step: Step, random: Prng, protocol: Protocol, family: 4 | 6): Step {
  const which = random.below(24);
  if (which < 2) return { ...step, sum: "wrong" };
  return which === 2 && protocol === "UDP" && family === 4 ? { ...step, sum: "none" } : step;
}

function datagrams(random: Prng): Step[] {
  const count = 1 + random.below(7);
  return Array.from({ length: count }, (_, i) => {
    const from = i > 0 && random.below(2) === 0 ? "server" : "client";
    return { from, payload: random.below(400), note: "datagram" } as const;
  });
}

function queries(random: Prng, family: 4 | 6): Step[] {
  const [request, reply] = family === 4 ? [ECHO_REQUEST, ECHO_REPLY] : [V6_ECHO_REQUEST, V6_ECHO_REPLY];
  const count = 1 + random.below(6);
  return Array.from({ length: count }, (_, i): Step => {
    const what = i === 0 ? random.pick([0, 0, 0, 1, 2]) : random.below(7);
    if (what === 0 || what === 5) return { from: "client", type: request, note: "request" };
    if (what === 1 || what === 6) return { from: "server", type: reply, note: "reply" };
    if (what === 2) return { from: "client", type: reply, note: "a reply nobody asked for" };
    if (what === 3) return { from: "server", type: reply, strayPort: 7, note: "a reply with another id" };
    if (family === 6) return { from: "server", type: request, note: "request of the other side" };
    const from = random.pick(["client", "server"] as const);
    return { from, type: from === "client" ? TIMESTAMP_REQUEST : TIMESTAMP_REPLY, note: "timestamp" };
  });
}

/** One line for people. */
export function stepText(step: Step): string {
  const arrow = step.from === "client" ? ">" : "<";
  const words = [arrow, step.note];
  if (step.flags !== undefined) {
    words.push(`[${step.flags}]`, `seq ${step.seq}`, `ack ${step.ack}`, `win ${step.window}`);
  }
  if (step.payload !== undefined && step.payload > 0) words.push(`len ${step.payload}`);
  if (step.type !== undefined) words.push(`type ${step.type}`);
  if (step.sum !== undefined) words.push(`checksum ${step.sum}`);
  if (step.wscale !== undefined) words.push(`wscale ${step.wscale}`);
  if (step.sackPermitted) words.push("sackOK");
  if (step.sack !== undefined) words.push(`sack ${step.sack.map(([a, b]) => `${a}:${b}`).join(" ")}`);
  return words.join(" ");
}
