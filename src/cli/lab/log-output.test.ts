import t from "tap";
import { timeAt } from "../../lab/pod/log-index.ts";
import { LogOutput, type LogSource, type LogWishes, linesOf } from "./log-output.ts";

const TIMES: [number, number][] = [
  [0, 1000],
  [8, 5000],
];
const LOG = Buffer.from("one\ntwo\nthree\nfo");

async function printed(wishes: Partial<LogWishes>, prefix = "", more?: string): Promise<string> {
  const parts: Buffer[] = [];
  const all = { tail: -1, limit: Number.POSITIVE_INFINITY, sinceMs: 0, timestamps: false, ...wishes };
  const out = new LogOutput(all, async (bytes) => void parts.push(bytes));
  const source: LogSource = { prefix, rest: Buffer.alloc(0) };
  await out.first(source, LOG, 0, TIMES);
  if (more !== undefined) await out.more(source, Buffer.from(more), LOG.length, TIMES);
  return Buffer.concat(parts).toString();
}

t.test("as it is", async (t) => t.equal(await printed({}, "", "ur\n"), "one\ntwo\nthree\nfour\n"));
t.test("the last lines", async (t) => {
  t.equal(await printed({ tail: 2 }), "three\nfo");
  t.equal(await printed({ tail: 0 }, "", "ur\n"), "ur\n");
});
t.test("since a time", async (t) => {
  t.equal(await printed({ sinceMs: 4000 }), "three\nfo");
  t.equal(await printed({ sinceMs: 4000, tail: 1 }), "fo");
  t.equal(await printed({ sinceMs: 9000 }), "");
});
t.test("with times, of where each line begins; whole lines only", async (t) =>
  t.equal(
    await printed({ timestamps: true, tail: 3 }, "[pod/a/b] ", "ur\n"),
    "[pod/a/b] 1970-01-01T00:00:01.000Z two\n[pod/a/b] 1970-01-01T00:00:05.000Z three\n" +
      "[pod/a/b] 1970-01-01T00:00:05.000Z four\n",
  ),
);
t.test("no more than so many bytes", async (t) =>
  t.equal(await printed({ limit: 6 }, "", "ur\n"), "one\ntw"),
);
t.test("lines know where they begin", async (t) => {
  t.same(
    linesOf(LOG, 100).map(({ bytes, at }) => `${at} ${bytes}`),
    ["100 one\n", "104 two\n", "108 three\n", "114 fo"],
  );
  t.same(linesOf(Buffer.alloc(0), 0), []);
});
t.test("the time of a byte", async (t) => {
  t.same(
    [0, 7, 8, 99].map((offset) => timeAt(TIMES, offset)),
    [1000, 1000, 5000, 5000],
  );
  t.equal(timeAt([], 3), 0);
});
