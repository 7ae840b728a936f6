// The list-and-watch of one resource: what is asked, what is told, and what becomes of servers that fail.
import t from "tap";
import type { Received } from "./received.ts";
import { Reflector, type Told } from "./reflector.ts";

interface Thing {
  readonly name: string;
  readonly version: string;
}

const object = (name: string, resourceVersion: string) => ({
  metadata: { name, namespace: "default", resourceVersion },
});
const line = (type: string, of: object): string => `${JSON.stringify({ type, object: of })}\n`;
const bookmark = (resourceVersion: string, isEnd = false): string =>
  line("BOOKMARK", {
    metadata: { resourceVersion, ...(isEnd ? { annotations: { "k8s.io/initial-events-end": "true" } } : {}) },
  });
const gone = line("ERROR", {
  kind: "Status",
  code: 410,
  reason: "Expired",
  message: "too old resource version: 1 (9)",
});

/** A reflector and the server it talks to; time goes as the test says. */
class World {
  nowMs = 0;
  readonly told: string[] = [];
  readonly reflector: Reflector<Thing>;

  constructor(over: { isOptional?: boolean } = {}) {
    this.reflector = new Reflector<Thing>({
      resource: "things",
      random: () => 0.5,
      keep: ({ metadata }: Received) =>
        metadata?.name === "bad"
          ? undefined
          : { name: metadata?.name ?? "", version: metadata?.resourceVersion ?? "" },
      bare: ({ metadata }) => ({ name: metadata?.name ?? "", version: metadata?.resourceVersion ?? "" }),
      ...over,
    });
  }

  /** The query of the request that is made now, as one text; "": none. */
  ask(): string {
    const ask = this.reflector.ask(this.nowMs);
    return ask === undefined ? "" : decodeURIComponent(String(new URLSearchParams(ask.query)));
  }

  /** As `ask`, after the time that it wants to wait. */
  askLater(): string {
    this.nowMs = Math.max(this.nowMs, this.reflector.dueMs);
    return this.ask();
  }

  answer(status: number, ...chunks: (string | Uint8Array)[]): this {
    this.reflector.onStatus(status, undefined, this.nowMs);
    for (const chunk of chunks) this.reflector.onData(Buffer.from(chunk), this.nowMs);
    return this.#look();
  }

  end(error?: string): this {
    this.reflector.onEnd(error, this.nowMs);
    return this.#look();
  }

  #look(): this {
    const text = ({ name, version }: Thing): string => `${name}@${version}`;
    for (const told of this.reflector.take() as Told<Thing>[])
      this.told.push(
        told.type === "ALL" ? `= ${told.objects.map(text)}` : `${told.type} ${text(told.object)}`,
      );
    return this;
  }
}

const STREAM =
  "watch=1&allowWatchBookmarks=true&timeoutSeconds=450&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=";
const watchFrom = (version: string): string =>
  `watch=1&allowWatchBookmarks=true&timeoutSeconds=450&resourceVersion=${version}`;

/** As far as watching, all read. */
function watching(): World {
  const world = new World();
  world.ask();
  world.answer(200, line("ADDED", object("a", "3")), bookmark("5", true));
  world.told.length = 0;
  return world;
}

t.test("a streaming list, and changes on the same connection", async (t) => {
  const world = new World();
  t.equal(world.ask(), STREAM);
  t.equal(world.ask(), "", "one at a time");
  world.answer(200, line("ADDED", object("a", "3")), line("ADDED", object("b", "4")));
  t.same(world.told, [], "nothing before it is whole");
  world.answer(
    200,
    bookmark("5", true),
    line("MODIFIED", object("a", "6")),
    line("DELETED", object("b", "7")),
  );
  t.same(world.told, ["= a@3,b@4", "MODIFIED a@6", "DELETED b@7"]);
  world.nowMs = 400_000;
  world.end();
  t.equal(world.ask(), watchFrom("7"), "and goes on from there");
  world.answer(200, bookmark("90")).end();
  t.equal(world.askLater(), watchFrom("90"), "bookmarks count");
});

t.test("cut at any byte, what was told is the same", async (t) => {
  const text = Buffer.from(
    line("ADDED", object("a", "3")) + bookmark("5", true) + line("ADDED", object("ü→", "6")) + bookmark("8"),
  );
  for (let at = 0; at <= text.length; at++) {
    const world = new World();
    world.ask();
    world.answer(200, text.subarray(0, at), text.subarray(at));
    t.same(world.told, ["= a@3", "ADDED ü→@6"], `at ${at}`);
  }
});

t.test("a connection lost at any byte: nothing is told twice, nothing by halves", async (t) => {
  const text = Buffer.from(
    line("ADDED", object("a", "3")) +
      line("ADDED", object("b", "4")) +
      bookmark("5", true) +
      line("MODIFIED", object("a", "6")),
  );
  for (let at = 0; at < text.length; at++) {
    const world = new World();
    world.ask();
    world.answer(200, text.subarray(0, at)).end("the connection was cut");
    t.ok(["", "= a@3,b@4"].includes(world.told.join()), `at ${at}: ${world.told}`);
    const again = world.askLater();
    t.equal(again, world.told.length === 0 ? STREAM : watchFrom("5"), `at ${at}`);
  }
});

t.test("a server without streaming lists: pages", async (t) => {
  for (const refusal of ["status", "event", "storage", "silence"]) {
    const world = new World();
    world.ask();
    if (refusal === "status") world.answer(422, "{}").end();
    else if (refusal === "event")
      world.answer(200, line("ERROR", { code: 422, message: "sendInitialEvents is forbidden" })).end();
    else if (refusal === "storage")
      world.answer(200, line("ERROR", { code: 500, message: "RequestWatchProgress is disabled" })).end();
    else {
      world.answer(200, line("ADDED", object("a", "3")));
      world.nowMs = world.reflector.deadlineMs;
      t.ok(world.nowMs <= 10_000);
      world.reflector.onSilence(world.nowMs);
    }
    t.equal(world.ask(), "limit=500", refusal);
    world
      .answer(
        200,
        JSON.stringify({ metadata: { continue: "c1", resourceVersion: "9" }, items: [object("a", "3")] }),
      )
      .end();
    t.same(world.told, []);
    t.equal(world.ask(), "limit=500&continue=c1");
    world
      .answer(200, JSON.stringify({ metadata: { resourceVersion: "9" }, items: [object("b", "4")] }))
      .end();
    t.same(world.told, ["= a@3,b@4"]);
    t.equal(world.ask(), watchFrom("9"));
  }
});

t.test("pages that the server has given up: the list as one", async (t) => {
  const world = new World();
  world.ask();
  world.answer(400).end();
  world.ask();
  world.answer(200, JSON.stringify({ metadata: { continue: "c1" }, items: [object("gone", "1")] })).end();
  world.ask();
  world.answer(410, "{}").end();
  t.equal(world.askLater(), "");
  t.equal(world.reflector.problem, "has forgotten the version that it gave");
  world.answer(200, JSON.stringify({ metadata: { resourceVersion: "9" }, items: [object("a", "3")] })).end();
  t.same(world.told, ["= a@3"], "nothing of the list that was given up");
  t.equal(world.reflector.problem, "");
});

t.test("410 Gone, as a status or as an event: everything anew, nothing emptied meanwhile", async (t) => {
  for (const refuse of [(w: World) => w.answer(410, "{}").end(), (w: World) => w.answer(200, gone).end()]) {
    const world = watching();
    world.end();
    world.askLater();
    refuse(world);
    t.same(world.told, []);
    t.equal(world.askLater(), STREAM);
    world.answer(200, line("ADDED", object("c", "12")), bookmark("12", true));
    t.same(world.told, ["= c@12"]);
  }
});

t.test("waiting grows to its limit, with jitter, and begins anew once it works", async (t) => {
  const world = new World();
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    world.askLater();
    world.end("connection refused");
    waits.push(world.reflector.dueMs - world.nowMs);
  }
  t.same(waits, [187.5, 375, 750, 1500, 3000, 6000, 11_250, 11_250, 11_250]);
  t.equal(world.reflector.problem, "connection refused");
  world.askLater();
  world.answer(200, bookmark("5", true));
  t.equal(world.reflector.problem, "");
  world.end("the connection was cut");
  t.equal(world.reflector.dueMs - world.nowMs, 187.5);
});

t.test("a server that is about to be there is asked each second at least", async (t) => {
  const world = new World();
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    world.askLater();
    world.reflector.onEnd("connection refused", world.nowMs, true);
    waits.push(world.reflector.dueMs - world.nowMs);
  }
  t.same(waits, [187.5, 375, 750, 750, 750]);
  world.ask();
  t.equal(world.reflector.problem, "connection refused");
});

t.test("that it was away for long does not make the waits longer once it is there", async (t) => {
  const world = new World();
  for (let i = 0; i < 30; i++) {
    world.askLater();
    world.reflector.onEnd("connection refused", world.nowMs, true);
  }
  const waits: number[] = [];
  for (let i = 0; i < 3; i++) {
    world.askLater();
    world.reflector.onEnd("no connection within 10 s", world.nowMs);
    waits.push(world.reflector.dueMs - world.nowMs);
  }
  t.same(waits, [750, 1500, 3000]);
});

t.test("Retry-After is kept to, by header and by status", async (t) => {
  const world = new World();
  world.ask();
  world.reflector.onStatus(429, "7", 0);
  world.end();
  t.equal(world.reflector.dueMs, 7125);
  world.askLater();
  world
    .answer(503, JSON.stringify({ message: "storage is initializing", details: { retryAfterSeconds: 3 } }))
    .end();
  t.equal(world.reflector.dueMs - world.nowMs, 3125);
  t.equal(world.reflector.problem, "storage is initializing");
  world.askLater();
  world.reflector.onStatus(429, "86400", world.nowMs);
  world.end();
  t.ok(world.reflector.dueMs - world.nowMs <= 60_250, "but not for a day");
});

t.test("refused credentials, missing rights, a resource that is not there", async (t) => {
  const world = new World();
  world.ask();
  world.answer(401, "{}").end();
  t.ok(world.reflector.needsCredentials);
  world.askLater();
  world.answer(403, JSON.stringify({ message: 'things is forbidden: User "x" cannot list' })).end();
  t.equal(world.reflector.needsCredentials, false);
  t.match(world.reflector.problem, /^things is forbidden/);
  world.askLater();
  world.answer(404, "404 page not found\n").end();
  t.equal(world.reflector.problem, "has no things: answered 404");
  const optional = new World({ isOptional: true });
  optional.ask();
  optional.answer(404, "").end();
  t.same([optional.told, optional.reflector.problem], [["= "], ""]);
  t.equal(optional.ask(), "", "it is looked for later");
  t.equal(optional.reflector.dueMs, 60_000);
  t.equal(optional.askLater(), STREAM);
});

t.test("what cannot be used is left out, and hides nothing", async (t) => {
  const world = new World();
  world.ask();
  world.answer(200, line("ADDED", object("bad", "1")), line("ADDED", object("a", "3")), bookmark("5", true));
  world.answer(200, line("MODIFIED", object("bad", "6")), line("MODIFIED", object("a", "7")));
  t.same(world.told, ["= a@3", "UNUSABLE bad@6", "MODIFIED a@7"]);
  world.end();
  t.equal(world.askLater(), watchFrom("7"));
});

t.test("nonsense ends the connection, not the watch", async (t) => {
  const lines = [
    ...["<html>", "null", "5", "[]", '"text"', "{}", '{"type":"SURPRISE","object":{}}'],
    ...['{"type":"MODIFIED"}', '{"type":"MODIFIED","object":null}', '{"type":"DELETED","object":{}}'],
    ...[
      '{"type":"BOOKMARK","object":{"metadata":null}}',
      '{"type":"ADDED","object":{"metadata":{"name":7}}}',
    ],
    '{"type":"ADDED","object":{"metadata":{"name":"x","namespace":{"toString":1}}}}',
    '{"type":"ADDED","object":{"metadata":{"name":"x","annotations":["y"]}}}',
  ].map((each) => `${each}\n`);
  for (const text of [...lines, "x".repeat(17 * 1024 * 1024)]) {
    const world = watching();
    world.answer(200, line("MODIFIED", object("a", "6")), text, line("DELETED", object("a", "7")));
    t.same(world.told, ["MODIFIED a@6"], `what comes after ${text.slice(0, 60)} is not believed`);
    t.ok(world.reflector.isOver);
    t.match(world.reflector.problem, /^sent .{9,250}$/);
    world.end();
    t.equal(world.askLater(), watchFrom("6"));
  }
});

t.test("errors that say nothing, or say it otherwise than a server does", async (t) => {
  for (const object of ["null", "[]", '"x"', '{"code":"410","message":{"a":1},"details":null}']) {
    const world = watching();
    world.answer(200, `{"type":"ERROR","object":${object}}\n`);
    t.equal(world.reflector.problem, "ERROR ");
    world.end();
    t.equal(world.askLater(), STREAM);
    world.answer(500, object).end();
    t.equal(world.reflector.problem, "answered 500");
  }
  const long = new World();
  long.ask();
  long.answer(503, JSON.stringify({ message: `two\nlines\u001b[31m${"x".repeat(9000)}` })).end();
  t.match(long.reflector.problem, /^two lines \[31mx{400,500}…$/);
});

t.test("what is no list is not an empty one: nothing that was known is emptied by it", async (t) => {
  const portal = '{"kind":"Status","status":"Success"}';
  for (const text of [
    ...["null", "[]", "{}", "5", portal, '{"items":[]}', '{"metadata":{"resourceVersion":"9"},"items":{}}'],
    ...[
      '{"metadata":{"resourceVersion":9},"items":[]}',
      '{"metadata":{"resourceVersion":"9"},"items":[null]}',
    ],
    '{"metadata":{"resourceVersion":"9"},"items":[{"metadata":{}}]}',
  ]) {
    const world = watching();
    world.answer(200, gone).end(); // everything is to be told anew
    t.equal(world.askLater(), STREAM);
    world.answer(422, "{}").end();
    t.equal(world.askLater(), "limit=500");
    world.answer(200, text).end();
    t.same(world.told, [], text);
    t.match(world.reflector.problem, /^sent .{9,250}$/, text);
    t.equal(world.askLater(), "limit=500");
    world.answer(200, '{"metadata":{"resourceVersion":"9"},"items":null}').end();
    t.same(world.told, ["= "], "as Go writes an empty one");
  }
});

t.test("a list without an end is given up before it fills the memory", async (t) => {
  const world = new World();
  world.ask();
  world.answer(422, "{}").end();
  world.ask();
  world.reflector.onStatus(200, undefined, 0);
  const chunk = Buffer.alloc(16 * 1024 * 1024, " ");
  let count = 0;
  while (!world.reflector.isOver && count++ < 100) world.reflector.onData(chunk, 0);
  t.equal(count, 17);
  t.equal(world.reflector.problem, "sent a list that does not end");
});

t.test("a server that has forgotten each version that it gives is asked less and less often", async (t) => {
  for (const streams of [true, false]) {
    const world = new World();
    const list = (): void => {
      t.equal(world.askLater(), streams ? STREAM : "limit=500");
      if (streams) world.answer(200, bookmark("5", true), gone);
      else world.answer(200, '{"metadata":{"resourceVersion":"5"},"items":[]}').end();
    };
    if (!streams) {
      world.ask();
      world.answer(422, "{}").end();
    }
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      list();
      if (!streams) {
        t.equal(world.askLater(), watchFrom("5"));
        world.answer(410, "{}");
      }
      world.end();
      waits.push(world.reflector.dueMs - world.nowMs);
    }
    t.same(waits, [streams ? 187.5 : 0, 375, 750, 1500, 3000, 6000, 11_250, 11_250]);
    list();
    if (!streams) world.askLater();
    else {
      world.end();
      world.askLater();
      world.answer(200, bookmark("5", true));
    }
    world.answer(200, line("ADDED", object("a", "6")), gone).end();
    t.ok(world.reflector.dueMs - world.nowMs <= 187.5, "it works again, and then forgets");
  }
});

t.test("silence: a list has a minute, a watch its own time", async (t) => {
  const world = new World();
  world.ask();
  t.equal(world.reflector.deadlineMs, 60_000);
  world.nowMs = 60_000;
  world.reflector.onSilence(world.nowMs);
  t.equal(world.reflector.problem, "no answer");
  const mute = watching();
  mute.nowMs = 1000;
  mute.end();
  mute.askLater();
  t.equal(mute.reflector.deadlineMs - mute.nowMs, 60_000, "nor has a watch longer that does not begin");
  const later = watching();
  t.equal(later.reflector.deadlineMs, 465_000);
  later.nowMs = 465_000;
  later.reflector.onSilence(later.nowMs);
  t.equal(later.askLater(), watchFrom("5"));
});

t.test("a server that ends each watch at once is not asked without a pause", async (t) => {
  const world = watching();
  world.end();
  world.askLater();
  world.answer(200).end();
  t.equal(world.ask(), "");
  t.ok(world.reflector.dueMs > world.nowMs);
});
