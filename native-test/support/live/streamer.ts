// A stream inside a pod that can be told from outside to the packet: each carries when it was sent.
//   node streamer.js send tcp|udp ADDRESS PORT   one packet every half millisecond; ends when its input does
//   node streamer.js hear PORT                   TCP and UDP; for each line "last" on its input it prints, as JSON, by
//                                                protocol when the last packet that came was sent, and forgets it
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { monotonicMs } from "./knocker.ts";

const EVERY_MS = 0.5;
const STAMP_BYTES = 8;

export interface Heard {
  readonly tcp: number;
  readonly udp: number;
}

function send(protocol: string, address: string, port: number): void {
  const stamp = Buffer.alloc(STAMP_BYTES);
  let put: (bytes: Buffer) => void;
  if (protocol === "tcp") {
    const socket = connect({ host: address, port, noDelay: true });
    socket.on("error", () => process.exit(0));
    // Bytes that wait for an acknowledgement would be told by their own age: only what is alone is sent.
    put = (bytes) => {
      if (socket.writableLength === 0) socket.write(bytes);
    };
  } else {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.on("error", () => {});
    put = (bytes) => socket.send(bytes, port, address, () => {});
  }
  let next = monotonicMs();
  const tick = (): void => {
    for (const now = monotonicMs(); next <= now; next += EVERY_MS) {
      stamp.writeDoubleBE(monotonicMs());
      put(Buffer.from(stamp));
    }
    setTimeout(tick, 1);
  };
  tick();
  process.stdin.on("end", () => process.exit(0)).resume();
}

function hear(port: number): void {
  const last = { tcp: 0, udp: 0 };
  createServer((socket) => {
    let rest: Buffer = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const all = Buffer.concat([rest, bytes]);
      const whole = all.length - (all.length % STAMP_BYTES);
      if (whole > 0) last.tcp = all.readDoubleBE(whole - STAMP_BYTES);
      rest = all.subarray(whole);
    });
  }).listen(port, "::");
  for (const family of ["udp4", "udp6"] as const) {
    const socket = createSocket({ type: family, ipv6Only: family === "udp6" });
    socket.on("message", (bytes) => {
      last.udp = bytes.readDoubleBE(0);
    });
    socket.bind(port);
  }
  createInterface({ input: process.stdin })
    .on("line", () => {
      console.log(JSON.stringify(last satisfies Heard));
      last.tcp = 0;
      last.udp = 0;
    })
    .on("close", () => process.exit(0));
  console.log("listening");
}

const [verb, ...rest] = process.argv.slice(2);
if (verb === "send") send(rest[0], rest[1], Number(rest[2]));
else hear(Number(rest[0]));
