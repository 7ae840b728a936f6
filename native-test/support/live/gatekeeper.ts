// A client that knocks at addresses, and hears who knocks at it.
//   node gatekeeper.js PER_SEC    reads lines of JSON:
//     {"knock":["ADDRESS",…]}     knock at each of these so many times a second, four of five by UDP, the fifth by TCP
//     {"report":true}             print {"sent","heard"}
//     {"forget":true}             count from 0
// Each knock is a socket of its own, hence a new connection.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { monotonicMs } from "./knocker.ts";

export const HEARD_PORT = 7001;
const KNOCK_PORT = 7002;

export interface GateReport {
  /** Knocks by address. */
  readonly sent: Readonly<Record<string, number>>;
  /** Datagrams that came, by who sent them. */
  readonly heard: Readonly<Record<string, number>>;
}

const TICK_MS = 2;
const SYN_MS = 50; // a connection that is not there by then is given up

function knock(address: string, n: number): void {
  if (n % 5 === 4) {
    const socket = connect({ host: address, port: KNOCK_PORT });
    socket.on("error", () => {}).on("connect", () => socket.destroy());
    setTimeout(() => socket.destroy(), SYN_MS);
    return;
  }
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("error", () => {});
  socket.send("knock", KNOCK_PORT, address, () => socket.close());
}

function run(perSec: number): void {
  let sent: Record<string, number> = {};
  let heard: Record<string, number> = {};
  let addresses: readonly string[] = [];
  let beganMs = 0;
  let rounds = 0;
  for (const type of ["udp4", "udp6"] as const) {
    const socket = createSocket({ type, ipv6Only: type === "udp6", recvBufferSize: 1 << 20 });
    socket.on("message", (_, { address }) => {
      heard[address] = (heard[address] ?? 0) + 1;
    });
    socket.bind(HEARD_PORT);
  }
  setInterval(() => {
    const due = ((monotonicMs() - beganMs) * perSec) / 1000;
    for (; rounds < due; rounds++) {
      for (const address of addresses) {
        knock(address, rounds);
        sent[address] = (sent[address] ?? 0) + 1;
      }
    }
  }, TICK_MS);
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const message = JSON.parse(line) as { knock?: string[]; forget?: true };
    if (message.knock !== undefined) {
      addresses = message.knock;
      beganMs = monotonicMs();
      rounds = 0;
    } else if (message.forget) {
      sent = {};
      heard = {};
    } else console.log(JSON.stringify({ sent, heard } satisfies GateReport));
  });
  lines.on("close", () => process.exit(0));
}

if (process.argv[1]?.endsWith("/gatekeeper.js")) run(Number(process.argv[2]));
