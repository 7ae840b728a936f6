// A session over TCP that must never stall: a line every 20 ms to an echo server. Says "up" at the first answer, and when
// it is told to end how many came and how long the longest wait between two was. ADDRESS PORT [LOCALPORT]
import { connect } from "node:net";

const PERIOD_MS = 20;
const [host, port, localPort] = process.argv.slice(2);
const socket = connect({
  host,
  port: Number(port),
  ...(localPort !== undefined && { localPort: Number(localPort) }),
});
let last = 0;
let longestMs = 0;
let answers = 0;

const seen = (): void => {
  if (last !== 0) longestMs = Math.max(longestMs, performance.now() - last);
};
const end = (why: string): void => {
  seen();
  console.log(JSON.stringify({ why, answers, longestMs: Math.round(longestMs) }));
  process.exit(0);
};

socket.setNoDelay();
socket.on("data", () => {
  seen();
  if (answers++ === 0) console.log("up");
  last = performance.now();
});
socket.on("error", (error) => end(error.message));
socket.on("close", () => end("closed"));
process.on("SIGTERM", () => end("told"));
setInterval(() => socket.write("tick\n"), PERIOD_MS);
