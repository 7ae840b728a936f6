import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { LogTimes } from "../log-index.ts";
import { type LogSource, readLog } from "./log-reader.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-log-reader-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const file = join(folder, "a.log");
const WISHES = {
  follow: false,
  timestamps: false,
  tailLines: -1,
  sinceMs: 0,
  limitBytes: Number.POSITIVE_INFINITY,
};
const never = new AbortController().signal;
// Two starts: the second begins at byte 8. Bytes came at 1000, 2000 and 3000 ms.
const LOG = "one\ntwo\nthree\nfour\nfive";
const INDEX: LogTimes = {
  starts: [0, 8],
  times: [
    [0, 1000],
    [8, 2000],
    [14, 3000],
  ],
};
const source = (more: Partial<LogSource> = {}): LogSource => ({
  ...{ file, times: () => INDEX, start: 2, isOver: () => false },
  ...more,
});

async function read(wishes: Partial<typeof WISHES> = {}, of = source()): Promise<string> {
  let text = "";
  for await (const chunk of readLog(of, { ...WISHES, ...wishes }, never))
    text += Buffer.from(chunk).toString();
  return text;
}

t.test("the last start, the one before, the last lines, what is recent", async (t) => {
  writeFileSync(file, LOG);
  t.equal(await read(), "three\nfour\nfive");
  t.equal(
    await read({}, source({ start: 1 })),
    "one\ntwo\n",
    "the one before ends where the last one begins",
  );
  t.equal(await read({}, source({ file: join(folder, "none") })), "", "it has printed nothing yet");
  const tails = [0, 1, 2, 3, 99].map((tailLines) => read({ tailLines }));
  t.same(await Promise.all(tails), ["", "five", "four\nfive", "three\nfour\nfive", "three\nfour\nfive"]);
  t.equal(await read({ tailLines: 1 }, source({ start: 1 })), "two\n", "a line that is ended");
  t.equal(await read({ sinceMs: 2500 }), "four\nfive");
  t.equal(await read({ sinceMs: 9000 }), "");
  t.equal(await read({ limitBytes: 7 }), "three\nf");
});

t.test("times stand before lines", async (t) => {
  const stamp = "1970-01-01T00:00:0";
  t.equal(
    await read({ timestamps: true }),
    `${stamp}2.000000000Z three\n${stamp}3.000000000Z four\n${stamp}3.000000000Z five`,
  );
});

t.test("long logs: tails across blocks, lines longer than one", async (t) => {
  const lines = Array.from({ length: 40_000 }, (_, i) => `line ${i}`);
  writeFileSync(file, `${lines.join("\n")}\n${"x".repeat(200_000)}\n`);
  const of = source({ start: 1, times: () => ({ starts: [0], times: [[0, 1000]] }) });
  t.equal(
    await read({ tailLines: 20_001 }, of),
    `${lines.slice(20_000).join("\n")}\n${"x".repeat(200_000)}\n`,
  );
  const stamped = await read({ tailLines: 1, timestamps: true }, of);
  t.equal(stamped, `1970-01-01T00:00:01.000000000Z ${"x".repeat(200_000)}\n`);
});

t.test("following goes on until the start is over, or nobody listens", async (t) => {
  writeFileSync(file, "a\n");
  let starts = [0];
  let isOver = false;
  const of = source({ start: 1, times: () => ({ starts, times: [[0, 1000]] }), isOver: () => isOver });
  let text = "";
  const following = (async () => {
    for await (const chunk of readLog(of, { ...WISHES, follow: true }, never))
      text += Buffer.from(chunk).toString();
  })();
  const until = async (wanted: string): Promise<void> => {
    while (text !== wanted) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await until("a\n");
  appendFileSync(file, "b\nc");
  await until("a\nb\nc");
  appendFileSync(file, "d\nof the next start\n");
  starts = [0, 7];
  isOver = true;
  await following;
  t.equal(text, "a\nb\ncd\n", "to its last byte, and no further");
  isOver = false;
  starts = [0];
  const gone = new AbortController();
  const left = readLog(of, { ...WISHES, follow: true, tailLines: 0 }, gone.signal).next();
  setTimeout(() => gone.abort(), 10);
  t.equal((await left).done, true);
});

t.test("what the next start writes while its log is read is not of this one", async (t) => {
  writeFileSync(file, "a\nof the next start\n");
  let asked = 0;
  const times = (): LogTimes => ({ starts: ++asked < 3 ? [0] : [0, 2], times: [[0, 1000]] });
  t.equal(await read({ follow: true }, source({ start: 1, times, isOver: () => true })), "a\n");
});
