// A program in a pod that asks an address once a millisecond, each time from a port of its own, and tells which of its
// questions were answered: by the machine's monotonic clock, which all its processes have in common.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestLab } from "../../testing/lab/lab.ts";
import type { Running } from "../../testing/lab/process.ts";
import { type Asked, readAsked } from "./asked-times.ts";

const GIVE_UP_MS = 150;
const WRITE_MS = 500;

/**
 * Prints "asking"; writes for each question the times of sending and of the answer, ns, "-": there was none. Into a file,
 * twice a second: what it printed would go through the lab's process and this one, a thousand times a second, and both
 * are what is measured.
 */
const PROGRAM = `
const { createSocket } = require("node:dgram");
const { appendFileSync } = require("node:fs");
const [host, port, file] = process.argv.slice(1);
const now = () => process.hrtime.bigint();
let count = 0;
let found = "";
setInterval(() => {
  appendFileSync(file, found);
  found = "";
}, ${WRITE_MS});
const ask = () => {
  const socket = createSocket("udp4");
  let sent = 0n;
  const end = (answered) => {
    clearTimeout(timer);
    socket.close();
    found += sent + " " + answered + "\\n";
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
  readonly #file: string;

  private constructor(running: Running, file: string) {
    this.#running = running;
    this.#file = file;
  }

  static async in(lab: TestLab, pod: string, host: string, port: number): Promise<AskingPod> {
    const file = join(lab.folder, `asked-${host}-${port}`);
    const words = [process.execPath, "-e", PROGRAM, host, String(port), file];
    return new AskingPod(await lab.startIn(pod, words, /asking/), file);
  }

  async stop(): Promise<Asked[]> {
    await new Promise((resolve) => setTimeout(resolve, GIVE_UP_MS + 2 * WRITE_MS));
    await this.#running.stop();
    return readAsked(await readFile(this.#file, "utf8"));
  }
}

export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6;
