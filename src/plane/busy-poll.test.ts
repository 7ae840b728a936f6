import t from "tap";
import { BusyPoll, learn } from "./busy-poll.ts";

t.test("the window grows to the limit while packets come within it", async (t) => {
  const b = new BusyPoll(100);
  t.equal(b.windowUs, 0, "a node that has seen nothing does not poll");
  const windows = [0, 30, 100, 99, 1, 5].map((waited) => {
    learn(b, waited);
    return b.windowUs;
  });
  t.same(windows, [10, 20, 40, 80, 100, 100]);
});

t.test("and shrinks to nothing when they do not", async (t) => {
  const b = new BusyPoll(100);
  for (let i = 0; i < 9; i++) learn(b, 1);
  const windows = [101, 100_000, 101, 101, 101].map((waited) => {
    learn(b, waited);
    return b.windowUs;
  });
  t.same(windows, [50, 25, 12, 0, 0]);
});

t.test("a limit of 0 never polls, a small one is kept", async (t) => {
  const none = new BusyPoll(0);
  const small = new BusyPoll(5);
  for (const waited of [0, 0, 3, 0]) {
    learn(none, waited);
    learn(small, waited);
  }
  t.same([none.windowUs, small.windowUs], [0, 5]);
});
