import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { KubeObject } from "../../kube/objects.ts";
import { LastState, type Remembered } from "./last-state.ts";

const folder = mkdtempSync(join(tmpdir(), "podwire-last-"));
t.teardown(() => rmSync(folder, { recursive: true }));

const nodes = (count: number): KubeObject[] =>
  Array.from({ length: count }, (_, i) => ({ kind: "Node", metadata: { name: `n${i}` } }) as KubeObject);

t.test("wherever it cannot be written, that is told, and nothing is thrown", async (t) => {
  writeFileSync(join(folder, "file"), "");
  mkdirSync(join(folder, "taken.new"));
  mkdirSync(join(folder, "folder"));
  for (const [name, why] of [
    ["file/state", /ENOTDIR|EEXIST/],
    ["taken", /EISDIR/],
    ["folder", /EISDIR/],
    ["x".repeat(300), /ENAMETOOLONG/],
  ] as const) {
    const told = await new LastState(join(folder, name)).write(nodes(1));
    t.match(told, why, name);
    t.match(told, /: what is known could not be kept: /);
  }
});

t.test("a full disk leaves what was there before, and no draft", async (t) => {
  const state = new LastState(join(folder, "state"));
  t.equal(await state.write(nodes(3)), "");
  symlinkSync("/dev/full", join(folder, "state.new"));
  t.match(await state.write(nodes(200)), /ENOSPC/);
  t.notOk(readdirSync(folder).includes("state.new"));
  t.same((state.read() as Remembered).objects, nodes(3));
});

t.test("what an agent that was killed had half written is written over", async (t) => {
  const state = new LastState(join(folder, "again"));
  writeFileSync(join(folder, "again.new"), "x".repeat(100_000));
  t.equal(await state.write(nodes(200)), "");
  t.same((state.read() as Remembered).objects, nodes(200));
});
