// A program in a pod that asks an address once a millisecond, each time from a port of its own, and tells which of its
// questions were answered: by the machine's monotonic clock, which all its processes have in common.
import type { TestLab } from "../../testing/lab/lab.ts";
import type { Running } from "../../testing/lab/process.ts";
import { type Asked, readAsked } from "./asked-times.ts";

const GIVE_UP_MS = 150;

/** "asking" first; then for each question the times of sending and of the answer, ns; "-": there was none. */
const PROGRAM = `
const { createSocket } = require("node:dgram");
const [host, port] = process.argv.slice(1);
const now = () => process.hrtime.bigint();
let count = 0;
const ask = () => {
  const socket = createSocket("udp4");
  let sent = 0n;
  const end = (answered) => {
    clearTimeout(timer);
    socket.close();
    console.log(sent + " " + answered);
  };
  const timer = setTimeout(() => end("-"), ${GIVE_UP_MS});
  socket.on("message", () => end(now())).on("error", () => end("-"));
  // In turn: a port that comes again within a minute would be a connection that is known, and policies leave those alone.
  socket.bind(1024 + (count++ % 60000), () => {
    sent = now();
    socket.send("echo", Number(port), host);
  });
};
setInterval(ask, 1);
console.log("asking");
`;

export class AskingPod {
  readonly #running: Running;

  private constructor(running: Running) {
    this.#running = running;
  }

  static async in(lab: TestLab, pod: string, host: string, port: number): Promise<AskingPod> {
    const words = [process.execPath, "-e", PROGRAM, host, String(port)];
    return new AskingPod(await lab.startIn(pod, words, /asking/));
  }

  async stop(): Promise<Asked[]> {
    await new Promise((resolve) => setTimeout(resolve, 2 * GIVE_UP_MS));
    await this.#running.stop();
    return readAsked(this.#running.output());
  }
}

export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;
