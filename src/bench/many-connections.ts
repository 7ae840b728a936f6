/**
 * A plane in memory with as many connections as its table holds, each opened by packets of its own: pod2's to sixteen
 * ports of a service. A frame's ports say which connection it is of, and are written into a template.
 */
import * as engine from "../dataplane/engine.ts";
import { setWord } from "../testing/frames/adjust-sum.ts";
import * as build from "../testing/frames/frame-builder.ts";
import { pathTo } from "../testing/world/test-fabric.ts";
import type { TestNode } from "../testing/world/test-node.ts";
import type { TemplateIo } from "./template-io.ts";
import { VIRTIO } from "./template-io.ts";

const [POD2, POD3, VIP] = ["10.244.1.2", "10.244.1.3", "10.96.0.20"];
const PORT_AT = 34;
const SUM_AT = Object.freeze({ tcp: 50, udp: 40 });
const WINDOW_AT = 48;
const SOURCE_PORTS = 62_500;
const SOURCE_PORT_MIN = 2000;
const SERVICE_PORT = 10_000;
const TARGET_PORT = 20_000;
const SERVICE_PORTS = 16;
export const CONNECTIONS_MAX = SOURCE_PORTS * SERVICE_PORTS;

export type Transport = "tcp" | "udp";

/** Gives the node the service that connections go to. */
export function serveMany(node: TestNode, transport: Transport): void {
  for (let i = 0; i < SERVICE_PORTS; i++) {
    const endpoints = [`${POD3}:${TARGET_PORT + i}`];
    const [protocol, port] = [transport === "tcp" ? 6 : 17, SERVICE_PORT + i];
    node.setService({ name: `many-${i}`, clusterIp: VIP, protocol, port, endpoints });
  }
}

/** Opens connections 0 … `count` - 1; `from` of them are open. */
export function openMany(
  node: TestNode,
  io: TemplateIo,
  transport: Transport,
  count: number,
  from = 0,
): void {
  const send = (port: string, frame: Uint8Array, isAnswer = false): void => {
    let next = from;
    io.template = Uint8Array.from([...new Uint8Array(VIRTIO), ...frame]);
    io.vary = (arena, at) => writePorts(arena, at, transport, next++, isAnswer);
    io.left = count - from;
    while (io.left > 0) engine.pollPort(node.engine, node.portId(port));
  };
  if (transport === "udp") {
    send("pod2", build.udpFrame({ ...pathTo(node, POD2, VIP), payload: 18 }));
    return;
  }
  const [there, back] = [pathTo(node, POD2, VIP), pathTo(node, POD3, POD2)];
  send("pod2", build.tcpFrame({ ...there, flags: "S" }));
  send("pod3", build.tcpFrame({ ...back, flags: "S.", ack: 1 }), true);
  send("pod2", build.tcpFrame({ ...there, flags: ".", seq: 1, ack: 1 }));
}

/** A packet of a connection that is open, for `createTurns`. */
export function packetOfMany(node: TestNode, transport: Transport): Uint8Array {
  const path = pathTo(node, POD2, VIP);
  if (transport === "udp") return build.udpFrame({ ...path, payload: 18 });
  return build.tcpFrame({ ...path, flags: ".", seq: 1, ack: 1, payload: 10 });
}

/** Connections among the first `count`, in an order that no cache foresees. */
export function createTurns(
  transport: Transport,
  count: number,
  random: () => number,
): NonNullable<TemplateIo["vary"]> {
  const turns = Int32Array.from({ length: 1 << 18 }, () => (random() >>> 0) % count);
  let at = 0;
  return (arena, frame) => {
    at = (at + 1) & (turns.length - 1);
    writePorts(arena, frame, transport, turns[at], false);
    if (transport === "tcp") setWord(arena, frame + WINDOW_AT, 0x1000 + (at & 0xfff), frame + SUM_AT.tcp);
  };
}

function writePorts(
  arena: Uint8Array,
  frame: number,
  transport: Transport,
  n: number,
  isAnswer: boolean,
): void {
  const client = SOURCE_PORT_MIN + (n % SOURCE_PORTS);
  const server = (isAnswer ? TARGET_PORT : SERVICE_PORT) + ((n / SOURCE_PORTS) | 0);
  const sumAt = frame + SUM_AT[transport];
  setWord(arena, frame + PORT_AT, isAnswer ? server : client, sumAt);
  setWord(arena, frame + PORT_AT + 2, isAnswer ? client : server, sumAt);
}
