import t from "tap";
import { DELETED, EventLedger } from "./event-ledger.ts";

t.test("what is told in the order of its writing leaves nothing open, whichever is heard of first", (t) => {
  const ledger = new EventLedger();
  ledger.written("a", 1);
  ledger.told("a", 1);
  ledger.told("a", 4);
  ledger.written("b", 3);
  ledger.written("a", 4);
  ledger.written("a", DELETED);
  ledger.told("a", DELETED);
  ledger.told("b", 3);
  t.equal(ledger.matched, 4);
  t.same(ledger.open, { lost: 0, invented: 0, wrong: [] });
  t.end();
});

t.test("what is missing is lost, what is too much is invented, another order is wrong", (t) => {
  const lost = new EventLedger();
  for (const version of [1, 2, 3]) lost.written("a", version);
  lost.told("a", 1);
  t.match(lost.open, { lost: 2, invented: 0 });
  const invented = new EventLedger();
  invented.told("a", 7);
  t.match(invented.open, { lost: 0, invented: 1 });
  const skipped = new EventLedger();
  for (const version of [1, 2]) skipped.written("a", version);
  skipped.told("a", 2);
  t.match(skipped.open, { lost: 2, invented: 1, wrong: ["a: 2 was told where 1 was written"] });
  const twice = new EventLedger();
  twice.written("a", 1);
  for (let i = 0; i < 2; i++) twice.told("a", 1);
  t.match(twice.open, { lost: 0, invented: 1 });
  t.end();
});
