import t from "tap";
import { LogOutput, type LogSource, type LogWishes } from "./log-output.ts";

async function printed(wishes: Partial<LogWishes>, prefix: string, ...chunks: string[]): Promise<string> {
  const parts: Buffer[] = [];
  const all = { limit: Number.POSITIVE_INFINITY, timestamps: false, ...wishes };
  const out = new LogOutput(all, async (bytes) => void parts.push(bytes));
  const source: LogSource = { prefix, rest: Buffer.alloc(0) };
  for (const chunk of chunks) await out.put(source, Buffer.from(chunk));
  await out.end(source);
  return Buffer.concat(parts).toString();
}

t.test("as it is", async (t) => t.equal(await printed({}, "", "one\ntw", "o\nthr"), "one\ntwo\nthr"));
t.test("with where it comes from, line by line, however it is cut", async (t) =>
  t.equal(
    await printed({}, "[pod/a/b] ", "one\ntw", "o\nthr"),
    "[pod/a/b] one\n[pod/a/b] two\n[pod/a/b] thr",
  ),
);
t.test("times in milliseconds; what is none stays", async (t) => {
  const time = "2026-01-02T03:04:05.678000000Z";
  t.equal(
    await printed(
      { timestamps: true },
      "> ",
      `${time} one\n${time.slice(0, 20)}`,
      `${time.slice(20)} ${time}\nx`,
    ),
    `> 2026-01-02T03:04:05.678Z one\n> 2026-01-02T03:04:05.678Z ${time}\n> x`,
  );
});
t.test("no more than so many bytes", async (t) =>
  t.equal(await printed({ limit: 6 }, "", "one\n", "two\n", "x"), "one\ntw"),
);
