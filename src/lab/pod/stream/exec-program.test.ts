import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import t from "tap";
import type { Program, ProgramIo } from "../../../apiserver/stream/pod-programs.ts";
import { execProgram } from "./exec-program.ts";
import { connectInside } from "./pod-connection.ts";

const entrance = { words: [], env: { PATH: process.env.PATH ?? "" } };
const IO: ProgramIo = { stdin: true, stdout: true, stderr: true, tty: false };
const sh = (script: string, io: Partial<ProgramIo> = {}): Program =>
  execProgram(entrance, ["sh", "-c", script], { ...IO, ...io });

async function textOf(stream: Readable | undefined): Promise<string> {
  let text = "";
  for await (const chunk of stream ?? []) text += chunk;
  return text;
}

t.test("a program's streams and how it ended", async (t) => {
  const cat = sh("cat; echo no >&2; pwd; exit 7");
  cat.stdin?.end("hello\n");
  t.same(await Promise.all([textOf(cat.stdout), textOf(cat.stderr), cat.ended]), ["hello\n/\n", "no\n", 7]);
  const killed = sh("kill -9 $$", { stdin: false });
  t.equal(killed.stdin, undefined);
  t.equal(await killed.ended, 137);
  t.throws(
    () => execProgram(entrance, ["no-such-program"], IO),
    /^exec: "no-such-program": executable file not found/,
  );
  t.throws(() => execProgram(entrance, ["/tmp"], IO), {
    message: 'exec: "/tmp": executable file not found in $PATH',
  });
});

t.test(
  "what is left behind with the output open holds nobody up, and nothing that was said is lost",
  async (t) => {
    const program = sh("sleep 30 & echo $!; exit 0", { stdin: false });
    const [pid] = await Promise.all([textOf(program.stdout), program.ended]);
    process.kill(Number(pid), "SIGKILL");
    const much = sh("head -c 60000 /dev/zero", { stdin: false });
    await new Promise((resolve) => setTimeout(resolve, 1200));
    t.equal((await textOf(much.stdout)).length, 60_000, "who reads late gets all of it");
  },
);

t.test("a program that nobody looks at any more is ended, with what it has started", async (t) => {
  const program = sh("trap '' HUP; sleep 60 & echo $!; wait", { stdin: false });
  const pid = await new Promise<number>((resolve) =>
    program.stdout?.once("data", (chunk) => resolve(Number(chunk))),
  );
  program.stop();
  t.equal(await program.ended, 137);
  while (isThere(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

t.test("a terminal where the container's PATH leads to busybox' setsid", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "podwire-setsid-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const script = 'case $1 in --*) echo unrecognized option $1; exit 1;; esac; PATH=$REST exec setsid "$@"';
  writeFileSync(join(folder, "setsid"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, "setsid"), 0o755);
  const REST = process.env.PATH ?? "";
  const box = { words: [], env: { PATH: `${folder}:${REST}`, REST } };
  const program = execProgram(box, ["tty"], { ...IO, stderr: false, tty: true });
  t.match(await textOf(program.stdout), /^\/dev\/pts\/\d+\r\n$/);
  t.equal(await program.ended, 0);
});

t.test("a terminal of its own: its size, its signals, its end", async (t) => {
  const program = sh("tty; stty size; read line; stty size; echo got $line; exit 3", {
    stderr: false,
    tty: true,
  });
  program.resize(132, 50);
  let text = "";
  program.stdout?.on("data", (chunk) => (text += chunk));
  const until = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(text)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await until(/\/dev\/pts\/\d+\r\n50 132\r\n/);
  program.resize(80, 24);
  program.stdin?.write("hello\r");
  t.equal(await program.ended, 3);
  await until(/24 80\r\ngot hello\r\n/);
  const stopped = sh("echo go; exec sleep 60", { stderr: false, tty: true });
  await new Promise((resolve) => stopped.stdout?.once("data", resolve));
  stopped.stdin?.write("\x03");
  t.equal(await stopped.ended, 130, "Ctrl-C reaches the program");
});

t.test("all that a program says at its end comes, however late its terminal is read", async (t) => {
  const said = 10_000; // bytes: more than one read takes
  const program = sh(`head -c ${said} /dev/zero | tr '\\0' x; exit 3`, { stderr: false, tty: true });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500); // the event loop stands still meanwhile
  t.same([(await textOf(program.stdout)).length, await program.ended], [said, 3]);
});

t.test("who does not read its terminal blocks nobody else", async (t) => {
  const program = sh("stty raw; echo go; sleep 60", { stderr: false, tty: true });
  await new Promise((resolve) => program.stdout?.once("data", resolve));
  program.stdin?.write(Buffer.alloc(1 << 20, "x"));
  const begin = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.ok(Date.now() - begin < 1000, "the event loop goes on");
  program.stop();
  t.ok((await program.ended) > 128);
});

t.test("a connection to a port inside", async (t) => {
  const server = createServer((socket) => socket.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  t.equal(await textOf(await connectInside("", port)), "hello");
  await new Promise((resolve) => server.close(resolve));
  await t.rejects(connectInside("", port), {
    message: /^failed to connect to localhost:\d+ inside the pod: connection refused$/,
  });
  const six = createServer((socket) => socket.end("six"));
  await new Promise<void>((resolve) => six.listen(0, "::1", resolve));
  t.equal(await textOf(await connectInside("", (six.address() as AddressInfo).port)), "six");
  six.close();
  await t.rejects(connectInside("/run/netns/no-such", 1), /ENOENT/);
});
