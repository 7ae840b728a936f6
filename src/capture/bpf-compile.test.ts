import { spawnSync } from "node:child_process";
import t from "tap";
import { decodeBpf } from "../base/bpf-program.ts";
import { compileFilter, compileFilterToBase64 } from "./bpf-compile.ts";

const skip = spawnSync("tcpdump", ["--version"]).error ? "tcpdump is not installed" : false;

t.test("a filter compiles, and travels as base64", { skip }, async (t) => {
  const program = await compileFilter("tcp port 80");
  t.ok(program.length > 10);
  t.same(program[0], { code: 0x28, jt: 0, jf: 0, k: 12 });
  const bytes = Buffer.from(await compileFilterToBase64("tcp port 80"), "base64url");
  t.same(decodeBpf(bytes), program);
  const inTunnel = Buffer.from(await compileFilterToBase64("tcp port 80", 8472), "base64url");
  t.ok(decodeBpf(inTunnel).length > 2 * program.length);
});

t.test("the empty filter needs no tcpdump", async (t) => {
  t.equal((await compileFilter("  ")).length, 1);
});

t.test("tcpdump's complaint comes through as one line", { skip }, async (t) => {
  const cases = [
    { filter: "tcp portt 80", want: /^filter "tcp portt 80": can't parse filter expression: syntax error$/ },
    { filter: "port 99999", want: /illegal port number 99999 > 65535$/ },
    { filter: "len / 0 = 1", want: /division by zero$/ },
    { filter: "inbound", want: /inbound, outbound, ifindex/ },
    { filter: "ip6 protochain 58", want: /loops \(protochain\) are not supported$/ },
    { filter: "-w /tmp/x", want: /syntax error$/ },
  ];
  for (const c of cases) {
    await t.rejects(compileFilter(c.filter), { code: "FILTER_SYNTAX", message: c.want }, c.filter);
  }
});

t.test("a missing tcpdump is named with its package", async (t) => {
  const path = process.env.PATH;
  process.env.PATH = "/nonexistent";
  t.teardown(() => {
    process.env.PATH = path;
  });
  await t.rejects(compileFilter("tcp"), { code: "FILTER_NO_TCPDUMP", message: /apt-get install tcpdump/ });
});
