import t from "tap";
import { type CpuTimes, hadIdleCores, readCpuTimes, sharesBetween } from "./idle-cores.ts";

t.test("the line of all processors is read, not those of single ones", (t) => {
  const text = "cpu  100 5 50 800 20 3 7 15 40 0\ncpu0 50 2 25 400 10 1 3 7 20 0\nintr 1\n";
  t.same(readCpuTimes(text, 1234), { at: 1234, idle: 820, stolen: 15, all: 1000 });
  t.end();
});

/** A sample every 250 ms of two processors that idle and are stolen for so many of a sample's 50 ticks. */
function machine(seconds: number, idle: (at: number) => number, stolen: (at: number) => number): CpuTimes[] {
  const samples = [{ at: 0, idle: 0, stolen: 0, all: 0 }];
  for (let at = 250; at <= seconds * 1000; at += 250) {
    const last = samples[samples.length - 1];
    samples.push({ at, idle: last.idle + idle(at), stolen: last.stolen + stolen(at), all: last.all + 50 });
  }
  return samples;
}

t.test("shares are those of the time in between", (t) => {
  const samples = machine(
    1,
    () => 20,
    (at) => (at === 500 ? 5 : 0),
  );
  t.same(sharesBetween(samples[1], samples[2]), { idle: 0.4, stolen: 0.1 });
  t.same(sharesBetween(samples[2], samples[2]), { idle: 0, stolen: 0 });
  t.end();
});

t.test(
  "a busy second and one that the hypervisor took have no idle cores; nor has one that was not seen",
  (t) => {
    const samples = machine(
      12,
      (at) => (at > 4000 && at <= 6000 ? 1 : 20),
      (at) => (at > 8000 && at <= 8250 ? 10 : 0),
    );
    t.ok(hadIdleCores(samples, 2500));
    t.notOk(hadIdleCores(samples, 5200), "busy");
    t.ok(hadIdleCores(samples, 7000));
    t.notOk(hadIdleCores(samples, 7800), "stolen right after");
    t.notOk(hadIdleCores(samples, 9000), "stolen before");
    t.ok(hadIdleCores(samples, 10_000));
    t.notOk(hadIdleCores(samples, 500), "before the first sample");
    t.notOk(hadIdleCores(samples, 11_900), "after the last");
    t.end();
  },
);
