// A client that asks all the time, on new connections, and says at its end what failed and how long nobody answered.
import type { TestLab } from "../../src/testing/lab/lab.ts";
import type { Running } from "../../src/testing/lab/process.ts";

/** SIGTERM ends it with a line of JSON. */
const ASKER = `
const http = require("node:http");
const [perSec, ...targets] = process.argv.slice(1);
const done = {}, clients = {}, failed = [];
let sent = 0, open = 0, over = false, last = 0, gapMs = 0, slowestMs = 0;
const finish = () => {
  if (!over || open > 0) return;
  console.log(JSON.stringify({ sent, done, clients, failed, gapMs, slowestMs }));
  process.exit(0);
};
const ask = () => {
  const target = targets[sent++ % targets.length];
  const at = target.lastIndexOf(":");
  const [host, port] = [target.slice(0, at), target.slice(at + 1)];
  const began = new Date();
  let settled = false;
  open++;
  const settle = (count) => {
    if (settled) return;
    settled = true;
    open--;
    count();
    finish();
  };
  const fail = ({ code, message }) =>
    settle(() => failed.push([began.toISOString(), target, Date.now() - began, code ?? message].join(" ")));
  const request = http.get({ host, port, agent: false, timeout: 8000 }, (answer) => {
    let text = "";
    answer.on("data", (bytes) => (text += bytes)).on("error", fail);
    answer.on("end", () => {
      if (answer.statusCode !== 200) return fail({ message: answer.statusCode + " " + text });
      const { pod, client } = JSON.parse(text);
      const from = client.slice(0, client.lastIndexOf(":"));
      settle(() => {
        done[pod] = (done[pod] ?? 0) + 1;
        clients[from] = (clients[from] ?? 0) + 1;
        const now = Date.now();
        if (last > 0) gapMs = Math.max(gapMs, now - last);
        slowestMs = Math.max(slowestMs, now - began);
        last = now;
      });
    });
  });
  request.on("error", fail).on("timeout", () => request.destroy(new Error("timeout")));
};
// What a busy machine made late is caught up with: the rate holds.
const began = Date.now();
const tick = setInterval(() => {
  while (sent < ((Date.now() - began) * perSec) / 1000) ask();
  if (sent > 0) console.log("asking");
}, 5);
process.on("SIGTERM", () => {
  clearInterval(tick);
  over = true;
  finish();
  setTimeout(() => {
    failed.push(open + " not answered at the end");
    open = 0;
    finish();
  }, 2000);
});
`;

export interface Asked {
  sent: number;
  /** Answers, by the pod that gave them, and by the address that it saw. */
  done: Record<string, number>;
  clients: Record<string, number>;
  failed: string[];
  /** The longest time without an answer, and the longest that one took, milliseconds. */
  gapMs: number;
  slowestMs: number;
}

/** So many requests a second, to these in turn, each on a connection of its own. */
export function startAsker(
  lab: TestLab,
  from: string,
  perSec: number,
  ...targets: string[]
): Promise<Running> {
  const [pod, namespace] = from.split(" of ");
  return lab.startIn(pod, ["node", "-e", ASKER, String(perSec), ...targets], /asking/, namespace);
}

export async function stopAsker(asker: Running): Promise<Asked> {
  await asker.stop();
  const line = asker.output().trim().split("\n").at(-1) ?? "";
  return JSON.parse(
    line.startsWith("{") ? line : JSON.stringify({ ...NOTHING, failed: [`ended early: ${line}`] }),
  );
}

const NOTHING: Asked = { sent: 0, done: {}, clients: {}, failed: [], gapMs: 0, slowestMs: 0 };
