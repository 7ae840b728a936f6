// What is read again is what was written, whenever its writer was killed.
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { Store } from "../cluster/store.ts";
import { type KubeObject, keyOf } from "../kube/objects.ts";
import { Prng } from "../testing/prng.ts";
import { readState, type SavedState, StateWriter } from "./state-files.ts";

const directory = mkdtempSync(join(tmpdir(), "podwire-state-files-"));
t.teardown(() => rmSync(directory, { recursive: true }));

const configMap = (name: string, value: string): KubeObject =>
  ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, namespace: "default" },
    data: { value },
  }) as never;

const allOf = (store: Store): KubeObject[] => store.kinds.flatMap((kind) => store.list(kind));

function begin(name: string, logMax?: number): { store: Store; writer: StateWriter; path: string } {
  const store = new Store();
  const path = join(directory, `${name}.json`);
  const stored = {
    get version() {
      return store.version;
    },
    objects: () => allOf(store),
  };
  const writer = new StateWriter(path, stored, logMax);
  store.watch(({ type, object }) => writer.changed({ type, object }));
  return { store, writer, path };
}

const read = (path: string): SavedState => {
  const found = readState(path);
  if (typeof found === "string") throw new Error(found);
  return found;
};

t.test("what changes is appended, and read again with what was there", async (t) => {
  const { store, writer, path } = begin("plain");
  t.equal(readState(path), "missing");
  for (const name of ["a", "b", "c"]) store.put(configMap(name, "1"));
  await writer.write();
  const whole = readFileSync(path, "utf8");
  store.put(configMap("b", "2"));
  store.put(configMap("b", "3"));
  store.remove("ConfigMap", "default/a");
  store.put(configMap("d", "1"));
  await writer.write();
  t.equal(readFileSync(path, "utf8"), whole, "the file of all objects stays as it is");
  const log = join(directory, "plain.1.log");
  t.equal(
    readFileSync(log, "utf8").trim().split("\n").length,
    4,
    "an object that changed twice is there once",
  );
  t.equal(statSync(log).mode & 0o777, 0o600, "there may be Secrets in it");
  t.same(read(path).objects, allOf(store));
  t.equal(read(path).saved.resourceVersion, store.version);
  await writer.write();
  t.equal(readFileSync(log, "utf8").trim().split("\n").length, 4, "nothing has changed");
});

t.test("of a batch whose writer was killed nothing is read, of the one before everything", async (t) => {
  const { store, writer, path } = begin("killed");
  await writer.write();
  store.put(configMap("a", "1"));
  await writer.write();
  const before = allOf(store);
  const { version } = store;
  const log = join(directory, "killed.1.log");
  const { size } = statSync(log);
  store.put(configMap("a", "2"));
  store.put(configMap("b", "2"));
  await writer.write();
  for (let end = statSync(log).size - 2; end >= size; end -= 7) {
    truncateSync(log, end);
    t.same(read(path).objects, before);
    t.equal(read(path).saved.resourceVersion, version);
  }
});

t.test("who goes on behind somebody who was killed begins with all objects", async (t) => {
  const { store, writer, path } = begin("again");
  await writer.write();
  store.put(configMap("a", "1"));
  await writer.write();
  appendFileSync(join(directory, "again.1.log"), '{"object":{"kind":"Conf');
  const next = new StateWriter(path, { version: store.version, objects: () => allOf(store) });
  await next.write();
  next.changed({ type: "MODIFIED", object: configMap("a", "2") });
  await next.write();
  t.same(read(path).objects, [configMap("a", "2")]);
  t.notOk(existsSync(join(directory, "again.1.log")));
});

t.test("a log that is long gives way to all objects, again and again", async (t) => {
  const { store, writer, path } = begin("long", 2000);
  const random = new Prng(7);
  for (let i = 0; i < 400; i++) {
    const name = `m${random.below(20)}`;
    if (random.below(4) === 0) store.remove("ConfigMap", `default/${name}`);
    else store.put(configMap(name, "x".repeat(random.below(300))));
    if (random.below(3) === 0) {
      await writer.write();
      t.same(read(path).objects.map(keyOf), allOf(store).map(keyOf));
      t.same(read(path).objects, allOf(store));
    }
  }
  const { log } = JSON.parse(readFileSync(path, "utf8")) as { log: number };
  t.ok(log > 5, `${log} logs`);
  t.notOk(existsSync(join(directory, `long.${log - 1}.log`)), "the one before is gone");
});

t.test("what changes while all objects are written is not lost", async (t) => {
  const { store, writer, path } = begin("meanwhile");
  for (let i = 0; i < 50; i++) store.put(configMap(`m${i}`, "x".repeat(20_000)));
  const writing = writer.write();
  await new Promise((resolve) => setImmediate(resolve));
  store.put(configMap("m0", "late"));
  store.remove("ConfigMap", "default/m49");
  await writing;
  await writer.write();
  t.same(read(path).objects, allOf(store));
});

t.test("after a writing that failed all objects are written", async (t) => {
  const { store, writer, path } = begin("failed");
  await writer.write();
  store.put(configMap("a", "1"));
  const circular = configMap("b", "1") as KubeObject & { self?: unknown };
  circular.self = circular;
  writer.changed({ type: "ADDED", object: circular });
  await t.rejects(writer.write());
  await writer.write();
  t.same(read(path).objects, allOf(store));
});
