// Which port a Service's packets arrive at, asked without a pause: by that it is seen when a change is in force.
//   node reaction.js serve PORT PORT   in the Service's pod: UDP; each answer says at which port it was asked
//   node reaction.js ask ADDRESS PORT  one question a millisecond, each from a port of its own; whenever another port
//                                      answers, it prints as JSON when the question was sent
import { createSocket } from "node:dgram";
import { monotonicMs } from "./knocker.ts";

export interface Turned {
  readonly port: number;
  /** CLOCK_MONOTONIC, ms. */
  readonly sentMs: number;
}

const EVERY_MS = 1;
const PATIENCE_MS = 200;

function serve(ports: readonly number[]): void {
  for (const port of ports) {
    const socket = createSocket("udp4");
    socket.on("message", (bytes, { port: from, address }) => {
      socket.send(`${port} ${bytes}`, from, address, () => {});
    });
    socket.bind(port);
  }
}

function ask(address: string, port: number): void {
  let last: Turned = { port: 0, sentMs: 0 };
  const question = (): void => {
    const socket = createSocket("udp4");
    const patience = setTimeout(() => socket.close(), PATIENCE_MS);
    socket.on("error", () => {}); // nobody serves it for now
    socket.on("message", (bytes) => {
      clearTimeout(patience);
      socket.close();
      const [from, sentMs] = String(bytes).split(" ").map(Number);
      if (sentMs <= last.sentMs) return; // overtaken
      if (from !== last.port) console.log(JSON.stringify({ port: from, sentMs } satisfies Turned));
      last = { port: from, sentMs };
    });
    socket.send(String(monotonicMs()), port, address, () => {});
  };
  setInterval(question, EVERY_MS);
}

const [what, ...rest] = process.argv.slice(2);
if (what === "serve") serve(rest.map(Number));
else ask(rest[0], Number(rest[1]));
