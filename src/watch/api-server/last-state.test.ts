import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
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
  mkdirSync(join(folder, "taken.tag.new"));
  mkdirSync(join(folder, "folder"));
  for (const [name, why] of [
    ["file/state", /ENOTDIR|EEXIST/],
    ["taken", /EISDIR/],
    ["folder", /EISDIR/],
    ["x".repeat(300), /ENAMETOOLONG/],
  ] as const) {
    const told = await new LastState(join(folder, name), "tag").write(nodes(1));
    t.match(told, why, name);
    t.match(told, /: what is known could not be kept: /);
  }
});

t.test("a full disk leaves what was there before, and no draft", async (t) => {
  const state = new LastState(join(folder, "state"), "tag");
  t.equal(await state.write(nodes(3)), "");
  symlinkSync("/dev/full", join(folder, "state.tag.new"));
  t.match(await state.write(nodes(200)), /ENOSPC/);
  t.notOk(readdirSync(folder).includes("state.tag.new"));
  t.same((state.read() as Remembered).objects, nodes(3));
});

t.test(
  "two agents that write into one file at once leave what one of them wrote, whole, and no draft",
  async (t) => {
    const file = join(folder, "shared");
    const agents = [new LastState(file), new LastState(file)];
    const wrote = [nodes(3000), nodes(2000)];
    for (let round = 0; round < 3; round++) {
      const told = await Promise.all(agents.map((agent, i) => agent.write(wrote[i])));
      t.same(told, ["", ""]);
      const { objects } = agents[0].read() as Remembered;
      t.ok(wrote.some(({ length }) => length === objects.length));
    }
    t.same(
      readdirSync(folder).filter((name) => name.startsWith("shared")),
      ["shared"],
    );
  },
);

t.test(
  "what an agent that was killed had half written goes, and nothing of another name or agent",
  async (t) => {
    const others = ["killed.0123456789ab.new", "killed.gz.new", "killed.b.new", "killed.0123456789abc.new"];
    const old = ["killed.new", "killed.fedcba987654.new", ...others.slice(1)];
    for (const name of [...others, ...old]) writeFileSync(join(folder, name), "x".repeat(100_000));
    const longAgo = new Date(Date.now() - 700_000);
    for (const name of old) utimesSync(join(folder, name), longAgo, longAgo);
    const state = new LastState(join(folder, "killed"));
    t.equal(await state.write(nodes(200)), "");
    t.same((state.read() as Remembered).objects, nodes(200));
    t.same(
      readdirSync(folder).filter((name) => name.startsWith("killed.")),
      others.toSorted(),
    );
  },
);
