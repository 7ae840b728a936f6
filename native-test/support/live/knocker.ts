// Asks targets from inside a pod, by TCP (HTTP) and UDP, and tells of each question whether it was answered.
//   node knocker.js ask          standard input: lines of {"deadlineMs","targets":[…]}; prints {"passed":[…]} for each
//   node knocker.js run          standard input: lines, first {"perSec","deadlineMs"}, then {"targets":[…]} whenever they
//                                change; prints a line of JSON a question; ends when the input does
// A TCP connection sends one SYN before its deadline (Linux repeats it after a second), a UDP question is one datagram:
// so each is one decision of each node on its way. No source port comes twice, or a question could belong to an
// old connection. Times are CLOCK_MONOTONIC, which is the machine's.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { createInterface } from "node:readline";

export interface Target {
  readonly protocol: "TCP" | "UDP";
  readonly address: string;
  readonly port: number;
  /** Instead of what all have, where nothing is sent twice however long it takes. */
  readonly deadlineMs?: number;
}

export interface Question extends Target {
  readonly startMs: number;
  readonly endMs: number;
  readonly passed: boolean;
  /** What happened, where nothing passed. */
  readonly note: string;
}

const FIRST_PORT = 10_000;
const LAST_PORT = 60_000;
const ANSWER_MS = 5000; // for who has accepted the connection
const GRACE_MS = 20; // what came while this process had no processor is read before a deadline counts
const TICK_MS = 5;

let nextPort = FIRST_PORT;
const ownPort = (): number => {
  if (nextPort > LAST_PORT) nextPort = FIRST_PORT;
  return nextPort++;
};
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;

function patiently(give: () => void, ms: number, renew: (timer: NodeJS.Timeout) => void): NodeJS.Timeout {
  return setTimeout(() => renew(setTimeout(give, GRACE_MS)), ms);
}

function askTcp({ address, port }: Target, deadlineMs: number, done: (note: string) => void): void {
  const socket = connect({ host: address, port, localPort: ownPort() });
  const finish = (note: string): void => {
    clearTimeout(timer);
    socket.destroy();
    done(note);
  };
  let timer = patiently(
    () => finish("no connection"),
    deadlineMs,
    (again) => (timer = again),
  );
  socket.on("connect", () => {
    clearTimeout(timer);
    timer = setTimeout(() => finish("connected, no answer"), ANSWER_MS);
    socket.write("GET / HTTP/1.0\r\n\r\n");
  });
  socket.once("data", () => finish(""));
  socket.on("error", ({ message }) => finish(message));
  socket.on("close", () => finish("closed"));
}

function askUdp({ address, port }: Target, deadlineMs: number, done: (note: string) => void): void {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  let over = false;
  const finish = (note: string): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    socket.close();
    done(note);
  };
  let timer = patiently(
    () => finish("no answer"),
    deadlineMs,
    (again) => (timer = again),
  );
  socket.on("message", () => finish(""));
  socket.on("error", ({ message }) => finish(message));
  socket.bind(ownPort(), () => {
    if (!over) socket.send("who", port, address);
  });
}

function ask(target: Target, deadlineMs: number): Promise<Question> {
  return new Promise((resolve) => {
    const startMs = monotonicMs();
    let over = false;
    const done = (note: string): void => {
      if (over) return;
      over = true;
      resolve({ ...target, startMs, endMs: monotonicMs(), passed: note === "", note });
    };
    (target.protocol === "TCP" ? askTcp : askUdp)(target, deadlineMs, done);
  });
}

/** All of them at once. */
function answerLines(): void {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { deadlineMs, targets } = JSON.parse(line) as { deadlineMs: number; targets: Target[] };
    const questions = await Promise.all(
      targets.map((target) => ask(target, target.deadlineMs ?? deadlineMs)),
    );
    console.log(JSON.stringify({ passed: questions.map(({ passed }) => passed) }));
  });
  lines.on("close", () => process.exit(0));
}

function run(): void {
  let targets: Target[] = [];
  let asked = 0;
  let open = 0;
  let over = false;
  const finish = (): void => {
    if (over && open === 0) process.exit(0);
  };
  const begin = ({ perSec, deadlineMs }: { perSec: number; deadlineMs: number }): NodeJS.Timeout => {
    const beganMs = monotonicMs();
    const next = (): void => {
      const target = targets[Math.floor(Math.random() * targets.length)];
      asked++;
      open++;
      void ask(target, deadlineMs).then((question) => {
        open--;
        process.stdout.write(`${JSON.stringify(question)}\n`);
        finish();
      });
    };
    // What a busy machine made late is caught up with: the rate holds.
    return setInterval(() => {
      const due = ((monotonicMs() - beganMs) * perSec) / 1000;
      while (targets.length > 0 && asked < due) next();
    }, TICK_MS);
  };
  let timer: NodeJS.Timeout | undefined;
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const message = JSON.parse(line);
    if (message.targets !== undefined) targets = message.targets;
    else timer = begin(message);
  });
  lines.on("close", () => {
    clearInterval(timer);
    over = true;
    finish();
  });
}

if (process.argv[1]?.endsWith("/knocker.js")) {
  if (process.argv[2] === "ask") answerLines();
  else run();
}
