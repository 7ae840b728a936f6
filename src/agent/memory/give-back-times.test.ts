import t from "tap";
import { GiveBackTimes } from "./give-back-times.ts";

const mib = (n: number): number => n * 2 ** 20;

t.test("memory is given back when nothing changes any more, and again while that gets much", async (t) => {
  const times = new GiveBackTimes();
  times.changed(10_000);
  t.notOk(times.isDue(22_900, mib(150)), "the next change may be near");
  t.ok(times.isDue(23_100, mib(150)));
  times.collected(23_100, mib(150), mib(80));
  t.notOk(times.isDue(26_100, mib(80)), "V8 would keep its room for young objects");
  t.ok(times.isDue(29_100, mib(80)), "another one follows");
  times.collected(29_100, mib(80), mib(70));
  t.ok(times.isDue(35_100, mib(70)), "it got much");
  times.collected(35_100, mib(70), mib(69));
  t.notOk(times.isDue(41_100, mib(69)), "there is no more");
});

t.test("an agent with little to give back is left alone", async (t) => {
  const times = new GiveBackTimes();
  times.collected(0, mib(40), mib(39));
  times.collected(0, mib(39), mib(38));
  t.notOk(times.isDue(100_000, mib(49)));
  t.ok(times.isDue(100_000, mib(51)));
});

t.test("objects that change now and then cost a collection a minute at most", async (t) => {
  const times = new GiveBackTimes();
  let collections = 0;
  for (let at = 0; at < 600_000; at += 3000) {
    if (at % 30_000 === 0) times.changed(at);
    if (!times.isDue(at, mib(100))) continue;
    collections++;
    times.collected(at, mib(100), mib(97));
    times.collected(at, mib(50), mib(50));
  }
  t.ok(collections > 5 && collections <= 10, `${collections}`);
});

t.test("while much is made nothing is given back, for a minute at most", async (t) => {
  const times = new GiveBackTimes();
  times.changed(0);
  for (let at = 3000; at <= 30_000; at += 3000)
    t.notOk(times.isDue(at, mib(150), mib(40 + at / 1000)), "it is being written, say");
  t.notOk(times.isDue(33_000, mib(150), mib(70)), "it has just ended");
  t.ok(times.isDue(36_000, mib(150), mib(70)));
  const busy = new GiveBackTimes();
  busy.changed(0);
  for (let at = 3000; at < 60_000; at += 3000) t.notOk(busy.isDue(at, mib(150), mib(40 + at / 1000)));
  t.ok(busy.isDue(60_000, mib(150), mib(100)), "it is never calm");
});
