// Files as a source: what was there, then changes, whatever happens in between.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import { parseSteps, type Readings } from "../kube/manifest/manifest.ts";
import type { ObjectEvent } from "./desired-state.ts";
import { FilesSource } from "./files-source.ts";
import type { ObjectSource } from "./source.ts";

const service = (name: string, port = 80) => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default" },
  spec: { ports: [{ port }] },
});

/** Collects what a source tells; `until` waits for a state of it. */
class Recorder {
  readonly events: string[] = [];
  readonly problems: string[] = [];
  synced = 0;
  #wake = (): void => {};

  constructor(source: ObjectSource) {
    source.start({
      events: (events: readonly ObjectEvent[], synced: boolean) => {
        for (const { type, object } of events) this.events.push(`${type} ${object.metadata.name}`);
        if (synced) this.synced++;
        this.#wake();
      },
      problem: (error) => {
        this.problems.push(error.message);
        this.#wake();
      },
    });
  }

  async until(holds: () => boolean): Promise<void> {
    const deadline = Date.now() + 5000;
    while (!holds()) {
      if (Date.now() > deadline)
        throw new Error(`waited in vain; ${JSON.stringify([this.events, this.problems])}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 100);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

t.test("files: named ones and directories, changed, replaced, broken, mended, taken away", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "podwire-files-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = (name: string) => join(directory, name);
  writeFileSync(file("a.yaml"), JSON.stringify(service("a")));
  writeFileSync(file("ignored.txt"), "not: [a manifest");
  const source = new FilesSource([directory]);
  const heard = new Recorder(source);
  t.teardown(() => source.close());
  t.same([heard.events, heard.synced], [["ADDED a"], 1]);

  writeFileSync(file("b.yml"), JSON.stringify(service("b")));
  await heard.until(() => heard.events.includes("ADDED b"));
  writeFileSync(file("new"), JSON.stringify(service("a", 81)));
  renameSync(file("new"), file("a.yaml"));
  await heard.until(() => heard.events.includes("MODIFIED a"));
  writeFileSync(file("a.yaml"), "apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: {}\n");
  await heard.until(() => heard.problems.length > 0);
  t.match(heard.problems[0], /a\.yaml:4:1: document 1: Service "a": spec\.ports: Required value/);
  t.notOk(heard.events.includes("DELETED a"), "a broken file changes nothing");
  const before = [heard.synced, heard.events.length];
  writeFileSync(file("a.yaml"), JSON.stringify(service("a", 81)));
  await heard.until(() => heard.synced > before[0]);
  t.same(
    [heard.synced - before[0], heard.events.length],
    [1, before[1]],
    "mended as it was: told, with no change",
  );
  rmSync(file("a.yaml"));
  await heard.until(() => heard.events.includes("DELETED a"));
  t.same(heard.events, ["ADDED a", "ADDED b", "MODIFIED a", "DELETED a"]);
});

t.test("files: what is not the network's business is said once, not at every reading", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "podwire-files-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "a.yaml");
  const account = JSON.stringify({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "a" } });
  const write = (port: number, text: string) =>
    writeFileSync(file, `${text}\n---\n${JSON.stringify(service("a", port))}`);
  write(80, account);
  const source = new FilesSource([directory]);
  const notes: string[] = [];
  let synced = 0;
  source.start({ events: () => synced++, problem: t.error, note: (text) => notes.push(text) });
  t.teardown(() => source.close());
  write(81, account);
  source.reload();
  t.same(notes, ["note: passed over, not the network's: 1 ServiceAccount"]);
  write(81, `${account}\n---\n${account}`);
  source.reload();
  t.equal(notes[1], "note: passed over, not the network's: 2 ServiceAccount");
  t.equal(synced, 3);
});

t.test("files: one named file is followed through a rename over it", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "podwire-files-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "a.json");
  writeFileSync(file, JSON.stringify(service("a")));
  const source = new FilesSource([file]);
  const heard = new Recorder(source);
  t.teardown(() => source.close());
  writeFileSync(
    `${file}.tmp`,
    JSON.stringify({ apiVersion: "v1", kind: "List", items: [service("a"), service("b")] }),
  );
  renameSync(`${file}.tmp`, file);
  await heard.until(() => heard.events.includes("ADDED b"));
  t.same(heard.events, ["ADDED a", "ADDED b"]);
});

t.test("files: of many documents those that changed are told, and where they stand now", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "podwire-files-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "all.yaml");
  const document = (name: string, port: number) =>
    `apiVersion: v1\nkind: Service\nmetadata:\n  name: ${name}\nspec:\n  ports:\n  - port: ${port}\n`;
  const write = (...documents: string[]) => writeFileSync(file, documents.join("---\n"));
  const [a, b, c] = ["a", "b", "c"].map((name) => document(name, 80));
  write(a, b, c);
  const source = new FilesSource([file]);
  const heard = new Recorder(source);
  t.teardown(() => source.close());
  heard.events.length = 0;
  write(a, document("b", 81), document("d", 80), c);
  await heard.until(() => heard.events.length > 1);
  t.same(heard.events, ["MODIFIED b", "ADDED d"]);
  write("# a line more\n", a, document("b", 81), c, a);
  await heard.until(() => heard.problems.length > 0);
  t.match(heard.problems[0], /all\.yaml:30:9: document 4: Service "a": metadata\.name: Duplicate value: "a"/);
  write(document("b", 70_000), a);
  await heard.until(() => heard.problems.length > 1);
  write(c, document("b", 81), a, document("d", 80));
  source.reload();
  await heard.until(() => heard.synced > 2);
  t.same(heard.events, ["MODIFIED b", "ADDED d"], "order is nothing that is told");
});

t.test("what is kept of older texts is what they said, not the texts", async (t) => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const heapMb = (): number => {
    collect();
    return process.memoryUsage().heapUsed / 2 ** 20;
  };
  const document = (name: string, port: number): string =>
    `apiVersion: v1\nkind: Service\nmetadata:\n  name: a-service-with-a-long-name-${name}\nspec:\n  ports:\n  - port: ${port}\n`;
  const padding = `# ${"x".repeat(1 << 20)}\n`;
  const kept: unknown[] = [];
  let readings: Readings = new Map();
  const before = heapMb();
  for (let version = 0; version < 40; version++) {
    const documents = Array.from({ length: 40 }, (_, i) => document(`${i}`, i === version ? 81 : 80));
    const text = `${padding}---\n${documents.join("---\n")}`;
    const after: Readings = new Map();
    const steps = parseSteps([{ file: "x.yaml", text }], {}, readings, after);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    kept.push(step.value[version].object);
    readings = after;
  }
  const grown = heapMb() - before;
  t.ok(grown < 15, `${grown.toFixed(1)} MB for ${kept.length} objects of 40 texts of 1 MB`);
});

t.test(
  "files: many objects are read over several turns, and what changes meanwhile after them",
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), "podwire-files-"));
    t.teardown(() => rmSync(directory, { recursive: true }));
    const file = join(directory, "all.json");
    const list = (count: number) =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "List",
        items: Array.from({ length: count }, (_, i) => service(`s${i}`)),
      });
    writeFileSync(file, list(8000));
    const source = new FilesSource([directory]);
    let turns = 0;
    const counting = setInterval(() => turns++, 1);
    t.teardown(() => clearInterval(counting));
    const heard = new Recorder(source);
    t.teardown(() => source.close());
    t.equal(heard.synced, 0, "not at once");
    writeFileSync(file, list(7999));
    source.reload();
    await heard.until(() => heard.synced === 2);
    t.ok(turns > 1, `${turns} turns meanwhile`);
    t.equal(heard.events.length, 8001);
    t.equal(heard.events.at(-1), "DELETED s7999");
  },
);

/** A server that answers each watch with the objects of the moment and keeps the connection. */
