// Connections that wait for their endpoint, against a plain model: who is due when, and nothing lost.
import fc from "fast-check";
import t from "tap";
import { pendingProblem } from "../../../testing/pending-check.ts";
import * as pending from "./pending-connections.ts";

const PATIENCE = [250, 500, 1000, 2000, 0];
const key = (n: number): Int32Array => Int32Array.from({ length: 10 }, (_, i) => (i === 9 ? 0x406 : n + i));
const table = (log2 = 3): pending.PendingConnections => new pending.PendingConnections(log2, 64);

t.test("an entry keeps its tuple and its connection, and is found by it", async (t) => {
  const p = table();
  const e = pending.open(p, key(7));
  t.equal(pending.entryOf(p, 5), -1);
  pending.attach(p, e, 5);
  pending.schedule(p, e, 0, 0);
  t.equal(pending.entryOf(p, 5), e);
  t.ok(pending.isKey(p, e, key(7)));
  t.notOk(pending.isKey(p, e, key(8)));
  t.ok(pending.isTcp(p, e));
  const out = new Int32Array(10);
  pending.loadKey(p, e, out);
  t.same(out, key(7));
  pending.close(p, e);
  t.same([pending.used(p), pending.entryOf(p, 5), pendingProblem(p)], [0, -1, undefined]);
});

t.test("when it is full there is no entry, and one that is given back serves again", async (t) => {
  const p = table();
  const all = Array.from({ length: 8 }, (_, n) => pending.open(p, key(n)));
  t.equal(new Set(all).size, 8);
  t.equal(pending.open(p, key(9)), -1);
  pending.close(p, all[3]);
  t.equal(pending.open(p, key(9)), all[3]);
  t.equal(pending.used(p), 8);
});

t.test("copies come out as they went in, as many as there is room for", async (t) => {
  const p = table();
  const from = Uint8Array.from({ length: 3000 }, (_, i) => i);
  const [e, other] = [pending.open(p, key(1)), pending.open(p, key(2))];
  t.notOk(pending.append(p, e, from, 0, pending.ROOM - 1), "length and bytes do not fit");
  t.ok(pending.append(p, e, from, 10, 1000));
  t.ok(pending.append(p, e, from, 20, 1044));
  t.notOk(pending.append(p, e, from, 0, 1));
  t.ok(pending.append(p, other, from, 1, 60));
  const to = new Uint8Array(3000);
  t.equal(pending.lenAt(p, e, 0), 1000);
  pending.copyOut(p, e, 0, to, 5);
  t.same(to.subarray(5, 1005), from.subarray(10, 1010));
  const second = pending.after(0, 1000);
  t.equal(pending.lenAt(p, e, second), 1044);
  pending.copyOut(p, e, second, to, 0);
  t.same(to.subarray(0, 1044), from.subarray(20, 1064));
  t.equal(pending.lenAt(p, e, pending.after(second, 1044)), 0, "no more");
  t.equal(pending.lenAt(p, other, 0), 60);
});

const action = fc.oneof(
  fc.record({ do: fc.constant("open" as const) }),
  fc.record({ do: fc.constant("schedule" as const), n: fc.nat(7), queue: fc.nat(4) }),
  fc.record({ do: fc.constant("close" as const), n: fc.nat(7) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.nat(900) }),
);

t.test("whoever is due is named, in whatever order things happen, also when the clock wraps", async () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), fc.boolean(), (actions, wraps) => {
      const p = table();
      const due = new Map<number, number>(); // entry → ms
      let now = wraps ? 2 ** 31 - 1500 : 0;
      for (const one of actions) {
        const entry = "n" in one ? [...due.keys()][one.n] : undefined;
        if (one.do === "wait") now += one.ms;
        else if (one.do === "open") {
          const e = pending.open(p, key(0));
          if (e >= 0) pending.schedule(p, e, 0, now | 0);
          if (e >= 0) due.set(e, now + PATIENCE[0]);
        } else if (entry !== undefined && one.do === "schedule") {
          pending.schedule(p, entry, one.queue, now | 0);
          due.set(entry, now + PATIENCE[one.queue]);
        } else if (entry !== undefined) {
          pending.close(p, entry);
          due.delete(entry);
        }
        if (!agrees(p, due, now) || pendingProblem(p) !== undefined) return false;
      }
      return true;
    }),
    { numRuns: 500, seed: 11 },
  );
});

function agrees(p: pending.PendingConnections, due: ReadonlyMap<number, number>, now: number): boolean {
  const first = Math.min(2 ** 30 + now, ...due.values());
  if (pending.msUntilDue(p, now | 0) !== Math.max(0, first - now)) return false;
  const named = pending.nextDue(p, now | 0);
  return first <= now ? (due.get(named) ?? now + 1) <= now : named === -1;
}
