import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { callJson, callStream } from "./client.ts";
import { CliError, errorLine, exitCodeOf } from "./errors.ts";

t.test("calls over a unix socket", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "podwire-client-"));
  const socket = join(dir, "s.sock");
  const server = createServer((request, response) => {
    if (request.url === "/no") {
      response.statusCode = 400;
      response.end(JSON.stringify({ error: "x: not that way", code: "X", exitCode: 3 }));
    } else if (request.url === "/broken") {
      response.statusCode = 500;
      response.end("<html>");
    } else if (request.url === "/slow") {
      setTimeout(() => response.end("{}"), 1000).unref();
    } else {
      request.pipe(response);
    }
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true });
  });

  await t.test("JSON there and back, also as a stream", async (t) => {
    const call = { method: "POST", path: "/", body: { a: [1, "ü"] } } as const;
    t.same(await callJson(socket, "lab x", call), { a: [1, "ü"] });
    let text = "";
    for await (const chunk of await callStream(socket, "lab x", call)) text += chunk;
    t.equal(text, '{"a":[1,"ü"]}');
  });

  await t.test("a refusal keeps message, code and exit status", async (t) => {
    for (const call of [callJson, callStream]) {
      await t.rejects(call(socket, "lab x", { path: "/no" }), {
        message: "x: not that way",
        code: "X",
        exitCode: 3,
      });
    }
    await t.rejects(callJson(socket, "lab x", { path: "/broken" }), { message: "lab x: HTTP 500: <html>" });
  });

  await t.test("nobody there, or nobody who answers", async (t) => {
    const none = callJson(join(dir, "none"), "agent of node1", { path: "/" });
    await t.rejects(none, { code: "CLI_NOT_RUNNING", message: /^agent of node1 is not running/ });
    const slow = callJson(socket, "lab x", { path: "/slow", timeoutMs: 50 });
    await t.rejects(slow, { message: "lab x: no answer in 50 ms" });
  });
});

t.test("an error is one line; of several problems the first, or with -v all", async (t) => {
  t.equal(errorLine(new Error("a\n  b")), "error: a b");
  t.equal(errorLine("text"), "error: text");
  const many = new CliError("f:1: one\nf:2: two\nf:3: three", 1, "MANIFEST_INVALID");
  t.equal(errorLine(many), "error: f:1: one (and 2 more: -v shows all)");
  t.equal(errorLine(many, true), "error: f:1: one\nerror: f:2: two\nerror: f:3: three");
  t.equal(exitCodeOf(many), 1);
  t.equal(exitCodeOf(new TypeError("x")), 1);
  t.equal(exitCodeOf(new CliError("x", 3)), 3);
});
