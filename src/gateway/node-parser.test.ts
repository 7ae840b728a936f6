// The parser that Node.js has for itself: found where it is, and told of where it is not.
import { createRequire } from "node:module";
import t from "tap";
import { nodeParser } from "./node-parser.ts";

const load = createRequire(import.meta.url);

t.test("this Node.js has it", async (t) => {
  const { HTTPParser, methods } = nodeParser(load);
  t.ok(methods.includes("GET"));
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {}, 1000, 0);
  t.equal(typeof parser.execute(Buffer.from("GET / HTTP/1.1\r\n")), "number");
  parser.close();
});

t.test("one that has it otherwise is told of in a line, with what to do", async (t) => {
  const { HTTPParser, methods } = nodeParser(load);
  class Other {}
  const cases: [name: string, load: (name: string) => unknown][] = [
    ["no such module", () => load("node:_http_gone")],
    ["another module", () => ({})],
    ["a parser without its numbers", () => ({ HTTPParser: Other, methods })],
    ["no list of methods", () => ({ HTTPParser })],
  ];
  for (const [name, own] of cases)
    t.throws(
      () => nodeParser(own),
      { message: /^gateway: this Node\.js, v\d+.*: run podwire with Node\.js 20, 22 or 24$/ },
      name,
    );
});
