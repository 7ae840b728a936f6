// Which Events are written for what happens again and again, and what becomes of them when the server refuses.
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { refuse, StandIn } from "../../testing/api-server/stand-in.ts";
import { ApiConnection } from "./connection.ts";
import { EventCorrelator, type Happening } from "./event-correlator.ts";
import { EventWriter } from "./event-writer.ts";

const MINUTE_MS = 60_000;
const BEGIN_MS = Date.UTC(2026, 0, 1);
const object = { apiVersion: "v1", kind: "Service", namespace: "shop", name: "web", uid: "u1" };
const happening = (message: string, more: Partial<Happening["object"]> = {}): Happening => ({
  ...{ object: { ...object, ...more }, type: "Warning", reason: "Unusable", message },
});

t.test("nodes that see the same at once have Events of their own", async (t) => {
  const names = ["node1", "node2", "node3"].map(
    (node) => new EventCorrelator("podwire", node).record(happening("a"), BEGIN_MS)?.name,
  );
  t.equal(new Set(names).size, 3, `${names}`);
});

t.test("the same again is counted up, in the event that is there", async (t) => {
  const events = new EventCorrelator("podwire", "node1");
  const first = events.record(happening("a"), BEGIN_MS);
  t.match(first, {
    ...{ method: "POST", namespace: "shop", name: /^web\.[0-9a-f]{16}$/ },
    body: {
      ...{ metadata: { namespace: "shop" }, involvedObject: object, message: "a", count: 1 },
      ...{
        firstTimestamp: "2026-01-01T00:00:00Z",
        reportingComponent: "podwire",
        reportingInstance: "node1",
      },
    },
  });
  const second = events.record(happening("a"), BEGIN_MS + 2500);
  t.same([second?.method, second?.name], ["PATCH", first?.name]);
  t.same(second?.body, { count: 2, lastTimestamp: "2026-01-01T00:00:02Z", message: "a" });
  t.match(second?.whole, { count: 2, firstTimestamp: "2026-01-01T00:00:00Z" });
  const others = [happening("b"), happening("a", { uid: "u2" })].map((one) => events.record(one, BEGIN_MS));
  t.same(
    others.map((write) => write?.method),
    ["POST", "POST"],
  );
  t.equal(new Set([first, ...others].map((write) => write?.name)).size, 3);
  const long = events.record(
    happening("x".repeat(5000), { name: `${"n".repeat(230)}.${"m".repeat(22)}` }),
    0,
  );
  t.ok(Buffer.byteLength(long?.name ?? "") <= 253 && String(long?.body.message).length === 1024);
  const { namespace: _none, ...wide } = happening("c").object;
  t.equal(events.record({ ...happening("c"), object: wide }, BEGIN_MS)?.namespace, "default");
});

t.test("many messages of one reason become one event, until ten minutes are quiet", async (t) => {
  const events = new EventCorrelator("podwire", "node1");
  const at = (i: number, ms: number) => events.record(happening(`port ${i}`), ms);
  for (let i = 0; i < 9; i++) t.equal(at(i, BEGIN_MS)?.method, "POST");
  const combined = at(9, BEGIN_MS);
  t.match(combined, {
    method: "POST",
    body: { message: "(combined from similar events): port 9", count: 1 },
  });
  t.match(at(10, BEGIN_MS), {
    method: "PATCH",
    name: combined?.name,
    body: { message: "(combined from similar events): port 10", count: 2 },
  });
  t.match(at(11, BEGIN_MS + 11 * MINUTE_MS)?.body, { message: "port 11" });
});

t.test("one object has 25 at once, then one in five minutes, and the count knows of all", async (t) => {
  const events = new EventCorrelator("podwire", "node1");
  const sent = Array.from({ length: 40 }, () => events.record(happening("a"), BEGIN_MS)).filter(Boolean);
  t.equal(sent.length, 25);
  t.equal(events.record(happening("a"), BEGIN_MS + 4 * MINUTE_MS), undefined);
  t.equal(events.record(happening("a"), BEGIN_MS + 5 * MINUTE_MS)?.body.count, 42);
  t.ok(events.record(happening("a", { name: "other" }), BEGIN_MS), "of others nothing is held back");
  for (let i = 0; i < 5000; i++) events.record(happening("a", { name: `n${i}` }), BEGIN_MS);
  t.equal(events.record(happening("a"), BEGIN_MS + 6 * MINUTE_MS)?.method, "POST", "forgotten for others");
});

t.test("what the server does with them", async (t) => {
  const api = new StandIn();
  const url = new URL(`http://127.0.0.1:${await api.listen()}`);
  const connection = new ApiConnection({ servers: [url], insecure: false, headers: {} });
  const refusals: string[] = [];
  const onRefused = (why: string): void => void refusals.push(why);
  const writer = new EventWriter({ connection, nodeName: "node1", onRefused, againMs: 5 });
  const until = async (what: () => boolean): Promise<boolean> => {
    for (let i = 0; i < 400 && !what(); i++) await sleep(5);
    return what();
  };
  t.teardown(async () => {
    writer.close();
    connection.close();
    await api.close();
  });
  let busy = 2;
  api.fault = (_, response) => {
    if (busy-- <= 0) return false;
    refuse(response, 429, "busy");
    return true;
  };
  writer.record(happening("a"));
  t.ok(await until(() => api.events.size === 1), "asked again while it is busy");
  api.events.clear();
  writer.record(happening("a"));
  t.ok(await until(() => api.events.size === 1), "made anew when the server has forgotten it");
  t.equal([...api.events.values()][0].count, 2);
  api.fault = (_, response) => {
    refuse(response, 403, 'events is forbidden: User "node" cannot create resource "events"');
    return true;
  };
  const before = api.requests.length;
  for (const word of ["b", "c"]) writer.record(happening(word));
  t.ok(await until(() => api.requests.length === before + 2));
  await sleep(30);
  t.equal(api.requests.length, before + 2, "what is refused is not asked again");
  t.match(refusals, [/^events is forbidden/]);
});
