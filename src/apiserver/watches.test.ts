// Watches: judged by podwire's own client of real API servers, over connections that are cut at any byte.
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import t from "tap";
import type { StoreEvent } from "../cluster/store.ts";
import { ServedCluster } from "../testing/api-server/served-cluster.ts";
import { makeCluster } from "../testing/world/make-cluster.ts";
import type { Received } from "../watch/api-server/received.ts";
import { Reflector, type Told } from "../watch/api-server/reflector.ts";
import { History } from "./history.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";

interface Heard {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: objects of every kind
  readonly object: any;
}

/** Lines of a watch, whole ones. */
function follow(served: ServedCluster, url: string, accept?: string) {
  const heard: Heard[] = [];
  let rest = "";
  const watching = served.watch(
    url,
    (bytes) => {
      const lines = (rest + bytes.toString("utf8")).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) heard.push(JSON.parse(line));
    },
    accept === undefined ? {} : { accept },
  );
  const said = async (): Promise<string[]> => {
    await turn();
    return heard
      .splice(0)
      .map(({ type, object }) => `${type} ${object.metadata?.name ?? object.reason ?? ""}`);
  };
  return { heard, watching, said };
}

const put = (served: ServedCluster, name: string, labels = {}): void => {
  const body = { metadata: { name, labels } };
  const there = served.call(`GET ${MAPS}/${name}`).code === 200;
  const { code } = served.call(there ? `PUT ${MAPS}/${name}` : `POST ${MAPS}`, body);
  if (code >= 300) throw new Error(`${code}`);
};

t.test("who asks can wait until those who watch are told, and waits for nobody where they are", async (t) => {
  const served = new ServedCluster();
  put(served, "a");
  t.equal(served.api.telling, undefined, "nobody watches");
  const { heard } = follow(served, `${MAPS}?watch=1&resourceVersion=0`);
  await served.api.telling;
  t.equal(heard.length, 1);
  put(served, "b");
  put(served, "c");
  t.equal(heard.length, 1, "what comes in one turn goes out together");
  await served.api.telling;
  t.equal(heard.length, 3);
  t.equal(served.api.telling, undefined);
  served.api.close();
});

t.test("from a version on, from now on, and with what there is first", async (t) => {
  const served = new ServedCluster();
  put(served, "a");
  const { resourceVersion } = served.call(`GET ${MAPS}`).body.metadata;
  put(served, "b");
  const from = follow(served, `${MAPS}?watch=1&resourceVersion=${resourceVersion}`);
  const all = follow(served, `${MAPS}?watch=true`);
  const stream = follow(
    served,
    `${MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
  );
  t.same(await from.said(), ["ADDED b"]);
  t.same(await all.said(), ["ADDED a", "ADDED b"]);
  const bookmark = stream.heard.at(-1)?.object;
  t.same(bookmark.metadata.annotations, { "k8s.io/initial-events-end": "true" });
  t.equal(bookmark.metadata.resourceVersion, String(served.cluster.store.version));
  t.same(await stream.said(), ["ADDED a", "ADDED b", "BOOKMARK "]);
  put(served, "a", { x: "y" });
  served.call(`DELETE ${MAPS}/b`);
  for (const each of [from, all, stream]) t.same(await each.said(), ["MODIFIED a", "DELETED b"]);
  from.watching.stop();
  put(served, "c");
  t.same(await from.said(), []);
  t.same(await all.said(), ["ADDED c"]);
  served.api.close();
  t.ok(all.watching.isOver);
});

t.test("who watches by selectors is told when an object comes in and when it goes out", async (t) => {
  const served = new ServedCluster();
  const watch = follow(served, `${MAPS}?watch=1&labelSelector=x%3Dy`);
  const one = follow(served, `${MAPS}/a?watch=1`);
  put(served, "a");
  t.same(await watch.said(), []);
  put(served, "a", { x: "y" });
  put(served, "a", { x: "y", more: "1" });
  put(served, "a", { x: "z" });
  put(served, "b", { x: "y" });
  t.same(await watch.said(), ["ADDED a", "MODIFIED a", "DELETED a", "ADDED b"]);
  t.same(await one.said(), ["ADDED a", "MODIFIED a", "MODIFIED a", "MODIFIED a"]);
  const other = follow(served, "/api/v1/namespaces/kube-system/configmaps?watch=1");
  put(served, "c");
  t.same(await other.said(), []);
  served.api.close();
});

t.test("of large objects fewer changes are remembered", async (t) => {
  const { store } = makeCluster();
  const history = new History(store, 10, 5000);
  const add = (version: number, size: number): void => {
    const metadata = { name: "a", resourceVersion: String(version) };
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { a: "x".repeat(size) } };
    history.add({ type: "MODIFIED", object } as unknown as StoreEvent);
  };
  const versions = (after: number): unknown => history.since(after)?.map(({ version }) => version);
  const { compacted } = history;
  for (let i = 1; i <= 30; i++) add(compacted + i, 1);
  t.equal(history.compacted, compacted + 20);
  t.same(versions(compacted + 28), [compacted + 29, compacted + 30]);
  t.equal(versions(compacted + 19), undefined);
  for (let i = 31; i <= 60; i++) add(compacted + i, 2000);
  t.equal(history.compacted, compacted + 58);
  t.same(versions(compacted + 58), [compacted + 59, compacted + 60]);
  add(compacted + 61, 9000);
  t.same(versions(compacted + 61), [], "not even itself");
  t.equal(versions(compacted + 60), undefined);
});

t.test("a version whose changes are forgotten, and one that is not there yet", async (t) => {
  const served = new ServedCluster(3);
  const { resourceVersion } = served.call(`GET ${MAPS}`).body.metadata;
  for (const name of ["a", "b", "c", "d"]) put(served, name);
  const old = follow(served, `${MAPS}?watch=1&resourceVersion=${resourceVersion}`);
  t.match(old.heard, [{ type: "ERROR", object: { code: 410, reason: "Expired" } }]);
  t.ok(old.watching.isOver);
  const kept = follow(served, `${MAPS}?watch=1&resourceVersion=${Number(resourceVersion) + 1}`);
  t.same(await kept.said(), ["ADDED b", "ADDED c", "ADDED d"]);
  const early = follow(served, `${MAPS}?watch=1&resourceVersion=999999`);
  t.match(early.heard, [{ type: "ERROR", object: { code: 504 } }]);
  try {
    follow(served, `${MAPS}?watch=1&sendInitialEvents=true`);
    t.fail("refused");
  } catch (error) {
    t.match(error, { status: { code: 422, details: { causes: [{ field: "resourceVersionMatch" }] } } });
  }
  served.api.close();
});

type Op =
  | { readonly do: "put" | "delete"; readonly name: string }
  | { readonly do: "cut"; readonly bytes: number }
  | { readonly do: "turn" };

const name = fc.constantFrom("a", "b", "c", "d");
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("put" as const), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), name }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), bytes: fc.nat(900) }) },
  { weight: 2, arbitrary: fc.constant({ do: "turn" as const }) },
);

/** A client whose connection carries so many bytes and is cut then. */
class Client {
  readonly #served: ServedCluster;
  readonly #reflector = new Reflector<Received>({
    resource: "configmaps",
    keep: (o) => o,
    bare: (o) => o,
    random: () => 0,
  });
  /** Name → version. */
  readonly known = new Map<string, string>();
  readonly wrong: string[] = [];
  #last = 0;
  #left = Number.POSITIVE_INFINITY;
  #stop: (() => void) | undefined;
  #nowMs = 0;

  constructor(served: ServedCluster) {
    this.#served = served;
  }

  cutAfter(bytes: number): void {
    this.#left = bytes;
  }

  /** Asks, where no request is on its way. */
  connect(): void {
    if (this.#stop !== undefined) return;
    this.#nowMs += 60_000;
    const ask = this.#reflector.ask(this.#nowMs);
    if (ask === undefined) return;
    this.#reflector.onStatus(200, undefined, this.#nowMs);
    const watching = this.#served.watch(`${MAPS}?${new URLSearchParams(ask.query)}`, (bytes) =>
      this.#hear(bytes),
    );
    this.#stop = watching.stop;
    if (watching.isOver) this.#end(undefined);
  }

  #hear(bytes: Buffer): void {
    if (this.#stop === undefined && this.#left < 0) return;
    const part = bytes.subarray(0, Math.max(0, Math.min(bytes.length, this.#left)));
    this.#left -= bytes.length;
    this.#reflector.onData(part, this.#nowMs);
    this.#take();
    if (this.#left < 0) this.#end("cut");
    else if (this.#reflector.isOver) this.#end(undefined);
  }

  #end(why: string | undefined): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#left = Number.POSITIVE_INFINITY;
    this.#reflector.onEnd(why, this.#nowMs);
    this.#take();
  }

  #take(): void {
    for (const told of this.#reflector.take()) this.#told(told);
  }

  #told(told: Told<Received>): void {
    if (told.type === "ALL") {
      this.known.clear();
      for (const { metadata } of told.objects)
        this.known.set(metadata?.name ?? "", metadata?.resourceVersion ?? "");
      this.#last = Math.max(this.#last, ...[...this.known.values()].map(Number));
      return;
    }
    const { name: of = "", resourceVersion = "" } = told.object.metadata ?? {};
    const isKnown = this.known.has(of);
    if (Number(resourceVersion) <= this.#last)
      this.wrong.push(`${told.type} ${of} told twice: ${resourceVersion}`);
    if (isKnown === (told.type === "ADDED")) this.wrong.push(`${told.type} ${of}, known: ${isKnown}`);
    this.#last = Number(resourceVersion);
    if (told.type === "DELETED") this.known.delete(of);
    else this.known.set(of, resourceVersion);
  }
}

t.test("a watch that is cut at any byte goes on: nothing is lost, nothing comes twice", async (t) => {
  const run = fc.asyncProperty(fc.array(op, { maxLength: 60 }), async (ops) => {
    const served = new ServedCluster(40);
    const client = new Client(served);
    for (const [i, each] of ops.entries()) {
      client.connect();
      if (each.do === "put") put(served, each.name, { i: String(i) });
      else if (each.do === "delete") served.call(`DELETE ${MAPS}/${each.name}`);
      else if (each.do === "cut") client.cutAfter(each.bytes);
      else await turn();
    }
    for (let i = 0; i < 4; i++) {
      await turn();
      client.connect();
    }
    await turn();
    const items = served.call(`GET ${MAPS}`).body.items as Received[];
    const is = items.map(({ metadata }): [string, string] => [
      metadata?.name ?? "",
      metadata?.resourceVersion ?? "",
    ]);
    served.api.close();
    const known = [...client.known].sort();
    return client.wrong.length === 0 && JSON.stringify(known) === JSON.stringify(is.sort());
  });
  await fc.assert(run, { numRuns: 150 });
  t.pass();
});

const METHODS = fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS");
const WORDS = fc.constantFrom(
  ...[
    "api",
    "apis",
    "v1",
    "apps",
    "namespaces",
    "default",
    "pods",
    "configmaps",
    "deployments",
    "status",
    "scale",
  ],
  ...[
    "services",
    "nodes",
    "eviction",
    "binding",
    "token",
    "a",
    "%2e%2e",
    "..",
    "watch",
    "events",
    "version",
    "",
  ],
);
const QUERY = fc.record(
  {
    ...{ watch: fc.constantFrom("1", "true", "0", "x"), limit: fc.string(), continue: fc.string() },
    ...{ labelSelector: fc.string(), fieldSelector: fc.string(), resourceVersion: fc.string() },
    ...{ resourceVersionMatch: fc.string(), sendInitialEvents: fc.constantFrom("true", "false") },
    ...{ timeoutSeconds: fc.string(), dryRun: fc.constantFrom("All", "x"), gracePeriodSeconds: fc.string() },
    fieldValidation: fc.constantFrom("Strict", "Warn", "Ignore", "x"),
  },
  { requiredKeys: [] },
);
const TYPES = fc.constantFrom(
  "application/json",
  "application/merge-patch+json",
  "application/yaml",
  undefined,
);

t.test("whatever is asked, there is an answer", async (t) => {
  const served = new ServedCluster(10);
  const body = fc.oneof(
    fc.string(),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc
      .record(
        { metadata: fc.jsonValue(), spec: fc.jsonValue(), data: fc.jsonValue(), status: fc.jsonValue() },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify({ ...value, metadata: { name: "a", ...(value.metadata as object) } })),
  );
  const run = fc.property(
    METHODS,
    fc.array(WORDS, { maxLength: 8 }),
    QUERY,
    body,
    TYPES,
    (method, words, query, text, type) => {
      const given = Object.entries(query).filter(([, value]) => value !== undefined) as [string, string][];
      const url = `/${words.join("/")}?${new URLSearchParams(given)}`;
      const isWatch = method === "GET" && ["1", "true", "x"].includes(query.watch ?? "");
      if (!isWatch) {
        served.call(`${method} ${url}`, text, type === undefined ? {} : { type });
        return;
      }
      try {
        served.watch(url, () => {}).stop();
      } catch (error) {
        if (
          !/is no watch|StatusError/.test(String(error)) &&
          (error as { status?: object }).status === undefined
        )
          throw error;
      }
    },
  );
  fc.assert(run, { numRuns: 3000 });
  served.api.close();
  t.pass();
});
