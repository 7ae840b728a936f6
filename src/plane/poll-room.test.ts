import t from "tap";
import { look, PollRoom } from "./poll-room.ts";

const PERIOD_MS = 100;

/** A load as a closed loop makes it: what is carried depends on whether the thread polls. Returns when it polled. */
function run(r: PollRoom, periods: number, polled: number, blocked: number, idle = 0, fromMs = 0): string {
  let text = "";
  for (let i = 1; i <= periods; i++) {
    text += r.isThere ? "p" : ".";
    look(r, idle, r.isThere ? polled : blocked, fromMs + i * PERIOD_MS);
  }
  return text;
}

const count = (text: string, what: string) => text.split(what).length - 1;

t.test("with an idle core beside its own it polls, whatever that carries", async (t) => {
  const r = new PollRoom();
  t.equal(r.isThere, false, "nothing is known yet");
  t.equal(run(r, 100, 100, 5000, 1), `.${"p".repeat(99)}`);
});

t.test("without one it tries both, and stays with what carries more", async (t) => {
  for (const [polled, blocked, wanted] of [
    [5000, 1000, "p"],
    [1000, 5000, "."],
    [1050, 1000, "."], // no more than two periods of the same differ
    [1060, 1000, "p"],
  ] as const) {
    const r = new PollRoom();
    const text = run(r, 600, polled, blocked);
    t.equal(count(text.slice(0, 12), "p") > 0, true, "it has tried within a second");
    t.ok(count(text, wanted) > 560, `${polled} or ${blocked}: ${text.slice(0, 60)}`);
  }
});

t.test("a trial takes three periods, and comes half as often each time it was in vain", async (t) => {
  const r = new PollRoom();
  const text = run(r, 1000, 100, 1000);
  t.equal(Math.max(...text.split(".").map((trial) => trial.length)), 3);
  const starts = [...text.matchAll(/ppp/g)].map((m) => m.index);
  const gaps = starts.slice(1).map((start, i) => (start - starts[i] - 3) * PERIOD_MS);
  t.same(gaps, [8000, 16_000, 32_000, 32_000].slice(0, gaps.length), `${starts}`);
  t.ok(gaps.length >= 3);
});

t.test("a load that changes is looked at anew, soon", async (t) => {
  const r = new PollRoom();
  t.match(run(r, 500, 5000, 1000), /p{50}$/);
  const text = run(r, 100, 300, 4000, 0, 50_000);
  t.ok(text.indexOf(".") <= 7, `other programs came: ${text.slice(0, 20)}`);
  t.equal(count(text, "p"), text.indexOf(".") + 3, `and one trial: ${text}`);
});

t.test("a trial that leaves a core idle is good enough", async (t) => {
  const r = new PollRoom();
  t.equal(count(run(r, 100, 1000, 1000, 0.29), "p"), 6, "two trials");
  const other = new PollRoom();
  t.match(run(other, 100, 1000, 1000, 0.3), /^\.+p{90,}$/);
});

t.test("too few packets say nothing", async (t) => {
  const r = new PollRoom();
  t.equal(run(r, 200, 49, 0), ".".repeat(200));
});

t.test("an idle core ends a trial, and the next load begins without one", async (t) => {
  const r = new PollRoom();
  run(r, 5, 100, 1000);
  t.equal(r.isThere, true, "in a trial");
  look(r, 1.5, 10, 800);
  t.same([r.isThere, r.trial], [true, 0]);
});
